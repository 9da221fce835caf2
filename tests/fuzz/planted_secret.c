/* SPDX-License-Identifier: Apache-2.0 */
#include "planted_secret.h"

#include <string.h>

size_t planted_secret_count(const void *bytes, size_t size)
{
    const char *next = bytes;
    const char *const end = next + size;
    size_t count = 0;

    while (next != NULL && next < end) {
        next = memmem(next, (size_t)(end - next), PLANTED_SECRET, sizeof PLANTED_SECRET - 1);
        if (next != NULL) {
            next += sizeof PLANTED_SECRET - 1;
            count++;
        }
    }
    return count;
}

bool planted_secret_is_told(const struct error *err)
{
    return strstr(err->message, PLANTED_SECRET) != NULL;
}
