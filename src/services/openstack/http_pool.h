/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's handles with the connections they keep open. Each is used by one request at a time, in
 * the thread that asks; a request takes one and gives it back.
 */
#ifndef SERVICES_OPENSTACK_HTTP_POOL_H
#define SERVICES_OPENSTACK_HTTP_POOL_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <curl/curl.h>

/** An easy handle that runs in a multi of its own: only a multi's wait can be woken. */
struct http_handle {
    CURLM *multi; /* keeps connections and certificates between requests */
    CURL *easy;
    struct http_handle *next;
};

struct http_pool;

int http_pool_new(struct http_pool **ret, struct error *err);

/** Closes every connection. All handles must have been given back. NULL is allowed. */
void http_pool_free(struct http_pool *pool);
DEFINE_CLEANUP(struct http_pool, http_pool_free)

/** A handle with all options at libcurl's defaults, idle or new. Any thread. */
int http_pool_take(struct http_pool *pool, struct http_handle **ret, struct error *err);

/**
 * Gives a handle back. With `had_secret` its easy handle is destroyed, and with it libcurl's copies
 * of headers and bodies; the request must have forbidden the reuse of its connection. Any thread.
 */
void http_pool_give(struct http_pool *pool, struct http_handle *handle, bool had_secret);

#endif
