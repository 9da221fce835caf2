/* SPDX-License-Identifier: Apache-2.0 */
/* Making a read stream; what can be done with one stands in glancefs/image_view.h. */
#ifndef VIEW_READ_STREAM_H
#define VIEW_READ_STREAM_H

#include "glancefs/image_view.h"
#include "view/arriving_image.h"
#include "view/plaintext.h"
#include "view/stream_registry.h"
#include "view/verified_image.h"

/** What a stream is made from. */
struct read_stream_parts {
    struct stream_registry *registry; /* with a place reserved, which the stream takes over */
    const char *image_id;
    struct plaintext *plaintext;
    struct verified_image *image;    /* what a verified plaintext depends on; may be NULL */
    struct arriving_image *arriving; /* what an arriving one depends on; may be NULL */
    const char *verification;        /* see read_stream_verification; static storage */
};

/**
 * Makes a stream at position 0 and lists it. Takes `plaintext`, `image` and `arriving` on success; on
 * failure they, and the reserved place, stay the caller's. ERROR_EXHAUSTED only. Memory for plaintext
 * is taken with the first read.
 */
int read_stream_new(const struct read_stream_parts *parts, struct read_stream **ret,
                    struct error *err);

#endif
