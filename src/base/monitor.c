/* SPDX-License-Identifier: Apache-2.0 */
#include "base/monitor.h"

#include "base/clock.h"
#include "glancefs/secure_arena.h"

#include <time.h>

static void wake(void *context)
{
    struct monitor *monitor = context;

    monitor_lock(monitor);
    monitor_changed(monitor);
    monitor_unlock(monitor);
}

void monitor_init(struct monitor *monitor)
{
    (void)pthread_mutex_init(&monitor->mutex, NULL);
    (void)pthread_cond_init(&monitor->changed, NULL);
}

void monitor_destroy(struct monitor *monitor)
{
    (void)pthread_cond_destroy(&monitor->changed);
    (void)pthread_mutex_destroy(&monitor->mutex);
}

void monitor_lock(struct monitor *monitor)
{
    (void)pthread_mutex_lock(&monitor->mutex);
}

void monitor_unlock(struct monitor *monitor)
{
    (void)pthread_mutex_unlock(&monitor->mutex);
}

void monitor_enter(struct monitor *monitor, struct cancel *cancel, struct monitor_waiter *waiter)
{
    waiter->listener.wake = wake;
    waiter->listener.context = monitor;
    cancel_listen(cancel, &waiter->listener);
    monitor_lock(monitor);
}

void monitor_wait(struct monitor *monitor)
{
    secure_registers_clear();
    (void)pthread_cond_wait(&monitor->changed, &monitor->mutex);
}

void monitor_wait_until(struct monitor *monitor, uint64_t deadline_ns)
{
    const struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / NANOSECONDS_PER_SECOND),
        .tv_nsec = (long)(deadline_ns % NANOSECONDS_PER_SECOND),
    };

    secure_registers_clear();
    (void)pthread_cond_clockwait(&monitor->changed, &monitor->mutex, CLOCK_MONOTONIC, &deadline);
}

void monitor_leave(struct monitor *monitor, struct cancel *cancel, struct monitor_waiter *waiter)
{
    monitor_unlock(monitor);
    cancel_unlisten(cancel, &waiter->listener);
}

void monitor_changed(struct monitor *monitor)
{
    (void)pthread_cond_broadcast(&monitor->changed);
}
