/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP server on loopback, in a thread of its own, that gives one scripted answer per request, in
 * order, and keeps the requests for the test to look at. It answers bytes as they are written, sound
 * or not. A request beyond the script gets 599. Failures to set up abort the test program.
 */
#ifndef SUPPORT_HTTP_SERVER_H
#define SUPPORT_HTTP_SERVER_H

#include "glancefs/cleanup.h"

#include <stddef.h>
#include <stdint.h>

/** What happens to the connection behind an answer. */
enum http_server_end {
    HTTP_SERVER_CLOSE, /* closed: what a short Content-Length or an early end needs */
    HTTP_SERVER_KEEP,  /* the next request may come on it */
    HTTP_SERVER_HANG,  /* stays open, silent, until the server is freed */
};

/** One answer. */
struct http_server_answer {
    const char *text;  /* head and body as sent; "" to say nothing at all */
    size_t size;       /* bytes of it; 0: strlen */
    unsigned delay_ms; /* before the answer */
    enum http_server_end end;
    unsigned requests; /* how many requests get it; 0: one */
};

struct http_server;

/** Listens on a free port of 127.0.0.1. */
struct http_server *http_server_new(void);

/** Closes everything and joins the thread; NULL is allowed. */
void http_server_free(struct http_server *server);
DEFINE_CLEANUP(struct http_server, http_server_free)

/** The answers to the next requests, instead of those before. Everything is copied. */
void http_server_script(struct http_server *server, const struct http_server_answer *answers,
                        size_t count);

/** "http://127.0.0.1:PORT", without a slash at its end. */
const char *http_server_url(const struct http_server *server);

/** Requests that came so far, whole. Any thread. */
size_t http_server_request_count(struct http_server *server);

/** Connections that were opened so far. Any thread. */
size_t http_server_connection_count(struct http_server *server);

/** Head and body of the i-th request, NUL-terminated; valid until the server is freed. Aborts when
 *  there was none. */
const char *http_server_request(struct http_server *server, size_t index);

/** Waits, at most 10 seconds, until so many requests have come. Aborts when they do not. */
void http_server_wait(struct http_server *server, size_t count);

#endif
