/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The background worker: some threads that make attempts when they are due. Between two attempts an
 * upload costs no thread, so that images whose service is in trouble do not hold up the others.
 */
#ifndef CACHE_UPLOAD_WORKER_H
#define CACHE_UPLOAD_WORKER_H

#include "base/uuid.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/limit_use.h"

#include <stdbool.h>
#include <stddef.h>

/** The most threads of a worker. */
#define UPLOAD_WORKER_THREADS 64

/** What the worker works on. The functions are called by its threads, without any lock. */
struct upload_worker_parts {
    /** Ids of what is to be sent; caller frees *ret. Asked at the start and every last_retry_ms, to
     *  find what other processes sealed. */
    int (*list)(void *context, char (**ret)[UUID_TEXT_BYTES], size_t *ret_count, struct error *err);
    /** Makes one attempt; true when another one should follow. Never twice at a time for one id. */
    bool (*attempt)(void *context, const char *id, struct cancel *cancel);
    /** What can wait, and may take its time: called after each listing, once nothing is due or under
     *  way, by one thread at a time. May be NULL. */
    void (*tidy)(void *context);
    void *context;
    unsigned first_retry_ms; /* delay after a first attempt, doubled up to last_retry_ms */
    unsigned last_retry_ms;
    unsigned threads; /* attempts at a time, 1 to UPLOAD_WORKER_THREADS */
};

struct upload_worker;

/** Starts the threads. */
int upload_worker_new(const struct upload_worker_parts *parts, struct upload_worker **ret,
                      struct error *err);

/** Makes `id` due now. What memory does not allow is found by the next listing. Any thread. */
void upload_worker_add(struct upload_worker *worker, const char *id);

/** Its threads, the attempts under way, and those that are due and wait for a thread. Any thread. */
void upload_worker_use(struct upload_worker *worker, struct limit_use *ret);

/** Cancels attempts under way and ends the threads. NULL is allowed. */
void upload_worker_free(struct upload_worker *worker);
DEFINE_CLEANUP(struct upload_worker, upload_worker_free)

#endif
