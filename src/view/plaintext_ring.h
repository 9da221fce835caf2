/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of locked memory in which a forward stream of plaintext is decrypted, delivered from and
 * kept for a while: byte number n lies at n modulo the capacity, nothing is copied. One thread at a
 * time.
 */
#ifndef VIEW_PLAINTEXT_RING_H
#define VIEW_PLAINTEXT_RING_H

#include "glancefs/error.h"
#include "glancefs/secure_arena.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct plaintext_pieces;

struct plaintext_ring {
    struct secure_arena *arena;
    uint8_t *memory; /* NULL before plaintext_ring_prepare */
    size_t capacity;
    uint64_t end; /* so many bytes were put in, ever */
};

/** An empty ring for `capacity` bytes, of which none is taken yet. */
void plaintext_ring_init(struct plaintext_ring *ring, struct secure_arena *arena, size_t capacity);

/** Takes the memory, unless it has it. ERROR_EXHAUSTED. */
int plaintext_ring_prepare(struct plaintext_ring *ring, struct error *err);

/** Wipes and gives the memory back. */
void plaintext_ring_clear(struct plaintext_ring *ring);

/** Bytes from `offset` that lie in one piece, at most up to `end`. */
struct iovec plaintext_ring_piece(const struct plaintext_ring *ring, uint64_t offset, uint64_t end);

/** All bytes from `offset` up to `end`, which the ring holds. */
void plaintext_ring_pieces(const struct plaintext_ring *ring, uint64_t offset, uint64_t end,
                           struct plaintext_pieces *ret);

#endif
