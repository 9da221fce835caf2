/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers in locked memory, each for one request of the largest size or one answer. A receive
 * thread owns one at a time. A request whose bytes are needed after its handler returned keeps the
 * buffer, and the thread goes on with another. Thread-safe; no function waits.
 */
#ifndef FUSE_REQUEST_BUFFERS_H
#define FUSE_REQUEST_BUFFERS_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"

#include <stddef.h>

struct request_buffers;

/** `arena` is borrowed. */
int request_buffers_new(struct secure_arena *arena, struct request_buffers **ret,
                        struct error *err);

/** Every buffer must have been given back. NULL is allowed. */
void request_buffers_free(struct request_buffers *buffers);
DEFINE_CLEANUP(struct request_buffers, request_buffers_free)

/** A wiped buffer, or NULL when no locked memory is left. */
void *request_buffers_take(struct request_buffers *buffers);

/** Wipes the first `used` bytes, all that were written to, and takes it back. NULL is allowed. */
void request_buffers_give(struct request_buffers *buffers, void *buffer, size_t used);

/** Makes the calling thread a receiver that has its buffer in *place, which outlives the thread. */
void request_buffers_set_receiver(struct request_buffers *buffers, void **place);

/** Called by a receiver while it handles a request: gives the buffer that holds the request, now
 *  the caller's, and the receiver another. NULL, with nothing changed, when there is none. */
void *request_buffers_keep(struct request_buffers *buffers);

#endif
