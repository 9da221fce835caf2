/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message from its stored bytes to the content of its literal: the chain of layers that both
 * passes share. The verify pass starts at the session key packets, a later read at the encrypted
 * data, with the session key that the verify pass found.
 */
#ifndef CODEC_OPENPGP_ENCRYPTED_MESSAGE_H
#define CODEC_OPENPGP_ENCRYPTED_MESSAGE_H

#include "codec/openpgp/ciphertext_stream.h"
#include "codec/openpgp/literal_message.h"
#include "codec/openpgp/packet_body.h"
#include "codec/openpgp/seipd_v1.h"

/** Ciphertext is read from its source in pieces of this size, or larger ones. */
#define CIPHERTEXT_PIECE_BYTES ((size_t)256 * 1024)

struct encrypted_message {
    struct ciphertext_stream ciphertext;
    struct lookahead *packets;      /* the outermost ones */
    struct packet_body body;        /* of the encrypted data packet */
    struct lookahead *sample;       /* the same, whose first bytes are seen to choose a key */
    struct seipd_v1 *seipd;         /* once there is a key */
    struct literal_message *inside; /* NULL when its start was refused */
};

/** Starts at `offset` of `source`, which is borrowed; nothing is read yet. */
int encrypted_message_new(struct byte_source *source, uint64_t offset,
                          struct encrypted_message **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void encrypted_message_free(struct encrypted_message *message);
DEFINE_CLEANUP(struct encrypted_message, encrypted_message_free)

/** Enters the SEIPD packet whose header was read. ERROR_UNSUPPORTED for a version but 1. */
int encrypted_message_enter(struct encrypted_message *message, const struct packet_header *header,
                            struct cancel *cancel, struct error *err);

/** Shows the start of the encrypted data: SESSION_KEY_SAMPLE_BYTES, or less when it ends before. */
int encrypted_message_sample(struct encrypted_message *message, struct cancel *cancel,
                             const uint8_t **ret_bytes, size_t *ret_size, struct error *err);

/** Decrypts with `key`, in its arena, up to the literal's content. Errors as literal_message_new. */
int encrypted_message_decrypt(struct encrypted_message *message, const struct session_key *key,
                              bool verify, struct cancel *cancel, struct error *err);

/** Does all of the above for a message that was verified, at the offset of its SEIPD packet. */
int encrypted_message_reopen(struct byte_source *source, uint64_t offset,
                             const struct session_key *key, struct cancel *cancel,
                             struct encrypted_message **ret, struct error *err);

#endif
