/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that went through one stage of the way between a cloud and a reader or writer, and the time
 * that threads spent on them. A stage counts what it finished; the seconds of threads that work at
 * the same time add up, so they can be more than those on the wall.
 */
#ifndef GLANCEFS_STAGE_COUNTER_H
#define GLANCEFS_STAGE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

/** Starts as all zeros; atomic, so that nobody locks to count. */
struct stage_counter {
    atomic_uint_fast64_t bytes;
    atomic_uint_fast64_t nanoseconds;
};

/** Adds `bytes`, and the time since `started_ns` of clock_monotonic_ns. NULL is allowed: then nobody
 *  counts. Any thread; never waits. */
void stage_counter_add(struct stage_counter *counter, uint64_t bytes, uint64_t started_ns);

#endif
