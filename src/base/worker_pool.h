/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for jobs that may wait. The pool grows to `max_threads` as jobs come and shrinks again
 * after some seconds without work. Jobs start in the order they were submitted.
 */
#ifndef BASE_WORKER_POOL_H
#define BASE_WORKER_POOL_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

/** One piece of work, embedded in what it works on. Owned by the pool until run is called. */
struct job {
    void (*run)(struct job *job); /* may free the job, and may submit it again */
    struct job *next;             /* the pool's own */
};

struct worker_pool;

/** `name` (at most 15 bytes) shows in thread lists; borrowed. Threads block all signals. */
int worker_pool_new(const char *name, unsigned max_threads, struct worker_pool **ret,
                    struct error *err);

/** Lets threads look for the next job for a moment before they sleep (base/spin_wait.h): for short
 *  jobs that come one after the other. Before the first job. */
void worker_pool_stay_alert(struct worker_pool *pool);

/** Queues `job`. ERROR_EXHAUSTED only when not even one thread can be started. */
int worker_pool_submit(struct worker_pool *pool, struct job *job, struct error *err);

/** Waits until all submitted jobs have run, then ends the threads. NULL is allowed. */
void worker_pool_free(struct worker_pool *pool);
DEFINE_CLEANUP(struct worker_pool, worker_pool_free)

#endif
