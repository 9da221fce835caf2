/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/stage_counter.h"

#include "base/clock.h"

#include <stddef.h>

void stage_counter_add(struct stage_counter *counter, uint64_t bytes, uint64_t started_ns)
{
    if (counter == NULL)
        return;
    atomic_fetch_add(&counter->bytes, bytes);
    atomic_fetch_add(&counter->nanoseconds, clock_monotonic_ns() - started_ns);
}
