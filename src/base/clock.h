/* SPDX-License-Identifier: Apache-2.0 */
/* Time that only moves forward, and CPU time, in nanoseconds. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NANOSECONDS_PER_SECOND UINT64_C(1000000000)
#define NANOSECONDS_PER_MILLISECOND (NANOSECONDS_PER_SECOND / 1000)

/** CLOCK_MONOTONIC. */
uint64_t clock_monotonic_ns(void);

/** CPU time of the calling thread. */
uint64_t clock_thread_cpu_ns(void);

#endif
