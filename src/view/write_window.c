/* SPDX-License-Identifier: Apache-2.0 */
#include "view/write_window.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct write_window {
    struct secure_arena *arena;
    uint8_t *ring; /* the byte at offset o lies at o % capacity */
    size_t capacity;
    uint64_t consumed;
    uint64_t filled_end; /* from here on all bytes are zero; may be less than `consumed` */
};

int write_window_new(struct secure_arena *arena, size_t capacity, struct write_window **ret,
                     struct error *err)
{
    CLEANUP(write_window_free) struct write_window *window = calloc(1, sizeof *window);

    if (window == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    window->arena = arena;
    window->capacity = capacity;
    window->ring = secure_arena_allocate(arena, capacity);
    if (window->ring == NULL) {
        (void)secure_arena_refuse(arena, err);
        return error_prefix(err, "no %zu bytes for a write window", capacity);
    }
    *ret = steal(&window);
    return 0;
}

void write_window_free(struct write_window *window)
{
    if (window == NULL)
        return;
    secure_arena_release(window->arena, window->ring);
    free(window);
}

uint64_t write_window_consumed(const struct write_window *window)
{
    return window->consumed;
}

uint64_t write_window_end(const struct write_window *window)
{
    return window->consumed + window->capacity;
}

size_t write_window_capacity(const struct write_window *window)
{
    return window->capacity;
}

/* Where `offset` lies in the ring; *ret_size is `size`, or less where the ring wraps. */
static uint8_t *place_of(const struct write_window *window, uint64_t offset, uint64_t size,
                         size_t *ret_size)
{
    const size_t start = (size_t)(offset % window->capacity);
    const size_t room = window->capacity - start;

    *ret_size = size < room ? (size_t)size : room;
    return window->ring + start;
}

/* What callers vouch for; release builds do not check it. */
__attribute__((unused)) static bool contains(const struct write_window *window, uint64_t offset,
                                             size_t size)
{
    return offset >= window->consumed && size <= window->capacity &&
           offset - window->consumed <= window->capacity - size;
}

void write_window_put(struct write_window *window, const void *bytes, size_t size, uint64_t offset)
{
    const uint8_t *next = bytes;

    assert(contains(window, offset, size));
    while (size > 0) {
        size_t piece;
        uint8_t *place = place_of(window, offset, size, &piece);

        memcpy(place, next, piece);
        next += piece;
        size -= piece;
        offset += piece;
    }
    if (offset > window->filled_end)
        window->filled_end = offset;
}

void write_window_get(const struct write_window *window, void *buffer, size_t size, uint64_t offset)
{
    uint8_t *next = buffer;

    assert(contains(window, offset, size));
    while (size > 0) {
        size_t piece;
        const uint8_t *place = place_of(window, offset, size, &piece);

        memcpy(next, place, piece);
        next += piece;
        size -= piece;
        offset += piece;
    }
}

void write_window_zero(struct write_window *window, uint64_t start, uint64_t end)
{
    if (start < window->consumed)
        start = window->consumed;
    if (end > window->filled_end)
        end = window->filled_end;
    while (start < end) {
        size_t piece;
        uint8_t *place = place_of(window, start, end - start, &piece);

        explicit_bzero(place, piece);
        start += piece;
    }
}

const uint8_t *write_window_oldest(const struct write_window *window, uint64_t limit,
                                   size_t *ret_size)
{
    return place_of(window, window->consumed, limit, ret_size);
}

void write_window_consume(struct write_window *window, size_t size)
{
    assert(size <= window->capacity);
    write_window_zero(window, window->consumed, window->consumed + size);
    window->consumed += size;
}

void write_window_reset(struct write_window *window)
{
    write_window_zero(window, window->consumed, window->filled_end);
    window->consumed = 0;
    window->filled_end = 0;
}
