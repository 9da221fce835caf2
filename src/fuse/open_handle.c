/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/open_handle.h"

#include <stdlib.h>

void open_handles_init(struct open_handles *handles)
{
    handles->first = NULL;
    (void)pthread_mutex_init(&handles->mutex, NULL);
}

int open_handles_add(struct open_handles *handles, const struct open_handle *content,
                     struct open_handle **ret, struct error *err)
{
    struct open_handle *handle = malloc(sizeof *handle);

    if (handle == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    *handle = *content;
    handle->previous = NULL;
    (void)pthread_mutex_lock(&handles->mutex);
    handle->next = handles->first;
    if (handle->next != NULL)
        handle->next->previous = handle;
    handles->first = handle;
    (void)pthread_mutex_unlock(&handles->mutex);
    *ret = handle;
    return 0;
}

void open_handles_close(struct open_handles *handles, struct open_handle *handle)
{
    if (handle == NULL)
        return;
    (void)pthread_mutex_lock(&handles->mutex);
    if (handle->previous != NULL)
        handle->previous->next = handle->next;
    else
        handles->first = handle->next;
    if (handle->next != NULL)
        handle->next->previous = handle->previous;
    (void)pthread_mutex_unlock(&handles->mutex);
    read_stream_close(handle->stream);
    write_stream_close(handle->writer);
    image_listing_free(handle->listing);
    free(handle->files);
    free(handle->text);
    free(handle);
}

void open_handles_destroy(struct open_handles *handles)
{
    while (handles->first != NULL)
        open_handles_close(handles, handles->first);
    (void)pthread_mutex_destroy(&handles->mutex);
}

bool open_handles_attributes(struct open_handles *handles, uint64_t inode,
                             struct write_attributes *ret)
{
    const struct open_handle *handle;

    (void)pthread_mutex_lock(&handles->mutex);
    handle = handles->first;
    while (handle != NULL && (handle->writer == NULL || handle->inode != inode))
        handle = handle->next;
    if (handle != NULL)
        write_stream_attributes(handle->writer, ret);
    (void)pthread_mutex_unlock(&handles->mutex);
    return handle != NULL;
}

unsigned open_handles_streams(struct open_handles *handles)
{
    unsigned count = 0;

    (void)pthread_mutex_lock(&handles->mutex);
    for (const struct open_handle *handle = handles->first; handle != NULL; handle = handle->next)
        count += handle->stream != NULL || handle->writer != NULL;
    (void)pthread_mutex_unlock(&handles->mutex);
    return count;
}

uint64_t open_handle_number(struct open_handle *handle)
{
    return (uintptr_t)handle;
}

struct open_handle *open_handle_from_number(uint64_t number)
{
    return (struct open_handle *)(uintptr_t)number;
}
