/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plaintext of one open file as its read stream asks for it: by offset, forward, one request at
 * a time. Three kinds, which differ in where bytes come from and what may be shown of them:
 *
 *     direct     a verified message with random access: each request is decrypted on its own
 *     forward    a verified message that only streams: a ring keeps what was just delivered
 *     arriving   a message that is verified on the way: the same, and its end is withheld
 *
 * All plaintext lies in locked memory.
 */
#ifndef VIEW_PLAINTEXT_H
#define VIEW_PLAINTEXT_H

#include "glancefs/byte_source.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/codec.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"
#include "view/reply_buffers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct plaintext;

/** Bytes in order, in at most two pieces. */
struct plaintext_pieces {
    struct iovec pieces[2];
    int count;
    size_t size; /* of all */
};

struct plaintext_ops {
    /** See plaintext_get. */
    int (*get)(struct plaintext *plaintext, uint64_t offset, size_t size, struct cancel *cancel,
               struct plaintext_pieces *ret, struct error *err);
    /** See plaintext_put; NULL when there is nothing to do. */
    void (*put)(struct plaintext *plaintext, const struct plaintext_pieces *pieces);
    /** See plaintext_set_waiting; NULL when a request always may wait. */
    void (*set_waiting)(struct plaintext *plaintext, bool may_wait);
    /** Wipes and frees. */
    void (*free)(struct plaintext *plaintext);
};

/** First member of each kind. */
struct plaintext {
    const struct plaintext_ops *ops;
    uint64_t size;    /* exact, or BYTE_SOURCE_SIZE_UNKNOWN until the end was seen */
    bool is_verified; /* all of it; else a failure of `get` is one of the message */
};

/**
 * Gives `size` bytes (1 to FUSE_REQUEST_BYTES) from `offset`, fewer only where the plaintext ends,
 * none at its end. `offset` lies at most STREAM_HISTORY_BYTES before, and never after, the end of
 * what was given so far. The pieces are valid until plaintext_put. A failure or cancellation changes
 * nothing that a later call would notice. One thread at a time.
 *
 * ERROR_CORRUPT: what arrives does not prove right, or ends before its size.
 */
int plaintext_get(struct plaintext *plaintext, uint64_t offset, size_t size, struct cancel *cancel,
                  struct plaintext_pieces *ret, struct error *err);

/** The pieces of the last successful plaintext_get are not needed any more. */
void plaintext_put(struct plaintext *plaintext, const struct plaintext_pieces *pieces);

/** Whether plaintext_get can do without waiting, for the disk or for bytes to arrive. */
bool plaintext_can_avoid_waiting(const struct plaintext *plaintext);

/** False: from now on plaintext_get fails with ERROR_BUSY where it would have to wait. Only where
 *  that can be avoided. */
void plaintext_set_waiting(struct plaintext *plaintext, bool may_wait);

/** NULL is allowed. */
void plaintext_free(struct plaintext *plaintext);
DEFINE_CLEANUP(struct plaintext, plaintext_free)

/**
 * Direct, or forward when `source` is forward-only: `size` bytes out of `source`, which is taken over
 * on success. `ciphertext` (borrowed; may be NULL) is what it reads, a source of the ciphertext cache.
 * A direct one takes memory of `buffers` for a request at a time, a forward one a ring of `arena`
 * with its first request.
 */
int plaintext_new(struct byte_source *source, uint64_t size, struct byte_source *ciphertext,
                  struct reply_buffers *buffers, struct secure_arena *arena, struct plaintext **ret,
                  struct error *err);

/** Told what became of a message. */
struct verified_listener {
    /** Once: it turned out sound. `message` is borrowed. */
    void (*verified)(void *context, struct codec_message *message);

    /** It could not be read on, and why. May wait until `cancel`. */
    void (*failed)(void *context, const struct error *why, struct cancel *cancel);
    void *context;
};

/**
 * Arriving: takes over `stream` on success. `size` is what a sound message holds, as far as that is
 * known, else BYTE_SOURCE_SIZE_UNKNOWN. Nothing of the last STREAM_WITHHELD_BYTES is given before
 * all is verified: with a size that is everything behind `size` less these; without one, what has
 * not as much decrypted behind it. ERROR_CORRUPT also when the message is not of that size.
 */
int plaintext_arriving_new(struct codec_stream *stream, uint64_t size, struct secure_arena *arena,
                           struct verified_listener listener, struct plaintext **ret,
                           struct error *err);

#endif
