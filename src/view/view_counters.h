/* SPDX-License-Identifier: Apache-2.0 */
/* What an index counts from its start on, for status. Atomic, so that nobody locks to count. */
#ifndef VIEW_VIEW_COUNTERS_H
#define VIEW_VIEW_COUNTERS_H

#include "glancefs/stage_counter.h"

#include <stdatomic.h>
#include <stdint.h>

struct view_counters {
    atomic_uint_fast64_t opens;         /* that succeeded */
    atomic_uint_fast64_t failed_opens;  /* interrupted ones are not failed */
    atomic_uint_fast64_t verifications; /* that found the image sound */
    atomic_uint_fast64_t reopens;       /* that needed no verification: the layout was known */
    atomic_uint_fast64_t failed_verifications; /* cancelled ones are not failed */
    atomic_uint_fast64_t reads;                /* that succeeded, empty ones included */
    atomic_uint_fast64_t failed_reads;
    atomic_uint_fast64_t read_bytes; /* plaintext handed out, repeated reads included */
    atomic_uint_fast64_t cache_hits; /* opens of an image that the cache had complete */
    atomic_uint_fast64_t cache_misses;
    struct stage_counter verify;  /* ciphertext of passes before the first byte was handed out */
    struct stage_counter decrypt; /* plaintext for readers; reading the ciphertext included */
};

#endif
