/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/download_queue.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdbool.h>

struct download_waiter {
    struct download_waiter *next; /* who came after him */
};

void download_queue_init(struct download_queue *queue, unsigned limit, uint64_t wait_ms)
{
    *queue = (struct download_queue){.limit = limit, .wait_ms = wait_ms};
    monitor_init(&queue->monitor);
}

void download_queue_destroy(struct download_queue *queue)
{
    monitor_destroy(&queue->monitor);
}

/* --- the line; all locked --- */

static struct download_waiter **end_of_line(struct download_queue *queue)
{
    struct download_waiter **link = &queue->first;

    while (*link != NULL)
        link = &(*link)->next;
    return link;
}

static void line_up(struct download_queue *queue, struct download_waiter *self)
{
    *end_of_line(queue) = self;
    queue->waiting++;
}

static void step_out(struct download_queue *queue, const struct download_waiter *self)
{
    struct download_waiter **link = &queue->first;

    while (*link != self)
        link = &(*link)->next;
    *link = self->next;
    queue->waiting--;
}

static bool may_run(const struct download_queue *queue, const struct download_waiter *self)
{
    return queue->first == self && (queue->limit == 0 || queue->running < queue->limit);
}

/* True when the turn came. */
static bool wait_for_turn(struct download_queue *queue, struct download_waiter *self,
                          const struct cancel *cancel)
{
    const uint64_t deadline_ns =
        clock_monotonic_ns() + queue->wait_ms * NANOSECONDS_PER_MILLISECOND;

    while (!may_run(queue, self) && !cancel_is_requested(cancel) &&
           clock_monotonic_ns() < deadline_ns)
        monitor_wait_until(&queue->monitor, deadline_ns);
    return may_run(queue, self) && !cancel_is_requested(cancel);
}

/* --- turns --- */

static int refuse(const struct download_queue *queue, struct cancel *cancel, struct error *err)
{
    if (cancel_check(cancel, err) < 0)
        return -1;
    return error_set(
        err, ERROR_EXHAUSTED,
        "was not downloaded: max_downloads=%u images are being downloaded, and none of "
        "them ended within %" PRIu64 " s",
        queue->limit, queue->wait_ms / 1000);
}

int download_queue_enter(struct download_queue *queue, struct cancel *cancel, struct error *err)
{
    struct download_waiter self = {.next = NULL};
    struct monitor_waiter waiter;
    bool is_let_in;

    monitor_enter(&queue->monitor, cancel, &waiter);
    line_up(queue, &self);
    is_let_in = wait_for_turn(queue, &self, cancel);
    step_out(queue, &self);
    queue->running += is_let_in;
    monitor_changed(&queue->monitor); /* somebody else is the first one now */
    monitor_leave(&queue->monitor, cancel, &waiter);
    return is_let_in ? 0 : refuse(queue, cancel, err);
}

void download_queue_leave(struct download_queue *queue)
{
    monitor_lock(&queue->monitor);
    queue->running--;
    monitor_changed(&queue->monitor);
    monitor_unlock(&queue->monitor);
}

void download_queue_use(struct download_queue *queue, struct limit_use *ret)
{
    monitor_lock(&queue->monitor);
    *ret = (struct limit_use){
        .limit = queue->limit, .used = queue->running, .waiting = queue->waiting};
    monitor_unlock(&queue->monitor);
}
