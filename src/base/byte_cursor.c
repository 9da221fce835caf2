/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/byte_cursor.h"

#include <string.h>

struct byte_cursor byte_cursor_over(const void *bytes, size_t size)
{
    return (struct byte_cursor){.bytes = bytes, .size = size, .position = 0};
}

size_t byte_cursor_remaining(const struct byte_cursor *cursor)
{
    return cursor->size - cursor->position;
}

int byte_cursor_take(struct byte_cursor *cursor, size_t size, const uint8_t **ret,
                     struct error *err)
{
    if (size > byte_cursor_remaining(cursor))
        return error_set(err, ERROR_CORRUPT, "data ends early: %zu bytes wanted, %zu left", size,
                         byte_cursor_remaining(cursor));
    *ret = cursor->bytes + cursor->position;
    cursor->position += size;
    return 0;
}

static int take_number(struct byte_cursor *cursor, size_t size, uint32_t *ret, struct error *err)
{
    const uint8_t *bytes;
    uint32_t value = 0;

    if (byte_cursor_take(cursor, size, &bytes, err) < 0)
        return -1;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    *ret = value;
    return 0;
}

int byte_cursor_u8(struct byte_cursor *cursor, uint8_t *ret, struct error *err)
{
    uint32_t value;

    if (take_number(cursor, 1, &value, err) < 0)
        return -1;
    *ret = (uint8_t)value;
    return 0;
}

int byte_cursor_u16(struct byte_cursor *cursor, uint16_t *ret, struct error *err)
{
    uint32_t value;

    if (take_number(cursor, 2, &value, err) < 0)
        return -1;
    *ret = (uint16_t)value;
    return 0;
}

int byte_cursor_u32(struct byte_cursor *cursor, uint32_t *ret, struct error *err)
{
    return take_number(cursor, 4, ret, err);
}

int byte_cursor_copy(struct byte_cursor *cursor, void *out, size_t size, struct error *err)
{
    const uint8_t *bytes;

    if (byte_cursor_take(cursor, size, &bytes, err) < 0)
        return -1;
    if (size > 0)
        memcpy(out, bytes, size);
    return 0;
}

int byte_cursor_finish(const struct byte_cursor *cursor, struct error *err)
{
    if (byte_cursor_remaining(cursor) > 0)
        return error_set(err, ERROR_CORRUPT, "%zu bytes too many", byte_cursor_remaining(cursor));
    return 0;
}
