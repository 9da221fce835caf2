/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which objects have to go, by numbers alone: no clock, no disk. Deterministic.
 */
#ifndef CACHE_SPACE_POLICY_H
#define CACHE_SPACE_POLICY_H

#include "cache/object_store.h"
#include "glancefs/cache_limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The state of the disk, in bytes. */
struct space_state {
    uint64_t filesystem_bytes; /* its size */
    uint64_t free_bytes;       /* what an unprivileged process may still use of it */
    uint64_t block_bytes;      /* the least that it gives to a file */
    uint64_t staged_bytes;     /* of uploads, which count but never go */
    uint64_t trash_bytes;      /* of what is being removed: it counts as long as it is there */
};

/** A limit in bytes on a filesystem of that size; 0 for none. */
uint64_t space_policy_limit_bytes(const struct cache_limit *limit, uint64_t filesystem_bytes);

/**
 * Sorts `list` in the order in which objects may go: what is in quarantine, then downloads (those in hand
 * stay anyway, and the rest nobody reads), then objects, each by last use, oldest first; a last use
 * after `now_ns` (the clock went back) counts as `now_ns`.
 */
void space_policy_sort(struct stored_object_list *list, int64_t now_ns);

/**
 * Takes back what downloads have reserved beyond the size of any file on this filesystem: nobody was
 * granted that, so their metadata are damaged. They count as never used.
 */
void space_policy_disbelieve(struct stored_object_list *list, uint64_t filesystem_bytes);

/** Bytes that all of `list` take or have reserved. Saturates. */
uint64_t space_policy_sum(const struct stored_object_list *list);

/**
 * Bytes that have to go, the trash first, before `need` more bytes fit: under max_size (all that is
 * listed, staged or in the trash, and the need), and so that min_free stays free. 0: they fit.
 * Saturates, never overflows.
 */
uint64_t space_policy_excess(const struct cache_limits *limits, const struct space_state *state,
                             const struct stored_object_list *list, uint64_t need);

/** True when `object` is over max_age at `now_ns`: not used for so long. Never for a clock that went back. */
bool space_policy_is_expired(const struct cache_limits *limits, const struct stored_object *object,
                             int64_t now_ns);

#endif
