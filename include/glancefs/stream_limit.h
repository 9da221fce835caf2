/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many files of a mount may be open at a time (`max_streams`), to read and to write together. Each
 * of them may hold a thread while it waits for a service: with a number of their own, writers could
 * take the threads that look-ups need.
 */
#ifndef GLANCEFS_STREAM_LIMIT_H
#define GLANCEFS_STREAM_LIMIT_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/limit_use.h"

struct stream_limit;

/** Room for `max_streams`. ERROR_EXHAUSTED only. */
int stream_limit_new(unsigned max_streams, struct stream_limit **ret, struct error *err);

/** NULL is allowed. */
void stream_limit_free(struct stream_limit *limit);
DEFINE_CLEANUP(struct stream_limit, stream_limit_free)

/** Takes a place. ERROR_EXHAUSTED with EMFILE when all are taken. NULL has places without end, here and
 *  below. Any thread; never waits. */
int stream_limit_take(struct stream_limit *limit, struct error *err);

/** Gives a place back. */
void stream_limit_give(struct stream_limit *limit);

/** The places and those that are taken; all zeros for NULL. */
void stream_limit_use(const struct stream_limit *limit, struct limit_use *ret);

#endif
