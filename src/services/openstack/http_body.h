/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the bytes of one exchange come from and go to: libcurl's callbacks. A callback that fails
 * keeps its error here, since libcurl only carries a number out.
 */
#ifndef SERVICES_OPENSTACK_HTTP_BODY_H
#define SERVICES_OPENSTACK_HTTP_BODY_H

#include "glancefs/limits.h"
#include "services/openstack/http.h"
#include "services/openstack/http_response.h"

#include <curl/curl.h>

/** Image data goes to its sink so many bytes at a time: libcurl's own pieces are 16 KiB, for each of
 *  which a sink writes, hashes and wakes whoever follows. */
#define HTTP_GATHERED_BYTES ((size_t)256 * KIB)

/** One exchange's bytes; lives on the stack of the thread that asks. */
struct http_body {
    const struct http_request *request;
    struct http_response *response;
    struct secure_arena *arena;
    struct cancel *cancel;
    struct http_head head;
    size_t capacity;   /* of response->body */
    size_t dropped;    /* bytes of a refusal or a redirect beyond those that are kept */
    uint64_t skipped;  /* bytes of a 200 that came before the offset asked for */
    uint8_t *gathered; /* image data on its way to the sink; NULL: there is none, or no memory */
    size_t gathered_size;
    uint64_t upload_position; /* next byte to send */
    bool has_enough;          /* the rest of a refusal is not worth reading */
    bool was_stopped;         /* the failure is the sink's or the source's */
    struct error error;       /* the first failure */
};

/** Ready for http_body_attach; everything is borrowed. */
struct http_body http_body_of(const struct http_request *request, struct http_response *response,
                              struct secure_arena *arena, struct cancel *cancel);

/** Frees what it took meanwhile. */
void http_body_clear(struct http_body *body);

/* For CLEANUP(http_body_clear) on a value. */
__attribute__((unused)) static inline void http_body_clear_cleanup(struct http_body *body)
{
    http_body_clear(body);
}

/** Makes libcurl call us; false when it cannot. `body` must stay where it is until the end. */
bool http_body_attach(struct http_body *body, CURL *easy);

/** Gives the sink what came but is not with it yet: before the transfer is waited for, and when it
 *  has ended, however that was. A failure is kept like a callback's. */
void http_body_flush(struct http_body *body);

/** True when a sink, a source, a cap or a head we cannot believe ended the transfer; and why. */
bool http_body_has_failed(const struct http_body *body);
const struct error *http_body_error(const struct http_body *body);

/** True when it was the caller's sink or source that failed. */
bool http_body_was_stopped(const struct http_body *body);

/**
 * True when there is an answer: a whole head (libcurl is content with a part of one) and, unless it
 * is a refusal, a transfer that came to its end. A refusal may come in the middle of an upload, and
 * be cut with it.
 */
bool http_body_has_answer(const struct http_body *body, bool has_ended);

/** True when key material or a password goes one way or the other. */
bool http_request_has_secret(const struct http_request *request);

#endif
