/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes for keys, salts and prefixes, from the kernel by way of libgcrypt. */
#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H

#include <stddef.h>

/** Fills `size` bytes with random of key strength. Cannot fail once the library is set up. */
void random_bytes(void *out, size_t size);

#endif
