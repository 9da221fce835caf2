/* SPDX-License-Identifier: Apache-2.0 */
/* ASCII armor. */
#include "codec/openpgp/armor.h"
#include "fuzz_main.h"

#include <stdlib.h>

void fuzz_one(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    uint8_t *bytes = NULL;
    size_t decoded = 0;

    if (armor_decode(data, size, &bytes, &decoded, &err) == 0) {
        FUZZ_ASSERT(decoded < size);
        free(bytes);
    }
}
