/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When an object was used: nanoseconds since the epoch, as files keep their times. In whole seconds
 * all that is opened while an instance starts would have been used at the same time.
 */
#ifndef CACHE_WALL_CLOCK_H
#define CACHE_WALL_CLOCK_H

#include <stdint.h>
#include <time.h>

/** Now, by a clock that people set, forwards and backwards. */
int64_t wall_clock_ns(void);

/** A file's time. What is too far off (292 years) becomes INT64_MIN or INT64_MAX. */
int64_t wall_clock_from_file(const struct timespec *time);

/** The same for utimensat(2). */
struct timespec wall_clock_to_file(int64_t time_ns);

/** Whole seconds since the epoch, for people: rounded down. */
int64_t wall_clock_seconds(int64_t time_ns);

#endif
