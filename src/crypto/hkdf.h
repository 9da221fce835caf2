/* SPDX-License-Identifier: Apache-2.0 */
/* Key derivation from a key (RFC 5869), by OpenSSL. */
#ifndef CRYPTO_HKDF_H
#define CRYPTO_HKDF_H

#include "crypto/hash.h"
#include "glancefs/error.h"

#include <stddef.h>
#include <stdint.h>

/**
 * HKDF with HMAC of `algorithm`: derives `size` bytes (at most 255 digests) from `key`, with `salt`
 * and `info`, each of which may be empty (and NULL). `ret` should lie in locked memory.
 * ERROR_EXHAUSTED when the library has no memory.
 */
int hkdf_derive(enum hash_algorithm algorithm, const void *key, size_t key_size, const void *salt,
                size_t salt_size, const void *info, size_t info_size, uint8_t *ret, size_t size,
                struct error *err);

#endif
