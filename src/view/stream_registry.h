/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open streams of one index: counts them against `max_streams` (stream_limit.h), lists them for status and
 * holds the threads and buffers that serve their reads. Thread-safe.
 */
#ifndef VIEW_STREAM_REGISTRY_H
#define VIEW_STREAM_REGISTRY_H

#include "base/worker_pool.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"
#include "glancefs/stream_limit.h"
#include "view/read_turns.h"
#include "view/reply_buffers.h"
#include "view/view_counters.h"

#include <stdbool.h>
#include <stdint.h>

struct stream_registry;

/** A stream's entry; embedded in the stream. */
struct stream_entry {
    char image_id[37];
    atomic_uint_fast64_t size; /* BYTE_SOURCE_SIZE_UNKNOWN until it is known */
    atomic_uint_fast64_t position;
    atomic_bool is_verified;
    struct stream_entry *next, *previous; /* the registry's own */
};

/** `limit`, not NULL, `counters` and `arena` are borrowed. */
int stream_registry_new(struct stream_limit *limit, struct view_counters *counters,
                        struct secure_arena *arena, struct stream_registry **ret,
                        struct error *err);

/** All streams must have been closed; waits for their last job. NULL is allowed. */
void stream_registry_free(struct stream_registry *registry);
DEFINE_CLEANUP(struct stream_registry, stream_registry_free)

/** Sets a place aside for a stream that is being opened. ERROR_EXHAUSTED with EMFILE when all are
 *  taken. */
int stream_registry_reserve(struct stream_registry *registry, struct error *err);

/** Gives a place back that no stream came to use. */
void stream_registry_cancel_reservation(struct stream_registry *registry);

/** Lists a stream on a reserved place. */
void stream_registry_add(struct stream_registry *registry, struct stream_entry *entry);

/** Takes the stream off the list and gives its place back. */
void stream_registry_remove(struct stream_registry *registry, struct stream_entry *entry);

/** Wipes what a stream left in the memory for answers; without a stream there is no such memory.
 *  Called after the stream was removed and used its last buffer. */
void stream_registry_tidy(struct stream_registry *registry);

/** True when a stream of image `image_id` is open. */
bool stream_registry_is_open(struct stream_registry *registry, const char *image_id);

/** Calls `visit` for each stream, with the registry locked: it must not call back. */
void stream_registry_each(struct stream_registry *registry,
                          void (*visit)(void *context, const struct stream_entry *entry),
                          void *context);

/** The threads for reads: one per stream is never too few. */
struct worker_pool *stream_registry_pool(struct stream_registry *registry);

/** Memory for the answers. */
struct reply_buffers *stream_registry_buffers(struct stream_registry *registry);

/** Whose turn it is to be read. */
struct read_turns *stream_registry_turns(struct stream_registry *registry);

/** What the index counts. */
struct view_counters *stream_registry_counters(struct stream_registry *registry);

#endif
