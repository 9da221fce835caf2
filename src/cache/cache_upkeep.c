/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_upkeep.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/monitor.h"
#include "base/worker_pool.h"
#include "cache/wall_clock.h"

#include <stdlib.h>

#define PERIOD_NS (60 * NANOSECONDS_PER_SECOND)

struct cache_upkeep {
    struct job job;
    struct cache_space *space;
    struct worker_pool *pool;
    struct cancel *stop;
    struct monitor monitor; /* only to sleep in */
};

static void keep_limits(struct cache_upkeep *upkeep)
{
    struct error err = ERROR_INIT;

    if (cache_space_enforce(upkeep->space, wall_clock_ns(), upkeep->stop, NULL, &err) < 0)
        log_debug("cache: upkeep: %s", err.message);
}

static void sleep_until(struct cache_upkeep *upkeep, uint64_t deadline_ns)
{
    struct monitor_waiter waiter;

    monitor_enter(&upkeep->monitor, upkeep->stop, &waiter);
    while (!cancel_is_requested(upkeep->stop) && clock_monotonic_ns() < deadline_ns)
        monitor_wait_until(&upkeep->monitor, deadline_ns);
    monitor_leave(&upkeep->monitor, upkeep->stop, &waiter);
}

static void loop(struct job *job)
{
    struct cache_upkeep *upkeep = (struct cache_upkeep *)job;

    while (!cancel_is_requested(upkeep->stop)) {
        keep_limits(upkeep);
        sleep_until(upkeep, clock_monotonic_ns() + PERIOD_NS);
    }
}

int cache_upkeep_new(struct cache_space *space, struct cache_upkeep **ret, struct error *err)
{
    CLEANUP(cache_upkeep_free) struct cache_upkeep *upkeep = calloc(1, sizeof *upkeep);

    if (upkeep == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    upkeep->job.run = loop;
    upkeep->space = space;
    monitor_init(&upkeep->monitor);
    if (cancel_new(&upkeep->stop, err) < 0 ||
        worker_pool_new("upkeep", 1, &upkeep->pool, err) < 0 ||
        worker_pool_submit(upkeep->pool, &upkeep->job, err) < 0)
        return -1;
    *ret = steal(&upkeep);
    return 0;
}

void cache_upkeep_free(struct cache_upkeep *upkeep)
{
    if (upkeep == NULL)
        return;
    if (upkeep->stop != NULL)
        cancel_request(upkeep->stop);
    worker_pool_free(upkeep->pool);
    cancel_unref(upkeep->stop);
    monitor_destroy(&upkeep->monitor);
    free(upkeep);
}
