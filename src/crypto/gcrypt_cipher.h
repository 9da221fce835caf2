/* SPDX-License-Identifier: Apache-2.0 */
/* What the ciphers by libgcrypt have in common, whatever their mode. */
#ifndef CRYPTO_GCRYPT_CIPHER_H
#define CRYPTO_GCRYPT_CIPHER_H

#include "crypto/cfb_cipher.h"
#include "glancefs/error.h"

#include <gcrypt.h>

/** Opens a handle in `mode` (GCRY_CIPHER_MODE_*) with key `key` (cipher_key_size bytes); the key
 *  schedule lives in the arena. ERROR_EXHAUSTED when that is full. */
int gcrypt_cipher_open(enum cipher_algorithm algorithm, int mode, const void *key,
                       gcry_cipher_hd_t *ret, struct error *err);

/** Aborts unless `result` is success: for calls that the library fails only when misused. */
void gcrypt_must(gcry_error_t result);

#endif
