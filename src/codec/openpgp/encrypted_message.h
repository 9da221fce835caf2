/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message from its stored bytes to the content of its literal: the chain of layers that both
 * passes share. The verify pass starts at the session key packets, a later read at the encrypted
 * data, with the session key that the verify pass found.
 */
#ifndef CODEC_OPENPGP_ENCRYPTED_MESSAGE_H
#define CODEC_OPENPGP_ENCRYPTED_MESSAGE_H

#include "codec/openpgp/aead_stream.h"
#include "codec/openpgp/ciphertext_stream.h"
#include "codec/openpgp/encrypted_data.h"
#include "codec/openpgp/literal_message.h"
#include "codec/openpgp/packet_body.h"
#include "codec/openpgp/seipd_v1.h"

/** Ciphertext is read from its source in pieces of up to this size, or larger ones. */
#define CIPHERTEXT_PIECE_BYTES ((size_t)256 * 1024)

struct encrypted_message {
    struct ciphertext_stream ciphertext;
    struct lookahead *packets;      /* the outermost ones */
    struct packet_body body;        /* of the encrypted data packet */
    struct encrypted_data data;     /* what was seen of it */
    struct aead_header aead_header; /* unless it is SEIPD version 1 */
    struct lookahead *sample;       /* the body, whose first bytes are seen to choose a key */
    struct seipd_v1 *seipd;         /* one of the two, once there is a key */
    struct aead_stream *aead;
    struct literal_message *inside; /* NULL when its start was refused */
    bool is_finished;               /* and found to be sound */
};

/** Starts at `offset` of `source`, which is borrowed; nothing is read yet. */
int encrypted_message_new(struct byte_source *source, uint64_t offset,
                          struct encrypted_message **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void encrypted_message_free(struct encrypted_message *message);
DEFINE_CLEANUP(struct encrypted_message, encrypted_message_free)

/**
 * Enters the encrypted data packet (type 18 or 20) whose header was read, up to where the encryption
 * starts, and shows it in `data`. What follows is noted in `index` (may be NULL, see
 * packet_body_note). ERROR_UNSUPPORTED for other versions, else the errors of aead_header_read.
 */
int encrypted_message_enter(struct encrypted_message *message, const struct packet_header *header,
                            struct packet_index *index, struct cancel *cancel, struct error *err);

/** Decrypts with `key`, in its arena, up to the literal's content. Errors as literal_message_new. */
int encrypted_message_decrypt(struct encrypted_message *message, const struct session_key *key,
                              bool verify, struct cancel *cancel, struct error *err);

/** What is inside the encryption; see seipd_v1_stream for the size of reads. NULL before
 *  encrypted_message_decrypt, or when that could not even begin. */
struct byte_stream *encrypted_message_packets(struct encrypted_message *message);

/** Bytes that were decrypted so far; all of a chunk's at once. */
uint64_t encrypted_message_decrypted_bytes(const struct encrypted_message *message);

/** Once those were read to their end: the uniform error unless MDC or tags are right and nothing
 *  follows the encrypted data. Needs `verify`. May be called again after another failure. */
int encrypted_message_finish(struct encrypted_message *message, struct cancel *cancel,
                             struct error *err);

/** Starts again at the encrypted data packet, `offset` bytes into `source`, and enters it. */
int encrypted_message_reenter(struct byte_source *source, uint64_t offset,
                              struct packet_index *index, struct cancel *cancel,
                              struct encrypted_message **ret, struct error *err);

#endif
