/* SPDX-License-Identifier: Apache-2.0 */
/* Growing bytes on the heap, to build inputs from. Running out of memory aborts. */
#ifndef SUPPORT_OCTETS_H
#define SUPPORT_OCTETS_H

#include <stddef.h>
#include <stdint.h>

/** Start with all zero: `CLEANUP(octets_clear) struct octets message = {0};`. */
struct octets {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

/** Frees the bytes and makes everything zero. */
void octets_clear(struct octets *octets);
__attribute__((unused)) static inline void octets_clear_cleanup(struct octets *octets)
{
    octets_clear(octets);
}

/** Appends bytes; `bytes` may be NULL when `size` is 0. */
void octets_add(struct octets *octets, const void *bytes, size_t size);
void octets_add_u8(struct octets *octets, unsigned value);

/** Appends `size` times `value`. */
void octets_add_run(struct octets *octets, uint8_t value, size_t size);

#endif
