/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/lookahead.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Room is made first, so that the stream below is always asked for a large piece. */
static int fill(struct lookahead *lookahead, struct cancel *cancel, size_t *ret_size,
                struct error *err)
{
    memmove(lookahead->buffer, lookahead->buffer + lookahead->begin,
            lookahead->end - lookahead->begin);
    lookahead->end -= lookahead->begin;
    lookahead->begin = 0;
    if (byte_stream_read(lookahead->below, lookahead->buffer + lookahead->end,
                         lookahead->capacity - lookahead->end, cancel, ret_size, err) < 0)
        return -1;
    lookahead->end += *ret_size;
    return 0;
}

static int lookahead_read(struct byte_stream *stream, void *buffer, size_t size,
                          struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct lookahead *lookahead = (struct lookahead *)stream;
    size_t filled;

    if (lookahead->begin == lookahead->end && size >= lookahead->capacity) {
        if (byte_stream_read(lookahead->below, buffer, size, cancel, ret_size, err) < 0)
            return -1;
        lookahead->position += *ret_size;
        return 0;
    }
    if (lookahead->begin == lookahead->end && fill(lookahead, cancel, &filled, err) < 0)
        return -1;
    if (size > lookahead->end - lookahead->begin)
        size = lookahead->end - lookahead->begin;
    memcpy(buffer, lookahead->buffer + lookahead->begin, size);
    lookahead_skip(lookahead, size);
    *ret_size = size;
    return 0;
}

int lookahead_new(struct byte_stream *below, struct secure_arena *arena, size_t capacity,
                  struct lookahead **ret, struct error *err)
{
    static const struct byte_stream_ops ops = {.read = lookahead_read};
    CLEANUP(lookahead_free) struct lookahead *lookahead = calloc(1, sizeof *lookahead);

    if (lookahead == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    lookahead->stream.ops = &ops;
    lookahead->below = below;
    lookahead->arena = arena;
    lookahead->capacity = capacity;
    lookahead->buffer = arena != NULL ? secure_arena_allocate(arena, capacity) : malloc(capacity);
    if (lookahead->buffer == NULL)
        return arena != NULL ? secure_arena_refuse(arena, err)
                             : error_set(err, ERROR_EXHAUSTED, "out of memory");
    *ret = steal(&lookahead);
    return 0;
}

void lookahead_free(struct lookahead *lookahead)
{
    if (lookahead == NULL)
        return;
    if (lookahead->arena != NULL)
        secure_arena_release(lookahead->arena, lookahead->buffer);
    else
        free(lookahead->buffer);
    free(lookahead);
}

int lookahead_peek(struct lookahead *lookahead, size_t wanted, struct cancel *cancel,
                   const uint8_t **ret_bytes, size_t *ret_size, struct error *err)
{
    assert(wanted > 0 && wanted <= lookahead->capacity);
    while (lookahead->end - lookahead->begin < wanted) {
        size_t filled;

        if (fill(lookahead, cancel, &filled, err) < 0)
            return -1;
        if (filled == 0)
            break;
    }
    *ret_bytes = lookahead->buffer + lookahead->begin;
    *ret_size = lookahead->end - lookahead->begin;
    return 0;
}

void lookahead_skip(struct lookahead *lookahead, size_t size)
{
    assert(size <= lookahead->end - lookahead->begin);
    lookahead->begin += size;
    lookahead->position += size;
}

size_t lookahead_available(const struct lookahead *lookahead)
{
    return lookahead->end - lookahead->begin;
}

uint64_t lookahead_position(const struct lookahead *lookahead)
{
    return lookahead->position;
}
