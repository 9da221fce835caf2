/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/http_retry.h"

#include "base/clock.h"
#include "base/monitor.h"
#include "glancefs/limits.h"

#define LONGEST_DOUBLINGS 5U /* 250 ms * 2^5 = 8 s */

bool http_retry_status(int status)
{
    return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}

uint64_t http_retry_pause_ns(unsigned attempt, uint64_t retry_after_seconds, uint32_t random)
{
    const unsigned doublings = attempt < LONGEST_DOUBLINGS ? attempt : LONGEST_DOUBLINGS;
    const uint64_t pause = HTTP_RETRY_FIRST_NS << doublings;

    if (retry_after_seconds > LIMIT_RETRY_AFTER_SECONDS)
        return LIMIT_RETRY_AFTER_SECONDS * NANOSECONDS_PER_SECOND;
    if (retry_after_seconds > 0)
        return retry_after_seconds * NANOSECONDS_PER_SECOND;
    return pause / 2 + pause / 1024 * (random % 1024);
}

int http_retry_wait(uint64_t until_ns, struct cancel *cancel, struct error *err)
{
    struct monitor monitor;
    struct monitor_waiter waiter;

    monitor_init(&monitor);
    monitor_enter(&monitor, cancel, &waiter);
    while (!cancel_is_requested(cancel) && clock_monotonic_ns() < until_ns)
        monitor_wait_until(&monitor, until_ns);
    monitor_leave(&monitor, cancel, &waiter);
    monitor_destroy(&monitor);
    return cancel_check(cancel, err);
}
