/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancel tokens: how an interrupted caller ends whatever it waits for, in milliseconds.
 *
 * One token belongs to one request. Everything that may wait takes a `struct cancel *`, which
 * may be NULL for "never". Code that computes polls cancel_check(); code that sleeps registers
 * a listener which wakes it (see base/monitor.h for the common case of a condition variable).
 *
 * Lock order: a token's lock comes before any lock that a listener's wake function takes; so
 * cancel_listen, cancel_unlisten and cancel_request are called without such a lock held.
 */
#ifndef GLANCEFS_CANCEL_H
#define GLANCEFS_CANCEL_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stdbool.h>

struct cancel;

/** Makes a token with one reference. Fails with ERROR_EXHAUSTED only. */
int cancel_new(struct cancel **ret, struct error *err);

/** Takes one more reference; NULL gives NULL. Any thread. */
struct cancel *cancel_ref(struct cancel *cancel);

/** Gives one reference back; the last one frees. NULL is allowed. Any thread. */
void cancel_unref(struct cancel *cancel);
DEFINE_CLEANUP(struct cancel, cancel_unref)

/** Cancels: sets the flag and calls each listener once. Idempotent; any thread; never blocks
 *  longer than its listeners do. */
void cancel_request(struct cancel *cancel);

/** True once cancelled; false for NULL. Lock-free. */
bool cancel_is_requested(const struct cancel *cancel);

/** 0, or -1 with ERROR_CANCELLED once cancelled. */
int cancel_check(const struct cancel *cancel, struct error *err);

/** A waiter's registration; lives on the waiter's stack between listen and unlisten. */
struct cancel_listener {
    void (*wake)(void *context); /* called once, with the token locked; must not block */
    void *context;
    struct cancel_listener *next, *previous; /* the token's own */
};

/** Registers `listener`. When already cancelled, wake is called before this returns. With a
 *  NULL token nothing happens. */
void cancel_listen(struct cancel *cancel, struct cancel_listener *listener);

/** Withdraws `listener`; afterwards its wake function neither runs nor will run. */
void cancel_unlisten(struct cancel *cancel, struct cancel_listener *listener);

#endif
