/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is inside the encryption of a verified message, at any offset: one implementation for each
 * way to encrypt. A reader has one cipher and serves one thread at a time; reading on where it
 * stopped costs least.
 */
#ifndef CODEC_OPENPGP_DECRYPTED_READER_H
#define CODEC_OPENPGP_DECRYPTED_READER_H

#include "codec/openpgp/openpgp_layout.h"

/** The body of the encrypted data packet, behind its header, in the ciphertext. Both borrowed. */
struct encrypted_body {
    struct byte_source *ciphertext;
    const struct packet_index *index;
};

/** Reads exactly `size` bytes at `offset` of the body; the uniform error when they are not there. */
int encrypted_body_read(const struct encrypted_body *body, void *buffer, size_t size,
                        uint64_t offset, struct cancel *cancel, struct error *err);

/** True when encrypted_body_visit can show the `size` (> 0) bytes at `offset`: the ciphertext can be
 *  visited, and no length octets stand between them. */
bool encrypted_body_can_be_visited(const struct encrypted_body *body, size_t size, uint64_t offset);

/** encrypted_body_read without the copy: see byte_source_visit. */
int encrypted_body_visit(const struct encrypted_body *body, size_t size, uint64_t offset,
                         const struct byte_visitor *visitor, struct cancel *cancel,
                         struct error *err);

struct decrypted_reader;

struct decrypted_reader_ops {
    /** See decrypted_reader_read. */
    int (*read)(struct decrypted_reader *reader, void *buffer, size_t size, uint64_t offset,
                struct cancel *cancel, struct error *err);
    /** Wipes and frees. */
    void (*free)(struct decrypted_reader *reader);
};

/** A reader that has to seek first, wherever it reads. */
#define DECRYPTED_READER_NOWHERE UINT64_MAX

/** First member of an implementation. */
struct decrypted_reader {
    const struct decrypted_reader_ops *ops;
    uint64_t position;             /* where it stopped */
    struct decrypted_reader *next; /* its owner's */
};

/** Makes one for the message that `layout` and `key` are of (both borrowed), in the key's arena. */
int decrypted_reader_new(const struct openpgp_layout *layout, const struct session_key *key,
                         struct byte_source *ciphertext, struct decrypted_reader **ret,
                         struct error *err);

/** Wipes and frees; NULL is allowed. */
void decrypted_reader_free(struct decrypted_reader *reader);
DEFINE_CLEANUP(struct decrypted_reader, decrypted_reader_free)

/** Reads exactly `size` bytes at `offset`, all within the message. After a failure the next read
 *  may be anywhere, too. */
int decrypted_reader_read(struct decrypted_reader *reader, void *buffer, size_t size,
                          uint64_t offset, struct cancel *cancel, struct error *err);

#endif
