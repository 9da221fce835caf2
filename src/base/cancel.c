/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/cancel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct cancel {
    atomic_uint references;
    atomic_bool requested;
    pthread_mutex_t mutex; /* guards the list; taken before any lock of a listener */
    struct cancel_listener *listeners;
};

int cancel_new(struct cancel **ret, struct error *err)
{
    struct cancel *cancel = calloc(1, sizeof *cancel);

    if (cancel == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory for a cancel token");
    atomic_init(&cancel->references, 1);
    atomic_init(&cancel->requested, false);
    (void)pthread_mutex_init(&cancel->mutex, NULL);
    *ret = cancel;
    return 0;
}

struct cancel *cancel_ref(struct cancel *cancel)
{
    if (cancel != NULL)
        atomic_fetch_add(&cancel->references, 1);
    return cancel;
}

void cancel_unref(struct cancel *cancel)
{
    if (cancel == NULL || atomic_fetch_sub(&cancel->references, 1) > 1)
        return;
    (void)pthread_mutex_destroy(&cancel->mutex);
    free(cancel);
}

void cancel_request(struct cancel *cancel)
{
    (void)pthread_mutex_lock(&cancel->mutex);
    if (!atomic_exchange(&cancel->requested, true)) {
        struct cancel_listener *listener = cancel->listeners;

        for (; listener != NULL; listener = listener->next)
            listener->wake(listener->context);
    }
    (void)pthread_mutex_unlock(&cancel->mutex);
}

bool cancel_is_requested(const struct cancel *cancel)
{
    return cancel != NULL && atomic_load(&cancel->requested);
}

int cancel_check(const struct cancel *cancel, struct error *err)
{
    if (cancel_is_requested(cancel))
        return error_set(err, ERROR_CANCELLED, "interrupted");
    return 0;
}

void cancel_listen(struct cancel *cancel, struct cancel_listener *listener)
{
    if (cancel == NULL)
        return;
    (void)pthread_mutex_lock(&cancel->mutex);
    listener->previous = NULL;
    listener->next = cancel->listeners;
    if (listener->next != NULL)
        listener->next->previous = listener;
    cancel->listeners = listener;
    if (atomic_load(&cancel->requested))
        listener->wake(listener->context);
    (void)pthread_mutex_unlock(&cancel->mutex);
}

void cancel_unlisten(struct cancel *cancel, struct cancel_listener *listener)
{
    if (cancel == NULL)
        return;
    (void)pthread_mutex_lock(&cancel->mutex);
    if (listener->previous != NULL)
        listener->previous->next = listener->next;
    else
        cancel->listeners = listener->next;
    if (listener->next != NULL)
        listener->next->previous = listener->previous;
    (void)pthread_mutex_unlock(&cancel->mutex);
}
