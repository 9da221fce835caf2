/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/http_pool.h"

#include <pthread.h>
#include <stdlib.h>

/* Handles beyond these are closed when they are given back. */
#define IDLE_HANDLES 16
/* One per service, and one to spare: a redirect never leads to another address. */
#define CONNECTIONS_PER_HANDLE 4L

struct http_pool {
    pthread_mutex_t mutex; /* guards what follows; a leaf */
    struct http_handle *idle;
    unsigned idle_count;
};

static void handle_free(struct http_handle *handle)
{
    curl_easy_cleanup(handle->easy);
    (void)curl_multi_cleanup(handle->multi);
    free(handle);
}
DEFINE_CLEANUP(struct http_handle, handle_free)

int http_pool_new(struct http_pool **ret, struct error *err)
{
    struct http_pool *pool = calloc(1, sizeof *pool);

    if (pool == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    (void)pthread_mutex_init(&pool->mutex, NULL);
    *ret = pool;
    return 0;
}

void http_pool_free(struct http_pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->idle != NULL) {
        struct http_handle *handle = pool->idle;

        pool->idle = handle->next;
        handle_free(handle);
    }
    (void)pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

static struct http_handle *take_idle(struct http_pool *pool)
{
    struct http_handle *handle;

    (void)pthread_mutex_lock(&pool->mutex);
    handle = pool->idle;
    if (handle != NULL) {
        pool->idle = handle->next;
        pool->idle_count--;
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    return handle;
}

static struct http_handle *handle_new(void)
{
    CLEANUP(handle_free) struct http_handle *handle = calloc(1, sizeof *handle);

    if (handle == NULL)
        return NULL;
    handle->multi = curl_multi_init();
    if (handle->multi == NULL ||
        curl_multi_setopt(handle->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_PER_HANDLE) != CURLM_OK)
        return NULL;
    return steal(&handle);
}

int http_pool_take(struct http_pool *pool, struct http_handle **ret, struct error *err)
{
    CLEANUP(handle_free) struct http_handle *handle = take_idle(pool);

    if (handle == NULL)
        handle = handle_new();
    if (handle != NULL && handle->easy == NULL)
        handle->easy = curl_easy_init();
    if (handle == NULL || handle->easy == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory for an HTTP handle");
    handle->next = NULL;
    *ret = steal(&handle);
    return 0;
}

void http_pool_give(struct http_pool *pool, struct http_handle *handle, bool had_secret)
{
    bool is_kept;

    if (had_secret) {
        curl_easy_cleanup(handle->easy);
        handle->easy = NULL;
    } else {
        curl_easy_reset(handle->easy);
    }
    (void)pthread_mutex_lock(&pool->mutex);
    is_kept = pool->idle_count < IDLE_HANDLES;
    if (is_kept) {
        handle->next = pool->idle;
        pool->idle = handle;
        pool->idle_count++;
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    if (!is_kept)
        handle_free(handle);
}
