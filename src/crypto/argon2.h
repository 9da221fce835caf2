/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Argon2id version 1.3 (RFC 9106), by libgcrypt. Its memory is ordinary heap, for it may be larger
 * than all that can be locked; it is wiped.
 */
#ifndef CRYPTO_ARGON2_H
#define CRYPTO_ARGON2_H

#include "glancefs/error.h"

#include <stddef.h>
#include <stdint.h>

struct argon2_cost {
    uint8_t passes;      /* at least 1 */
    uint8_t lanes;       /* at least 1 */
    uint32_t memory_kib; /* at least 8 × lanes */
};

/** Asked between pieces of the work, each a quarter of one lane: -1 ends it with *err. */
typedef int argon2_check(void *context, struct error *err);

/**
 * Derives `size` (at least 4) bytes from `passphrase` and `salt` into `ret`, which should lie in
 * locked memory. ERROR_EXHAUSTED: no memory. Other errors are those of `check`, which may be NULL.
 */
int argon2id_derive(const struct argon2_cost *cost, const void *passphrase, size_t passphrase_size,
                    const void *salt, size_t salt_size, argon2_check *check, void *context,
                    uint8_t *ret, size_t size, struct error *err);

#endif
