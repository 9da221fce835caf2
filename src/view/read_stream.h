/* SPDX-License-Identifier: Apache-2.0 */
/* Making a read stream; what can be done with one stands in glancefs/image_view.h. */
#ifndef VIEW_READ_STREAM_H
#define VIEW_READ_STREAM_H

#include "glancefs/byte_source.h"
#include "glancefs/image_view.h"
#include "view/stream_registry.h"
#include "view/verified_image.h"

/** What a stream is made from. */
struct read_stream_parts {
    struct stream_registry *registry; /* with a place reserved, which the stream takes over */
    struct secure_arena *arena;
    const char *image_id;
    uint64_t size;                 /* of the plaintext, exact */
    struct byte_source *plaintext; /* of verified bytes; forward-only or not */
    struct verified_image *image;  /* what the plaintext depends on; may be NULL */
};

/**
 * Makes a stream at position 0 and lists it. Takes `plaintext` and `image` on success; on failure
 * they, and the reserved place, stay the caller's. ERROR_EXHAUSTED when the arena is used up: a
 * stream holds STREAM_HISTORY_BYTES and one request of it, however large the image.
 */
int read_stream_new(const struct read_stream_parts *parts, struct read_stream **ret,
                    struct error *err);

#endif
