/* SPDX-License-Identifier: Apache-2.0 */
/* When to try again, and waiting until then. */
#ifndef CACHE_UPLOAD_BACKOFF_H
#define CACHE_UPLOAD_BACKOFF_H

#include "base/monitor.h"

#include <stdint.h>

/** Delays that double. Start with both limits and `next_ms` 0. */
struct upload_backoff {
    unsigned first_ms;
    unsigned last_ms;
    unsigned next_ms; /* 0: none was taken yet */
};

/** When to try again, by clock_monotonic_ns: after the next delay, or as little as half of it, at
 *  random, so that many who failed together do not come back together. */
uint64_t upload_backoff_deadline(struct upload_backoff *backoff);

/** Waits, with the monitor locked, for monitor_changed or for that time; may wake for no reason. */
void upload_backoff_wait(struct monitor *monitor, uint64_t deadline_ns);

#endif
