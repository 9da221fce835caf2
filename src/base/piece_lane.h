/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread beside its owner, for the serial half of work on a stream (a hash, CFB encryption): it
 * works on pieces in place and in order, while the owner reads, writes or does the other half.
 *
 * Pieces are copied into PIECE_LANE_PIECES places, in locked memory where they are secret. The owner
 * puts pieces until the lane is full, then takes the oldest one, worked on, to have a place again:
 *
 *     while (piece_lane_is_full(lane) && piece_lane_take(lane, &bytes, &size))
 *         use(bytes, size);
 *     piece_lane_put(lane, more, more_size);
 *
 * The work never waits for anything and cannot fail, so no call waits longer than the work on all
 * pieces takes: about a millisecond, which is why none has a cancel token. One owner's thread.
 */
#ifndef BASE_PIECE_LANE_H
#define BASE_PIECE_LANE_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Pieces on the lane at most, and bytes of one. */
#define PIECE_LANE_PIECES 8
#define PIECE_LANE_PIECE_BYTES ((size_t)64 * 1024)

struct piece_lane;

/**
 * Starts a thread that calls `work` for the bytes of each piece, a KiB at a time (the last call for
 * a piece may have less), to work on them in place. What `context` points to is the thread's while
 * anything is on the lane, the owner's while piece_lane_take says that nothing is. The pieces lie in
 * memory of `arena`; NULL for what is not secret. ERROR_EXHAUSTED without memory or thread: the owner
 * then does the work himself.
 */
int piece_lane_new(struct secure_arena *arena,
                   void (*work)(void *context, uint8_t *bytes, size_t size), void *context,
                   struct piece_lane **ret, struct error *err);

/** Ends the thread once it is through with its present piece; the others are dropped. Wipes and
 *  frees; NULL is allowed. */
void piece_lane_free(struct piece_lane *lane);
DEFINE_CLEANUP(struct piece_lane, piece_lane_free)

/** True when nothing can be put before something was taken. */
bool piece_lane_is_full(const struct piece_lane *lane);

/** Hands over a copy of `size` (1 to PIECE_LANE_PIECE_BYTES) bytes. The lane is not full. */
void piece_lane_put(struct piece_lane *lane, const void *bytes, size_t size);

/**
 * Waits for the oldest piece to be worked on and gives its bytes, which stay until the next call of
 * piece_lane_put. False when nothing is on the lane.
 */
bool piece_lane_take(struct piece_lane *lane, const uint8_t **ret_bytes, size_t *ret_size);

#endif
