/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/constant_time.h"

#include <openssl/crypto.h>

bool constant_time_equal(const void *a, const void *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}
