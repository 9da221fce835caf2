/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/wall_clock.h"

#include "base/clock.h"

#define SECOND ((int64_t)NANOSECONDS_PER_SECOND)

int64_t wall_clock_from_file(const struct timespec *time)
{
    int64_t ns;

    if (__builtin_mul_overflow((int64_t)time->tv_sec, SECOND, &ns) ||
        __builtin_add_overflow(ns, (int64_t)time->tv_nsec, &ns))
        return time->tv_sec < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

int64_t wall_clock_seconds(int64_t time_ns)
{
    return time_ns / SECOND - (time_ns % SECOND < 0 ? 1 : 0);
}

struct timespec wall_clock_to_file(int64_t time_ns)
{
    const int64_t rest = time_ns % SECOND;

    return (struct timespec){.tv_sec = (time_t)wall_clock_seconds(time_ns),
                             .tv_nsec = (long)(rest < 0 ? rest + SECOND : rest)};
}

int64_t wall_clock_ns(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return wall_clock_from_file(&now);
}
