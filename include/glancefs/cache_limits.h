/* SPDX-License-Identifier: Apache-2.0 */
/* How much the ciphertext cache may hold: options of the configuration, kept by the cache. */
#ifndef GLANCEFS_CACHE_LIMITS_H
#define GLANCEFS_CACHE_LIMITS_H

#include <stdint.h>

/** A limit in bytes, or in hundredths of the filesystem when `percent` is not 0. Both 0: none. */
struct cache_limit {
    uint64_t bytes;
    unsigned percent; /* 1 to 100 */
};

struct cache_limits {
    struct cache_limit max_size; /* of the cache directory, sealed uploads included */
    struct cache_limit min_free; /* what stays free on its filesystem */
    unsigned max_age_seconds;    /* since the last use of an image; 0: none */
};

#endif
