/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a stored image: refused, or read alike in every way. */
#include "fuzz_codec.h"
#include "fuzz_main.h"

void fuzz_one(const uint8_t *data, size_t size)
{
    fuzz_read_message(data, size, (uint32_t)size * UINT32_C(2654435761), NULL, 0);
}
