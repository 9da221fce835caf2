/* SPDX-License-Identifier: Apache-2.0 */
/* Seconds as nanoseconds, in which the cache counts times. */
#ifndef SECONDS_H
#define SECONDS_H

#include <stdint.h>

#define SECONDS(count) ((int64_t)(count)*1000000000)

#endif
