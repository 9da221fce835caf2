/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bounded cursor: the only way bytes from outside are parsed. It reads a borrowed run of
 * bytes from front to back and cannot leave it. A read past the end fails and consumes nothing.
 */
#ifndef GLANCEFS_BYTE_CURSOR_H
#define GLANCEFS_BYTE_CURSOR_H

#include "glancefs/error.h"

#include <stddef.h>
#include <stdint.h>

struct byte_cursor {
    const uint8_t *bytes; /* borrowed */
    size_t size;
    size_t position; /* <= size */
};

/** A cursor at the start of `size` bytes, which must outlive it. */
struct byte_cursor byte_cursor_over(const void *bytes, size_t size);

/** Bytes not read yet. */
size_t byte_cursor_remaining(const struct byte_cursor *cursor);

/** Big-endian numbers (RFC 9580 section 3.1). ERROR_CORRUPT when the bytes end before. */
int byte_cursor_u8(struct byte_cursor *cursor, uint8_t *ret, struct error *err);
int byte_cursor_u16(struct byte_cursor *cursor, uint16_t *ret, struct error *err);
int byte_cursor_u32(struct byte_cursor *cursor, uint32_t *ret, struct error *err);

/** Borrows the next `size` bytes and steps over them. ERROR_CORRUPT when there are fewer. */
int byte_cursor_take(struct byte_cursor *cursor, size_t size, const uint8_t **ret,
                     struct error *err);

/** Copies the next `size` bytes into `out`. ERROR_CORRUPT when there are fewer. */
int byte_cursor_copy(struct byte_cursor *cursor, void *out, size_t size, struct error *err);

/** ERROR_CORRUPT unless every byte was read. */
int byte_cursor_finish(const struct byte_cursor *cursor, struct error *err);

#endif
