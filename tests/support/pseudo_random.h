/* SPDX-License-Identifier: Apache-2.0 */
/* Repeatable random numbers for tests of properties (SplitMix64): the seed decides everything. */
#ifndef SUPPORT_PSEUDO_RANDOM_H
#define SUPPORT_PSEUDO_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/** Start with `struct pseudo_random random = {.state = SEED};`. One thread at a time. */
struct pseudo_random {
    uint64_t state;
};

/** The next 64 bits. */
uint64_t pseudo_random_next(struct pseudo_random *random);

/** A number from 0 to limit - 1; `limit` is not 0. */
size_t pseudo_random_below(struct pseudo_random *random, size_t limit);

/** Fills `size` bytes. */
void pseudo_random_fill(struct pseudo_random *random, void *out, size_t size);

/** `size` bytes from `seed` on the heap; the caller frees them. Aborts when there is no memory. */
uint8_t *pseudo_random_bytes(uint64_t seed, size_t size);

#endif
