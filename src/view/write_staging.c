/* SPDX-License-Identifier: Apache-2.0 */
#include "view/write_staging.h"

#include "base/clock.h"
#include "glancefs/byte_source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Seals at a time: each of them waits for the disk. */
#define SEAL_THREADS 4

/* --- the set --- */

int write_stagings_new(void (*on_seal)(void *, const char *, const struct error *), void *context,
                       struct write_stagings **ret, struct error *err)
{
    CLEANUP(write_stagings_free) struct write_stagings *set = calloc(1, sizeof *set);

    if (set == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    monitor_init(&set->monitor);
    set->on_seal = on_seal;
    set->on_seal_context = context;
    if (cancel_new(&set->shutdown, err) < 0 ||
        worker_pool_new("seal", SEAL_THREADS, &set->pool, err) < 0)
        return -1;
    *ret = steal(&set);
    return 0;
}

void write_stagings_free(struct write_stagings *set)
{
    if (set == NULL)
        return;
    if (set->shutdown != NULL)
        cancel_request(set->shutdown);
    worker_pool_free(set->pool);
    while (set->first != NULL) {
        struct write_staging *staging = write_staging_ref(set->first);

        staging->is_busy = true;
        write_staging_remove(staging);
        write_staging_unref(staging);
    }
    cancel_unref(set->shutdown);
    monitor_destroy(&set->monitor);
    free(set);
}

struct write_staging *write_stagings_find(struct write_stagings *set, const char *id)
{
    struct write_staging *staging = set->first;

    while (staging != NULL && strcmp(staging->image_id, id) != 0)
        staging = staging->next;
    return staging;
}

struct write_staging *write_stagings_find_or_add(struct write_stagings *set, const char *id)
{
    struct write_staging *staging = write_stagings_find(set, id);

    if (staging != NULL)
        return staging;
    staging = calloc(1, sizeof *staging);
    if (staging == NULL)
        return NULL;
    staging->set = set;
    staging->references = 1;
    staging->declared_size = BYTE_SOURCE_SIZE_UNKNOWN;
    staging->idle_since_ns = clock_monotonic_ns();
    (void)snprintf(staging->image_id, sizeof staging->image_id, "%s", id);
    staging->is_listed = true;
    staging->next = set->first;
    set->first = staging;
    return staging;
}

void write_staging_unlist(struct write_staging *staging)
{
    struct write_staging **link = &staging->set->first;

    if (!staging->is_listed)
        return;
    while (*link != staging)
        link = &(*link)->next;
    *link = staging->next;
    staging->is_listed = false;
    staging->references--;
}

struct write_staging *write_staging_ref(struct write_staging *staging)
{
    __atomic_fetch_add(&staging->references, 1, __ATOMIC_RELAXED);
    return staging;
}
