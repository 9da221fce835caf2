/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plaintext that a forward-only source has at hand from its position on: what was decrypted for a
 * read that then failed. The layers below have moved on past it, the position has not; the next read
 * starts with it.
 */
#ifndef CODEC_OPENPGP_KEPT_PLAINTEXT_H
#define CODEC_OPENPGP_KEPT_PLAINTEXT_H

#include "glancefs/error.h"
#include "glancefs/secure_buffer.h"

#include <stdbool.h>
#include <stddef.h>

/** Start with all zero. */
struct kept_plaintext {
    struct secure_buffer *bytes; /* NULL when nothing is kept */
    size_t begin;                /* how many of them were handed out since */
    bool is_lost;                /* there was no memory to keep it */
};

/** Wipes and frees what is kept. */
void kept_plaintext_clear(struct kept_plaintext *kept);

/** ERROR_EXHAUSTED, for good, once plaintext was lost: no read can go on from the position. */
int kept_plaintext_check(const struct kept_plaintext *kept, struct error *err);

/** Copies up to `size` of the bytes kept, which stay. Returns how many. */
size_t kept_plaintext_copy(const struct kept_plaintext *kept, void *buffer, size_t size);

/** Lets go of the first `size` bytes, as many as kept_plaintext_copy gave: the read succeeded. */
void kept_plaintext_drop(struct kept_plaintext *kept, size_t size);

/** Keeps `bytes`, which a read that failed had got, in `arena` and in place of what was kept, of which
 *  they begin with a copy. Without memory they are lost. */
void kept_plaintext_keep(struct kept_plaintext *kept, struct secure_arena *arena, const void *bytes,
                         size_t size);

#endif
