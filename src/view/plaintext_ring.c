/* SPDX-License-Identifier: Apache-2.0 */
#include "view/plaintext_ring.h"

#include "view/plaintext.h"

void plaintext_ring_init(struct plaintext_ring *ring, struct secure_arena *arena, size_t capacity)
{
    *ring = (struct plaintext_ring){.arena = arena, .capacity = capacity};
}

int plaintext_ring_prepare(struct plaintext_ring *ring, struct error *err)
{
    if (ring->memory == NULL)
        ring->memory = secure_arena_allocate(ring->arena, ring->capacity);
    if (ring->memory == NULL)
        return secure_arena_refuse(ring->arena, err);
    return 0;
}

void plaintext_ring_clear(struct plaintext_ring *ring)
{
    secure_arena_release(ring->arena, ring->memory);
    ring->memory = NULL;
}

struct iovec plaintext_ring_piece(const struct plaintext_ring *ring, uint64_t offset, uint64_t end)
{
    const size_t start = (size_t)(offset % ring->capacity);
    size_t length = ring->capacity - start;

    if (length > end - offset)
        length = (size_t)(end - offset);
    return (struct iovec){.iov_base = ring->memory + start, .iov_len = length};
}

void plaintext_ring_pieces(const struct plaintext_ring *ring, uint64_t offset, uint64_t end,
                           struct plaintext_pieces *ret)
{
    *ret = (struct plaintext_pieces){.size = (size_t)(end - offset)};
    while (offset < end) {
        ret->pieces[ret->count] = plaintext_ring_piece(ring, offset, end);
        offset += ret->pieces[ret->count++].iov_len;
    }
}
