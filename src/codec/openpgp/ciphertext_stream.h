/* SPDX-License-Identifier: Apache-2.0 */
/* The lowest layer: a byte_source read from an offset to its end. */
#ifndef CODEC_OPENPGP_CIPHERTEXT_STREAM_H
#define CODEC_OPENPGP_CIPHERTEXT_STREAM_H

#include "codec/openpgp/byte_stream.h"
#include "glancefs/byte_source.h"

#include <stdint.h>

struct ciphertext_stream {
    struct byte_stream stream;
    struct byte_source *source; /* borrowed */
    uint64_t position;
};

/** Starts at `offset` of `source`. Each read asks `cancel` first, however fast the source is. */
void ciphertext_stream_init(struct ciphertext_stream *ciphertext, struct byte_source *source,
                            uint64_t offset);

#endif
