/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the ciphertext cache share: passes (cache_pass.h), transfers (cache_transfer.c),
 * the inventory (cache_inventory.c) and ciphertext_cache.c itself.
 */
#ifndef CACHE_CACHE_CONTEXT_H
#define CACHE_CACHE_CONTEXT_H

#include "base/worker_pool.h"
#include "cache/cache_layout.h"
#include "cache/cache_object.h"
#include "cache/cache_space.h"
#include "cache/cache_upkeep.h"
#include "cache/checked_blocks.h"
#include "cache/download_queue.h"
#include "cache/slot_table.h"
#include "glancefs/ciphertext_cache.h"

struct ciphertext_cache {
    enum cache_role role;
    struct image_service *images; /* NULL: nothing is fetched */
    struct secure_arena *arena;   /* NULL: nothing is read */
    bool require_hash;
    struct cache_layout *layout;
    struct cache_space space;
    struct cache_upkeep *upkeep; /* NULL until it is started */
    struct worker_pool *transfers;
    struct checked_blocks *blocks;
    struct slot_table slots;
    struct download_queue downloads;
};

/** The wall clock, in nanoseconds since the epoch (wall_clock.h). */
int64_t cache_context_now(void);

/** ERROR_READ_ONLY for an observer. */
int cache_context_may_change(const struct ciphertext_cache *cache, struct error *err);

/** The same, and ERROR_INVALID where there is no memory for tags. */
int cache_context_may_read(const struct ciphertext_cache *cache, struct error *err);

/** The object this process verified earlier, with a reference; NULL when there is none. */
struct cache_object *cache_context_known(struct ciphertext_cache *cache,
                                         const struct image_record *record);

#endif
