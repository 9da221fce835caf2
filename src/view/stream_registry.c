/* SPDX-License-Identifier: Apache-2.0 */
#include "view/stream_registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct stream_registry {
    struct stream_limit *limit;
    struct view_counters *counters;
    struct worker_pool *pool;
    struct reply_buffers *buffers;
    struct read_turns *turns;
    pthread_mutex_t mutex; /* guards everything below; nothing else is locked inside */
    struct stream_entry *first;
};

int stream_registry_new(struct stream_limit *limit, struct view_counters *counters,
                        struct secure_arena *arena, struct stream_registry **ret, struct error *err)
{
    CLEANUP(stream_registry_free) struct stream_registry *registry = calloc(1, sizeof *registry);
    struct limit_use use;

    if (registry == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    registry->limit = limit;
    registry->counters = counters;
    (void)pthread_mutex_init(&registry->mutex, NULL);
    stream_limit_use(limit, &use);
    if (worker_pool_new("read", use.limit, &registry->pool, err) < 0 ||
        reply_buffers_new(arena, &registry->buffers, err) < 0 ||
        read_turns_new(&registry->turns, err) < 0)
        return -1;
    *ret = steal(&registry);
    return 0;
}

void stream_registry_free(struct stream_registry *registry)
{
    if (registry == NULL)
        return;
    worker_pool_free(registry->pool);
    reply_buffers_free(registry->buffers);
    read_turns_free(registry->turns);
    (void)pthread_mutex_destroy(&registry->mutex);
    free(registry);
}

int stream_registry_reserve(struct stream_registry *registry, struct error *err)
{
    return stream_limit_take(registry->limit, err);
}

void stream_registry_cancel_reservation(struct stream_registry *registry)
{
    stream_limit_give(registry->limit);
}

void stream_registry_add(struct stream_registry *registry, struct stream_entry *entry)
{
    (void)pthread_mutex_lock(&registry->mutex);
    entry->previous = NULL;
    entry->next = registry->first;
    if (entry->next != NULL)
        entry->next->previous = entry;
    registry->first = entry;
    (void)pthread_mutex_unlock(&registry->mutex);
}

void stream_registry_remove(struct stream_registry *registry, struct stream_entry *entry)
{
    (void)pthread_mutex_lock(&registry->mutex);
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        registry->first = entry->next;
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
    (void)pthread_mutex_unlock(&registry->mutex);
    stream_limit_give(registry->limit);
}

void stream_registry_tidy(struct stream_registry *registry)
{
    bool is_empty;

    (void)pthread_mutex_lock(&registry->mutex);
    is_empty = registry->first == NULL;
    (void)pthread_mutex_unlock(&registry->mutex);
    if (is_empty)
        reply_buffers_release(registry->buffers);
    else
        reply_buffers_wipe(registry->buffers);
}

bool stream_registry_is_open(struct stream_registry *registry, const char *image_id)
{
    const struct stream_entry *entry;

    (void)pthread_mutex_lock(&registry->mutex);
    entry = registry->first;
    while (entry != NULL && strcmp(entry->image_id, image_id) != 0)
        entry = entry->next;
    (void)pthread_mutex_unlock(&registry->mutex);
    return entry != NULL;
}

void stream_registry_each(struct stream_registry *registry,
                          void (*visit)(void *context, const struct stream_entry *entry),
                          void *context)
{
    (void)pthread_mutex_lock(&registry->mutex);
    for (const struct stream_entry *entry = registry->first; entry != NULL; entry = entry->next)
        visit(context, entry);
    (void)pthread_mutex_unlock(&registry->mutex);
}

struct worker_pool *stream_registry_pool(struct stream_registry *registry)
{
    return registry->pool;
}

struct reply_buffers *stream_registry_buffers(struct stream_registry *registry)
{
    return registry->buffers;
}

struct read_turns *stream_registry_turns(struct stream_registry *registry)
{
    return registry->turns;
}

struct view_counters *stream_registry_counters(struct stream_registry *registry)
{
    return registry->counters;
}
