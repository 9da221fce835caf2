/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/secure_buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct secure_buffer {
    struct secure_arena *arena;
    uint8_t *data;
    size_t size;
    size_t capacity;
};

int secure_buffer_new(struct secure_arena *arena, size_t capacity, struct secure_buffer **ret,
                      struct error *err)
{
    struct secure_buffer *buffer = calloc(1, sizeof *buffer);

    if (buffer == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    buffer->arena = arena;
    buffer->capacity = capacity;
    buffer->data = secure_arena_allocate(arena, capacity == 0 ? 1 : capacity);
    if (buffer->data == NULL) {
        free(buffer);
        return secure_arena_refuse(arena, err);
    }
    *ret = buffer;
    return 0;
}

int secure_buffer_copy_of(struct secure_arena *arena, const void *bytes, size_t size,
                          struct secure_buffer **ret, struct error *err)
{
    if (secure_buffer_new(arena, size, ret, err) < 0)
        return -1;
    return secure_buffer_append(*ret, bytes, size, err);
}

void secure_buffer_free(struct secure_buffer *buffer)
{
    if (buffer == NULL)
        return;
    secure_arena_release(buffer->arena, buffer->data);
    free(buffer);
}

uint8_t *secure_buffer_data(struct secure_buffer *buffer)
{
    return buffer->data;
}

const uint8_t *secure_buffer_bytes(const struct secure_buffer *buffer)
{
    return buffer->data;
}

size_t secure_buffer_size(const struct secure_buffer *buffer)
{
    return buffer->size;
}

size_t secure_buffer_capacity(const struct secure_buffer *buffer)
{
    return buffer->capacity;
}

void secure_buffer_set_size(struct secure_buffer *buffer, size_t size)
{
    assert(size <= buffer->capacity);
    if (size < buffer->size)
        explicit_bzero(buffer->data + size, buffer->size - size);
    buffer->size = size;
}

int secure_buffer_append(struct secure_buffer *buffer, const void *bytes, size_t size,
                         struct error *err)
{
    if (size > buffer->capacity - buffer->size)
        return error_set(err, ERROR_TOO_LARGE, "secret is over %zu bytes", buffer->capacity);
    if (size > 0)
        memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
    return 0;
}

bool secure_buffer_equal(const struct secure_buffer *a, const struct secure_buffer *b)
{
    volatile uint8_t difference = 0;

    if (a->size != b->size)
        return false;
    for (size_t i = 0; i < a->size; i++)
        difference |= a->data[i] ^ b->data[i];
    return difference == 0;
}
