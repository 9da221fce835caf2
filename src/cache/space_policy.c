/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/space_policy.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t subtract(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

uint64_t space_policy_limit_bytes(const struct cache_limit *limit, uint64_t filesystem_bytes)
{
    if (limit->percent == 0)
        return limit->bytes;
    /* In this order nothing overflows and nothing is lost but a fraction of a byte. */
    return filesystem_bytes / 100 * limit->percent + filesystem_bytes % 100 * limit->percent / 100;
}

/* --- order --- */

static int64_t last_use(const struct stored_object *object, int64_t now_ns)
{
    return object->last_used_ns < now_ns ? object->last_used_ns : now_ns;
}

static int rank(const struct stored_object *object)
{
    switch (object->place) {
    case CACHE_PLACE_QUARANTINE:
        return 0;
    case CACHE_PLACE_PARTIAL:
        return 1;
    case CACHE_PLACE_OBJECTS:
    case CACHE_PLACE_TRASH:
    case CACHE_PLACE_COUNT:
        break;
    }
    return 2;
}

static int compare(const void *left, const void *right, void *context)
{
    const struct stored_object *a = left;
    const struct stored_object *b = right;
    const int64_t now_ns = *(const int64_t *)context;
    const int64_t a_used = last_use(a, now_ns);
    const int64_t b_used = last_use(b, now_ns);

    if (rank(a) != rank(b))
        return rank(a) < rank(b) ? -1 : 1;
    if (a_used != b_used)
        return a_used < b_used ? -1 : 1;
    return strcmp(a->name, b->name);
}

void space_policy_sort(struct stored_object_list *list, int64_t now_ns)
{
    if (list->count > 0)
        qsort_r(list->objects, list->count, sizeof list->objects[0], compare, &now_ns);
}

/* --- sums --- */

void space_policy_disbelieve(struct stored_object_list *list, uint64_t filesystem_bytes)
{
    for (size_t i = 0; i < list->count; i++) {
        struct stored_object *object = &list->objects[i];

        if (object->unallocated_bytes <= filesystem_bytes)
            continue;
        object->disk_bytes = subtract(object->disk_bytes, object->unallocated_bytes);
        object->unallocated_bytes = 0;
        object->last_used_ns = INT64_MIN;
    }
}

uint64_t space_policy_sum(const struct stored_object_list *list)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < list->count; i++)
        sum = add(sum, list->objects[i].disk_bytes);
    return sum;
}

/* What downloads have been promised and the filesystem still counts as free. */
static uint64_t unallocated(const struct stored_object_list *list)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < list->count; i++)
        sum = add(sum, list->objects[i].unallocated_bytes);
    return sum;
}

uint64_t space_policy_excess(const struct cache_limits *limits, const struct space_state *state,
                             const struct stored_object_list *list, uint64_t need)
{
    const uint64_t max_size = space_policy_limit_bytes(&limits->max_size, state->filesystem_bytes);
    const uint64_t min_free = space_policy_limit_bytes(&limits->min_free, state->filesystem_bytes);
    const uint64_t held = add(add(space_policy_sum(list), state->staged_bytes), state->trash_bytes);
    const uint64_t wanted_free = add(add(min_free, unallocated(list)), need);
    const uint64_t over_size = max_size == 0 ? 0 : subtract(add(held, need), max_size);
    const uint64_t under_free = subtract(wanted_free, state->free_bytes);

    return over_size > under_free ? over_size : under_free;
}

bool space_policy_is_expired(const struct cache_limits *limits, const struct stored_object *object,
                             int64_t now_ns)
{
    int64_t age;

    if (limits->max_age_seconds == 0 || object->last_used_ns >= now_ns)
        return false;
    return __builtin_sub_overflow(now_ns, object->last_used_ns, &age) ||
           age > (int64_t)(limits->max_age_seconds * NANOSECONDS_PER_SECOND);
}
