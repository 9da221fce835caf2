/* SPDX-License-Identifier: Apache-2.0 */
#include "view/reply_buffers.h"

#include "glancefs/limits.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Kept when they come back: one for each thread that may receive requests. */
#define KEPT_BUFFERS 4

struct kept_buffer {
    void *memory;   /* NULL before it was needed */
    size_t dirty;   /* so many bytes of it may hold plaintext */
    bool is_used;   /* by a request, or being wiped */
    bool is_wiped;  /* just now, without the lock */
    bool is_doomed; /* while it is used: it is not kept when it comes back */
};

struct reply_buffers {
    struct secure_arena *arena;
    pthread_mutex_t mutex; /* guards what follows; the arena's lock may come after it */
    struct kept_buffer kept[KEPT_BUFFERS];
};

int reply_buffers_new(struct secure_arena *arena, struct reply_buffers **ret, struct error *err)
{
    struct reply_buffers *buffers = calloc(1, sizeof *buffers);

    if (buffers == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    buffers->arena = arena;
    (void)pthread_mutex_init(&buffers->mutex, NULL);
    *ret = buffers;
    return 0;
}

void reply_buffers_free(struct reply_buffers *buffers)
{
    if (buffers == NULL)
        return;
    for (size_t i = 0; i < KEPT_BUFFERS; i++)
        secure_arena_release(buffers->arena, buffers->kept[i].memory);
    (void)pthread_mutex_destroy(&buffers->mutex);
    free(buffers);
}

/* The first kept buffer that nobody uses, or NULL. Locked. */
static struct kept_buffer *find_unused(struct reply_buffers *buffers)
{
    for (size_t i = 0; i < KEPT_BUFFERS; i++)
        if (!buffers->kept[i].is_used)
            return &buffers->kept[i];
    return NULL;
}

void *reply_buffers_take(struct reply_buffers *buffers)
{
    struct kept_buffer *kept;
    void *memory = NULL;

    (void)pthread_mutex_lock(&buffers->mutex);
    kept = find_unused(buffers);
    if (kept != NULL) {
        if (kept->memory == NULL)
            kept->memory = secure_arena_allocate(buffers->arena, FUSE_REQUEST_BYTES);
        kept->is_used = kept->memory != NULL;
        memory = kept->memory;
    }
    (void)pthread_mutex_unlock(&buffers->mutex);
    return kept != NULL ? memory : secure_arena_allocate(buffers->arena, FUSE_REQUEST_BYTES);
}

/* Locked; NULL when `memory` is not kept. */
static struct kept_buffer *find_kept(struct reply_buffers *buffers, const void *memory)
{
    for (size_t i = 0; i < KEPT_BUFFERS; i++)
        if (buffers->kept[i].memory == memory)
            return &buffers->kept[i];
    return NULL;
}

/* It comes back; gives its memory when that is not to be kept, else NULL. Locked. */
static void *end_use(struct kept_buffer *kept)
{
    void *memory = NULL;

    kept->is_used = false;
    if (kept->is_doomed) {
        memory = kept->memory;
        *kept = (struct kept_buffer){.memory = NULL};
    }
    return memory;
}

/*
 * Keeps a buffer in the place of one that is used, which goes back to the arena in its turn: readers
 * who wait for a slow disk for long must not leave the others without kept ones. It may have been kept
 * before and lost its place: what requests before the last one left in it is not known any more. NULL,
 * or the buffer when there is no such place. Locked.
 */
static void *keep_instead(struct reply_buffers *buffers, void *buffer)
{
    for (size_t i = 0; i < KEPT_BUFFERS; i++) {
        struct kept_buffer *kept = &buffers->kept[i];

        if (kept->is_used && !kept->is_wiped && !kept->is_doomed) {
            *kept = (struct kept_buffer){.memory = buffer, .dirty = FUSE_REQUEST_BYTES};
            return NULL;
        }
    }
    return buffer;
}

void reply_buffers_give(struct reply_buffers *buffers, void *buffer, size_t used)
{
    struct kept_buffer *kept;
    void *unwanted;

    (void)pthread_mutex_lock(&buffers->mutex);
    kept = find_kept(buffers, buffer);
    if (kept == NULL) {
        unwanted = keep_instead(buffers, buffer);
    } else {
        kept->dirty = used > kept->dirty ? used : kept->dirty;
        unwanted = end_use(kept);
    }
    (void)pthread_mutex_unlock(&buffers->mutex);
    secure_arena_release(buffers->arena, unwanted);
}

/* Takes it, to be wiped without the lock; false when it is used, and then goes with that use, or is
 * clean. */
static bool take_dirty(struct reply_buffers *buffers, struct kept_buffer *kept)
{
    bool is_taken;

    (void)pthread_mutex_lock(&buffers->mutex);
    is_taken = !kept->is_used && kept->dirty > 0;
    kept->is_doomed = kept->is_used;
    kept->is_wiped = kept->is_wiped || is_taken;
    kept->is_used = kept->is_used || is_taken;
    (void)pthread_mutex_unlock(&buffers->mutex);
    return is_taken;
}

static void wipe_taken(struct reply_buffers *buffers, struct kept_buffer *kept)
{
    void *unwanted;

    explicit_bzero(kept->memory, kept->dirty);
    (void)pthread_mutex_lock(&buffers->mutex);
    kept->dirty = 0;
    kept->is_wiped = false;
    unwanted = end_use(kept);
    (void)pthread_mutex_unlock(&buffers->mutex);
    secure_arena_release(buffers->arena, unwanted);
}

void reply_buffers_wipe(struct reply_buffers *buffers)
{
    for (size_t i = 0; i < KEPT_BUFFERS; i++)
        if (take_dirty(buffers, &buffers->kept[i]))
            wipe_taken(buffers, &buffers->kept[i]);
}

/* Its memory, which is not kept any more; NULL when it is used: then that goes with the use. */
static void *take_away(struct reply_buffers *buffers, struct kept_buffer *kept)
{
    void *memory = NULL;

    (void)pthread_mutex_lock(&buffers->mutex);
    kept->is_doomed = true;
    if (!kept->is_used)
        memory = end_use(kept);
    (void)pthread_mutex_unlock(&buffers->mutex);
    return memory;
}

void reply_buffers_release(struct reply_buffers *buffers)
{
    for (size_t i = 0; i < KEPT_BUFFERS; i++)
        secure_arena_release(buffers->arena, take_away(buffers, &buffers->kept[i]));
}
