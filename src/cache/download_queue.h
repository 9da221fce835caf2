/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The downloads of one cache: so many run at a time (`max_downloads`), the others wait for their turn,
 * first come first served, and only for so long. Nobody else waits here: what is in the cache already
 * needs no turn, and who joins a download that is under way uses that one's.
 *
 * Thread-safe. Its lock is never held over I/O; lock order: a cancel token's lock, then this one.
 */
#ifndef CACHE_DOWNLOAD_QUEUE_H
#define CACHE_DOWNLOAD_QUEUE_H

#include "base/monitor.h"
#include "glancefs/cancel.h"
#include "glancefs/error.h"
#include "glancefs/limit_use.h"

#include <stdint.h>

/** Somebody who waits, on his own stack. */
struct download_waiter;

struct download_queue {
    unsigned limit;         /* downloads at a time; 0: any number */
    uint64_t wait_ms;       /* how long one may wait */
    struct monitor monitor; /* guards what follows */
    unsigned running;
    unsigned waiting;
    struct download_waiter *first; /* who came first */
};

/** `limit` 0: nobody ever waits. */
void download_queue_init(struct download_queue *queue, unsigned limit, uint64_t wait_ms);

/** Nobody may wait or have a turn any more. */
void download_queue_destroy(struct download_queue *queue);

/**
 * Waits for a turn. ERROR_CANCELLED when `cancel` (may be NULL) ends that, ERROR_EXHAUSTED when none
 * came in time; both leave the queue as if nobody had come.
 */
int download_queue_enter(struct download_queue *queue, struct cancel *cancel, struct error *err);

/** Gives the turn up that download_queue_enter gave. */
void download_queue_leave(struct download_queue *queue);

/** What it is used for now. */
void download_queue_use(struct download_queue *queue, struct limit_use *ret);

#endif
