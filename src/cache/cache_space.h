/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room in the cache: reserving it before a download, making it when the disk is full, and keeping
 * the limits while nothing is asked for. Nothing is remembered between calls: each looks at the disk
 * under CACHE/lock, so that daemon and commands decide alike.
 */
#ifndef CACHE_CACHE_SPACE_H
#define CACHE_CACHE_SPACE_H

#include "cache/cache_layout.h"
#include "cache/object_store.h"
#include "cache/space_policy.h"
#include "glancefs/cache_limits.h"
#include "glancefs/cancel.h"
#include "glancefs/error.h"

#include <stdint.h>

struct cache_space {
    const struct cache_layout *layout; /* borrowed */
    struct cache_limits limits;
    _Atomic uint64_t evictions; /* objects that had to go, since the start */
    _Atomic uint64_t evicted_bytes;
};

/** The state of the cache's disk by now, and what uploads and the trash take of it. No lock. */
int cache_space_look(const struct cache_layout *layout, struct space_state *ret, struct error *err);

/**
 * Reserves the room that `partial` needs for all of `metadata->size` and grants it
 * (object_store_grant), evicting what has to go, the least recently used first, never what is in use,
 * and nothing as long as emptying the trash would do.
 * One that is granted already is only marked as used.
 * `now_ns` is nanoseconds since the epoch (wall_clock.h). ERROR_NO_SPACE says how much is wanted, allowed and in use;
 * then nothing was evicted when even all of it would not have been enough. Of an object whose size
 * is not known next to nothing is reserved: cache_space_extend does it while it is written.
 */
int cache_space_reserve(struct cache_space *space, struct partial_object *partial,
                        const struct object_metadata *metadata, int64_t now_ns,
                        struct cancel *cancel, struct error *err);

/**
 * Reserves the `size` bytes from `offset` on for a download whose size is not known, as
 * cache_space_reserve does.
 */
int cache_space_extend(struct cache_space *space, struct partial_object *partial, uint64_t offset,
                       uint64_t size, int64_t now_ns, struct cancel *cancel, struct error *err);

/**
 * The disk turned out to be full, or a quota spent: empties the trash, then evicts until `need` bytes
 * more are free than before, or at least something went. ERROR_NO_SPACE when nothing could.
 */
int cache_space_make_room(struct cache_space *space, uint64_t need, int64_t now_ns,
                          struct cancel *cancel, struct error *err);

/** What `cache_space_enforce` removed. */
struct cache_space_result {
    uint64_t objects;
    uint64_t bytes;
};

/**
 * Keeps the limits: removes what is over max_age, downloads that nobody resumed for a day, and, the
 * least recently used first, what is over max_size or takes from min_free. ret_removed may be NULL.
 */
int cache_space_enforce(struct cache_space *space, int64_t now_ns, struct cancel *cancel,
                        struct cache_space_result *ret_removed, struct error *err);

#endif
