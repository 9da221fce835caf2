/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers of a message (packet body, decryption, decompression) pull bytes out of one another
 * through this interface. Unlike a byte_source it has no offsets and may give less than was asked
 * for: that way a failed or cancelled read consumes nothing, in any layer, and can be repeated.
 *
 * A layer borrows the one below. One thread at a time.
 */
#ifndef CODEC_OPENPGP_BYTE_STREAM_H
#define CODEC_OPENPGP_BYTE_STREAM_H

#include "glancefs/cancel.h"
#include "glancefs/error.h"

#include <stddef.h>

struct byte_stream;

struct byte_stream_ops {
    /** See byte_stream_read. */
    int (*read)(struct byte_stream *stream, void *buffer, size_t size, struct cancel *cancel,
                size_t *ret_size, struct error *err);
};

/** First member of each layer. */
struct byte_stream {
    const struct byte_stream_ops *ops;
};

/**
 * Reads 1 to `size` (> 0) bytes; *ret_size is 0 only at the end of the stream. A failure consumes
 * nothing, but may leave anything in `buffer`.
 */
int byte_stream_read(struct byte_stream *stream, void *buffer, size_t size, struct cancel *cancel,
                     size_t *ret_size, struct error *err);

/**
 * Reads exactly `size` bytes; an end before that is the uniform error. A failure may have consumed
 * some of them: whoever reads a header this way starts over from the message's beginning.
 */
int byte_stream_read_exact(struct byte_stream *stream, void *buffer, size_t size,
                           struct cancel *cancel, struct error *err);

#endif
