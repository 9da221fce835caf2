/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream with look-ahead: its next bytes can be seen before they are read. Packet headers are
 * parsed out of it. Small reads are served from its buffer, which is filled in one piece; reads of
 * at least its capacity go straight to the stream below, into the caller's memory.
 */
#ifndef CODEC_OPENPGP_LOOKAHEAD_H
#define CODEC_OPENPGP_LOOKAHEAD_H

#include "codec/openpgp/byte_stream.h"
#include "glancefs/secure_arena.h"

#include <stdint.h>

struct lookahead {
    struct byte_stream stream;
    struct byte_stream *below; /* borrowed */
    struct secure_arena *arena;
    uint8_t *buffer; /* in the arena, or on the heap when that is NULL */
    size_t capacity;
    size_t begin, end; /* the bytes seen but not read */
    uint64_t position; /* bytes read */
};

/** Makes one over `below`. Plaintext needs an `arena`; ciphertext may live on the heap (NULL).
 *  ERROR_EXHAUSTED when there is no memory. */
int lookahead_new(struct byte_stream *below, struct secure_arena *arena, size_t capacity,
                  struct lookahead **ret, struct error *err);

/** Frees; NULL is allowed. What lies in an arena is wiped by that. */
void lookahead_free(struct lookahead *lookahead);
DEFINE_CLEANUP(struct lookahead, lookahead_free)

/**
 * Shows the next bytes: at least `wanted` (1 … capacity) unless the stream ends before, and 0 at
 * its end. They stay valid until the next call.
 */
int lookahead_peek(struct lookahead *lookahead, size_t wanted, struct cancel *cancel,
                   const uint8_t **ret_bytes, size_t *ret_size, struct error *err);

/** Steps over `size` bytes, which were shown before. */
void lookahead_skip(struct lookahead *lookahead, size_t size);

/** Bytes that can be read without asking the stream below. */
size_t lookahead_available(const struct lookahead *lookahead);

/** Bytes read or skipped so far. */
uint64_t lookahead_position(const struct lookahead *lookahead);

#endif
