/* SPDX-License-Identifier: Apache-2.0 */
#include "support/pseudo_random.h"

#include <stdlib.h>
#include <string.h>

uint64_t pseudo_random_next(struct pseudo_random *random)
{
    uint64_t mixed = random->state += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

size_t pseudo_random_below(struct pseudo_random *random, size_t limit)
{
    return (size_t)(pseudo_random_next(random) % limit);
}

void pseudo_random_fill(struct pseudo_random *random, void *out, size_t size)
{
    uint8_t *bytes = out;

    while (size > 0) {
        const uint64_t value = pseudo_random_next(random);
        const size_t step = size < sizeof value ? size : sizeof value;

        memcpy(bytes, &value, step);
        bytes += step;
        size -= step;
    }
}

uint8_t *pseudo_random_bytes(uint64_t seed, size_t size)
{
    struct pseudo_random random = {.state = seed};
    uint8_t *bytes = malloc(size == 0 ? 1 : size);

    if (bytes == NULL)
        abort();
    pseudo_random_fill(&random, bytes, size);
    return bytes;
}
