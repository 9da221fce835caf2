/* SPDX-License-Identifier: Apache-2.0 */
/* Sound messages without compression, of every way to encrypt and to cut packets into chunks. */
#ifndef UNIT_CODEC_MESSAGE_SHAPES_H
#define UNIT_CODEC_MESSAGE_SHAPES_H

#include "codec_bed.h"
#include "support/aead_builder.h"

#define SHAPE_PASSPHRASE "correct horse"

struct message_shape {
    const char *name;
    enum framing outer;
    enum framing inner; /* of the literal */
    bool is_aead;
    enum cipher_algorithm cipher;
    bool is_librepgp; /* the rest is for AEAD only */
    enum aead_algorithm aead;
    unsigned chunk_octet;
};

extern const struct message_shape message_shapes[];
extern const size_t message_shape_count;

/** Appends a message of this shape around `content`. */
void build_shape(struct octets *out, const struct message_shape *shape, const void *content,
                 size_t size);

/** The same, verified: *ret_message is the message's bytes, which the caller clears. */
struct codec_message *open_shape(const struct message_shape *shape, const void *content,
                                 size_t size, struct octets *ret_message);

#endif
