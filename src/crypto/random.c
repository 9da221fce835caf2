/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/random.h"

#include <gcrypt.h>

void random_bytes(void *out, size_t size)
{
    if (size > 0)
        gcry_randomize(out, size, GCRY_STRONG_RANDOM);
}
