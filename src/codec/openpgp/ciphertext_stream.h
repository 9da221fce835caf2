/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lowest layer: a byte_source read from an offset to its end. A byte_source gives all that is
 * asked for, however long that takes to arrive, so the first reads are small and the later ones are
 * never larger than what came before: of a download, at least the first half is always at hand.
 */
#ifndef CODEC_OPENPGP_CIPHERTEXT_STREAM_H
#define CODEC_OPENPGP_CIPHERTEXT_STREAM_H

#include "codec/openpgp/byte_stream.h"
#include "glancefs/byte_source.h"

#include <stdint.h>

/** The largest first read, in bytes: session key packets and the start of the plaintext. */
#define CIPHERTEXT_FIRST_BYTES 1024

struct ciphertext_stream {
    struct byte_stream stream;
    struct byte_source *source; /* borrowed */
    uint64_t position;
    uint64_t arrived; /* bytes read so far */
};

/** Starts at `offset` of `source`. Each read asks `cancel` first, however fast the source is. */
void ciphertext_stream_init(struct ciphertext_stream *ciphertext, struct byte_source *source,
                            uint64_t offset);

#endif
