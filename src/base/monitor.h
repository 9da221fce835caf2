/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mutex and a condition variable whose waits end when a cancel token is cancelled.
 *
 *     struct monitor_waiter waiter;
 *     monitor_enter(&m, cancel, &waiter);
 *     while (!ready && !cancel_is_requested(cancel))
 *         monitor_wait(&m);
 *     monitor_leave(&m, cancel, &waiter);
 *
 * Lock order: a cancel token's own lock, then the monitor's (see cancel.h); so enter and leave are
 * called without any lock that a listener takes.
 */
#ifndef BASE_MONITOR_H
#define BASE_MONITOR_H

#include "glancefs/cancel.h"

#include <pthread.h>
#include <stdint.h>

struct monitor {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

struct monitor_waiter {
    struct cancel_listener listener;
};

void monitor_init(struct monitor *monitor);
void monitor_destroy(struct monitor *monitor);

/** Plain lock and unlock, for those who do not wait. */
void monitor_lock(struct monitor *monitor);
void monitor_unlock(struct monitor *monitor);

/** Locks, with `cancel` (may be NULL) set to wake this waiter. */
void monitor_enter(struct monitor *monitor, struct cancel *cancel, struct monitor_waiter *waiter);

/** Waits for monitor_changed or the token; may wake for no reason. */
void monitor_wait(struct monitor *monitor);

/** The same, at the latest until the CLOCK_MONOTONIC time `deadline_ns` (base/clock.h). */
void monitor_wait_until(struct monitor *monitor, uint64_t deadline_ns);

/** Unlocks and withdraws the waiter. */
void monitor_leave(struct monitor *monitor, struct cancel *cancel, struct monitor_waiter *waiter);

/** Wakes every waiter; called with the monitor locked. */
void monitor_changed(struct monitor *monitor);

#endif
