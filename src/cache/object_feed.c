/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/object_feed.h"

#include "base/monitor.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct object_feed {
    atomic_uint references;
    struct monitor monitor;   /* guards everything below */
    struct byte_source *file; /* NULL until the first byte can arrive; constant afterwards */
    uint64_t arrived;
    bool has_ended;
    struct error error; /* ERROR_NONE unless it ended badly */
};

struct follower {
    struct byte_source source;
    struct object_feed *feed;
    struct follower_listener listener;
};

int object_feed_new(struct object_feed **ret, struct error *err)
{
    struct object_feed *feed = calloc(1, sizeof *feed);

    if (feed == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    atomic_init(&feed->references, 1);
    monitor_init(&feed->monitor);
    *ret = feed;
    return 0;
}

struct object_feed *object_feed_ref(struct object_feed *feed)
{
    atomic_fetch_add(&feed->references, 1);
    return feed;
}

void object_feed_unref(struct object_feed *feed)
{
    if (feed == NULL || atomic_fetch_sub(&feed->references, 1) > 1)
        return;
    byte_source_free(feed->file);
    monitor_destroy(&feed->monitor);
    free(feed);
}

/* --- the writer's side --- */

void object_feed_set_file(struct object_feed *feed, struct byte_source *file)
{
    monitor_lock(&feed->monitor);
    feed->file = file;
    monitor_unlock(&feed->monitor);
}

void object_feed_arrived(struct object_feed *feed, uint64_t size)
{
    monitor_lock(&feed->monitor);
    feed->arrived = size;
    monitor_changed(&feed->monitor);
    monitor_unlock(&feed->monitor);
}

void object_feed_end(struct object_feed *feed, const struct error *err)
{
    monitor_lock(&feed->monitor);
    feed->has_ended = true;
    if (err != NULL)
        feed->error = *err;
    monitor_changed(&feed->monitor);
    monitor_unlock(&feed->monitor);
}

/* --- the followers' side --- */

/*
 * Waits until `size` bytes from `offset` can be read, or, after a good end, as many as there are:
 * *ret_size. Nothing is read under the lock; what has arrived stays.
 */
static int wait_for(struct object_feed *feed, uint64_t offset, size_t size, struct cancel *cancel,
                    size_t *ret_size, struct error *err)
{
    struct monitor_waiter waiter;
    uint64_t available;
    int result = 0;

    monitor_enter(&feed->monitor, cancel, &waiter);
    while (!feed->has_ended && !cancel_is_requested(cancel) &&
           (feed->arrived < offset || feed->arrived - offset < size))
        monitor_wait(&feed->monitor);
    available = feed->arrived > offset ? feed->arrived - offset : 0;
    if (available < size && feed->has_ended && error_is_set(&feed->error)) {
        *err = feed->error;
        result = -1;
    } else if (available < size && !feed->has_ended) {
        result = cancel_check(cancel, err);
    }
    monitor_leave(&feed->monitor, cancel, &waiter);
    *ret_size = available < size ? (size_t)available : size;
    return result;
}

static int follower_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                          struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct object_feed *feed = ((struct follower *)source)->feed;
    size_t ready;
    size_t got = 0;

    if (wait_for(feed, offset, size, cancel, &ready, err) < 0)
        return -1;
    if (ready > 0 && byte_source_pread(feed->file, buffer, ready, offset, cancel, &got, err) < 0)
        return -1;
    if (got < ready)
        return error_set(err, ERROR_CORRUPT, "the cached copy was cut off while it was read");
    *ret_size = got;
    return 0;
}

static uint64_t follower_size(struct byte_source *source)
{
    (void)source;
    return BYTE_SOURCE_SIZE_UNKNOWN;
}

static void follower_free(struct byte_source *source)
{
    struct follower *follower = (struct follower *)source;

    object_feed_unref(follower->feed);
    follower->listener.left(follower->listener.context);
    free(follower);
}

int object_feed_follow(struct object_feed *feed, struct follower_listener listener,
                       struct byte_source **ret, struct error *err)
{
    static const struct byte_source_ops ops = {
        .pread = follower_pread, .size = follower_size, .free = follower_free};
    struct follower *follower = calloc(1, sizeof *follower);

    if (follower == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    follower->source.ops = &ops;
    follower->feed = object_feed_ref(feed);
    follower->listener = listener;
    *ret = &follower->source;
    return 0;
}
