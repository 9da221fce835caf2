/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/request_buffers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What libfuse 3.14 reads at once: its largest request and room for the headers. */
#define REQUEST_PAGES 256
#define HEADER_BYTES 4096

/* Kept when they come back, so that writers do not make the kernel zero pages all the time. */
#define MAXIMUM_SPARES 4

struct request_buffers {
    struct secure_arena *arena;
    size_t buffer_bytes;
    pthread_key_t receiver; /* a receive thread's void ** */
    pthread_mutex_t mutex;  /* guards the spares; nothing else is locked inside */
    void *spares[MAXIMUM_SPARES];
    unsigned spare_count;
};

int request_buffers_new(struct secure_arena *arena, struct request_buffers **ret, struct error *err)
{
    struct request_buffers *buffers = calloc(1, sizeof *buffers);

    if (buffers == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (pthread_key_create(&buffers->receiver, NULL) != 0) {
        free(buffers);
        return error_set(err, ERROR_EXHAUSTED, "too many thread keys");
    }
    buffers->arena = arena;
    buffers->buffer_bytes = REQUEST_PAGES * (size_t)sysconf(_SC_PAGESIZE) + HEADER_BYTES;
    (void)pthread_mutex_init(&buffers->mutex, NULL);
    *ret = buffers;
    return 0;
}

void request_buffers_free(struct request_buffers *buffers)
{
    if (buffers == NULL)
        return;
    for (unsigned i = 0; i < buffers->spare_count; i++)
        secure_arena_release(buffers->arena, buffers->spares[i]);
    (void)pthread_key_delete(buffers->receiver);
    (void)pthread_mutex_destroy(&buffers->mutex);
    free(buffers);
}

void *request_buffers_take(struct request_buffers *buffers)
{
    void *buffer = NULL;

    (void)pthread_mutex_lock(&buffers->mutex);
    if (buffers->spare_count > 0)
        buffer = buffers->spares[--buffers->spare_count];
    (void)pthread_mutex_unlock(&buffers->mutex);
    return buffer != NULL ? buffer : secure_arena_allocate(buffers->arena, buffers->buffer_bytes);
}

void request_buffers_give(struct request_buffers *buffers, void *buffer, size_t used)
{
    if (buffer == NULL)
        return;
    explicit_bzero(buffer, used);
    (void)pthread_mutex_lock(&buffers->mutex);
    if (buffers->spare_count < MAXIMUM_SPARES) {
        buffers->spares[buffers->spare_count++] = buffer;
        buffer = NULL;
    }
    (void)pthread_mutex_unlock(&buffers->mutex);
    secure_arena_release(buffers->arena, buffer);
}

void request_buffers_set_receiver(struct request_buffers *buffers, void **place)
{
    (void)pthread_setspecific(buffers->receiver, place);
}

void *request_buffers_keep(struct request_buffers *buffers)
{
    void **place = pthread_getspecific(buffers->receiver);
    void *spare = request_buffers_take(buffers);
    void *kept;

    if (spare == NULL)
        return NULL;
    kept = *place;
    *place = spare;
    return kept;
}
