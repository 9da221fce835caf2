/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One hash of a string-to-key derivation. A key longer than the digest takes several, which differ
 * in zero octets before the same long input only, and so can be computed by a thread each.
 */
#ifndef CODEC_OPENPGP_S2K_LANE_H
#define CODEC_OPENPGP_S2K_LANE_H

#include "crypto/hash.h"
#include "glancefs/cancel.h"
#include "glancefs/secure_buffer.h"

#include <stddef.h>
#include <stdint.h>

/** As many as the longest key (32 bytes) takes of the shortest digest (16). */
#define S2K_MAXIMUM_LANES 2

struct s2k_lane {
    enum hash_algorithm hash;
    size_t zeros;                    /* octets before the input */
    const struct secure_buffer *run; /* the input, repeated as often as it takes */
    uint64_t count;                  /* bytes of input */
    uint64_t cpu_limit_ns;           /* CPU time it may take */
    struct cancel *cancel;
    uint8_t *digest; /* the result, in locked memory */
    uint64_t cpu_ns; /* CPU time it took */
    struct error err;
};

/** Computes one; afterwards `err` says how it went. Looks after the limit and the token every few
 *  microseconds. ERROR_TOO_LARGE: over the limit. */
void s2k_lane_run(struct s2k_lane *lane);

/** Computes 1 to S2K_MAXIMUM_LANES at once, each on a thread if one can be started. */
void s2k_lanes_run(struct s2k_lane *lanes, size_t count);

/** Sets ERROR_TOO_LARGE for derivations that take too much CPU. Returns -1. */
int s2k_takes_too_long(struct error *err);

#endif
