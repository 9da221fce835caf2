/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/upload_backoff.h"

#include "base/clock.h"

#include <sys/random.h>

/* From 0 to `limit`; without randomness 0. */
static uint64_t random_up_to(uint64_t limit)
{
    uint64_t value = 0;

    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != (ssize_t)sizeof value)
        return 0;
    return value % (limit + 1);
}

static unsigned next_delay_ms(struct upload_backoff *backoff)
{
    const unsigned delay = backoff->next_ms == 0 ? backoff->first_ms : backoff->next_ms;

    backoff->next_ms = delay > backoff->last_ms / 2 ? backoff->last_ms : 2 * delay;
    return delay < backoff->last_ms ? delay : backoff->last_ms;
}

uint64_t upload_backoff_deadline(struct upload_backoff *backoff)
{
    const uint64_t delay = (uint64_t)next_delay_ms(backoff) * NANOSECONDS_PER_MILLISECOND;

    return clock_monotonic_ns() + delay - random_up_to(delay / 2);
}

void upload_backoff_wait(struct monitor *monitor, uint64_t deadline_ns)
{
    const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / NANOSECONDS_PER_SECOND),
                                      .tv_nsec = (long)(deadline_ns % NANOSECONDS_PER_SECOND)};

    (void)pthread_cond_clockwait(&monitor->changed, &monitor->mutex, CLOCK_MONOTONIC, &deadline);
}
