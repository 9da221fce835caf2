/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns among verified images whose reads mostly need the processor. While only one image is read, its
 * streams are served as they come. While others are read as well, each image has one turn at a time,
 * which its streams take in the order in which they asked: many streams of one image then slow each
 * other, not the one stream of another image. Thread-safe; nothing waits: who gets no turn is told
 * when it is his.
 */
#ifndef VIEW_READ_TURNS_H
#define VIEW_READ_TURNS_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stdint.h>

/** An image counts as being read for so long after a read, in nanoseconds: longer than a reader who
 *  takes all he can get needs for his next one, on a machine that is busy, too. */
#define READ_TURNS_MEMORY_NS UINT64_C(100000000)

struct read_turns;

/** The turns of one image; exists while it has streams or a turn is taken. */
struct image_turns;

/** Embedded in a stream; in at most one queue at a time. */
struct turn_waiter {
    struct turn_waiter *next; /* the turns' own */
};

int read_turns_new(struct read_turns **ret, struct error *err);

/** Every image must have been left and every turn given back. NULL is allowed. */
void read_turns_free(struct read_turns *turns);
DEFINE_CLEANUP(struct read_turns, read_turns_free)

/** The turns of image `image_id`, for one more stream, which leaves them with image_turns_leave.
 *  ERROR_EXHAUSTED only. */
int read_turns_join(struct read_turns *turns, const char *image_id, struct image_turns **ret,
                    struct error *err);

/** A stream that neither waits nor will ask again is gone. NULL is allowed. */
void image_turns_leave(struct image_turns *image);

/**
 * Takes a turn for a read that came at `now_ns` (clock_monotonic_ns). False when it is others' turn:
 * then `waiter` is queued until image_turns_give hands it out.
 */
bool image_turns_take(struct image_turns *image, struct turn_waiter *waiter, uint64_t now_ns);

/** Gives a turn back at `now_ns`. The waiter whose turn it is now, which the caller has to see to; or
 *  NULL. */
struct turn_waiter *image_turns_give(struct image_turns *image, uint64_t now_ns);

#endif
