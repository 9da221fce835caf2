/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's housekeeping of the cache: a thread that keeps the limits of cache_space.h, at the start
 * and once a minute. */
#ifndef CACHE_CACHE_UPKEEP_H
#define CACHE_CACHE_UPKEEP_H

#include "cache/cache_space.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"

struct cache_upkeep;

/** Starts the thread; `space` is borrowed. */
int cache_upkeep_new(struct cache_space *space, struct cache_upkeep **ret, struct error *err);

/** Ends the thread; NULL is allowed. */
void cache_upkeep_free(struct cache_upkeep *upkeep);
DEFINE_CLEANUP(struct cache_upkeep, cache_upkeep_free)

#endif
