/* SPDX-License-Identifier: Apache-2.0 */
/* What the services of one cloud count from its opening on, for metrics. */
#ifndef GLANCEFS_SERVICE_COUNTERS_H
#define GLANCEFS_SERVICE_COUNTERS_H

#include "glancefs/stage_counter.h"

/** Starts as all zeros; atomic, so that nobody locks to count. */
struct service_counters {
    struct stage_counter download; /* image data that came; waiting for who takes it included */
    struct stage_counter upload;   /* image data that the image service took: whole images */
    atomic_uint_fast64_t retries;  /* requests that were sent again: no answer, or a bad one */
};

#endif
