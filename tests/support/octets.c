/* SPDX-License-Identifier: Apache-2.0 */
#include "support/octets.h"

#include <stdlib.h>
#include <string.h>

void octets_clear(struct octets *octets)
{
    free(octets->data);
    *octets = (struct octets){0};
}

static uint8_t *grow(struct octets *octets, size_t size)
{
    uint8_t *end;

    if (octets->data == NULL || size > octets->capacity - octets->size) {
        octets->capacity = 2 * (octets->size + size) + 16;
        octets->data = realloc(octets->data, octets->capacity);
    }
    if (octets->data == NULL)
        abort();
    end = octets->data + octets->size;
    octets->size += size;
    return end;
}

void octets_add(struct octets *octets, const void *bytes, size_t size)
{
    uint8_t *end = grow(octets, size);

    if (size > 0)
        memcpy(end, bytes, size);
}

void octets_add_u8(struct octets *octets, unsigned value)
{
    *grow(octets, 1) = (uint8_t)value;
}

void octets_add_run(struct octets *octets, uint8_t value, size_t size)
{
    memset(grow(octets, size), value, size);
}
