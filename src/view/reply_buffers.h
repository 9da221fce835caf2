/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locked memory for one request's plaintext each, used again and again: what a stream does not use
 * now, another one may. Thread-safe; nothing waits.
 */
#ifndef VIEW_REPLY_BUFFERS_H
#define VIEW_REPLY_BUFFERS_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"

#include <stddef.h>

struct reply_buffers;

/** No buffer yet; `arena` is borrowed. */
int reply_buffers_new(struct secure_arena *arena, struct reply_buffers **ret, struct error *err);

/** Wipes; every buffer must have been given back. NULL is allowed. */
void reply_buffers_free(struct reply_buffers *buffers);
DEFINE_CLEANUP(struct reply_buffers, reply_buffers_free)

/** A buffer of FUSE_REQUEST_BYTES, or NULL when no locked memory is left. What stands in it is
 *  undefined. */
void *reply_buffers_take(struct reply_buffers *buffers);

/** Takes a buffer back of which the first `used` bytes were written to. They may stay there until the
 *  next reply_buffers_wipe. */
void reply_buffers_give(struct reply_buffers *buffers, void *buffer, size_t used);

/** Wipes all that nobody uses now; what is used goes back to the arena, wiped, once it is given back.
 *  Called when a stream ends. */
void reply_buffers_wipe(struct reply_buffers *buffers);

/** Gives all back to the arena, wiped: what nobody uses at once, the rest once it is given back.
 *  Called when no stream is left. */
void reply_buffers_release(struct reply_buffers *buffers);

#endif
