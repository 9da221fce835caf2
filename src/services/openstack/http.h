/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP for the OpenStack clients, on libcurl. A client is a pool of handles with their connections;
 * any number of threads may have requests under way, each in its own thread.
 *
 * TLS certificates and names are always verified. Plain http is refused but for loopback or
 * `allow_http`. Proxies of the environment, cookies, .netrc and compression are not used; a proxy of
 * ours tunnels https and gets to see nothing else (http_url_is_for_proxy). A redirect
 * is followed for GET only, to the same scheme, host and port only, LIMIT_HTTP_REDIRECTS times: a
 * token never reaches an address that we did not choose.
 *
 * A request that is repeatable is tried again, up to `retries` times, when no answer came or one of
 * 408, 429, 500, 502, 503, 504: after a doubling pause with jitter, or what Retry-After asks for (up
 * to LIMIT_RETRY_AFTER_SECONDS). One that is not repeatable is sent at most once, ever.
 *
 * Each call bears an X-OpenStack-Request-ID of ours, by which the services' logs and our own (debug)
 * tell what became of a request that had no answer. Its repetitions share it.
 *
 * No message holds a token, a URL's query or a body that may be secret.
 */
#ifndef SERVICES_OPENSTACK_HTTP_H
#define SERVICES_OPENSTACK_HTTP_H

#include "glancefs/byte_sink.h"
#include "glancefs/byte_source.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"
#include "glancefs/secure_buffer.h"
#include "glancefs/service_counters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_client;

/** How a client behaves; strings are copied. */
struct http_options {
    const char *cafile; /* certificates trusted instead of the system's; NULL: the system's */
    const char *proxy;  /* URL of a proxy; NULL: none */
    bool allow_http;
    unsigned connect_timeout_seconds; /* name resolution, TCP and TLS; from 1 on */
    unsigned stall_timeout_seconds;   /* without a byte to speak of, either way; from 1 on */
    unsigned
        request_timeout_seconds; /* all attempts of a request that streams nothing; from 1 on */
    unsigned retries;            /* further attempts of a repeatable request */
    struct service_counters *counters; /* borrowed: what was repeated; NULL: nobody counts */
};

/** Secret answers will live in `arena`, which must outlive the client. */
int http_client_new(const struct http_options *options, struct secure_arena *arena,
                    struct http_client **ret, struct error *err);

/** Closes all connections; no request may be under way. NULL is allowed. */
void http_client_free(struct http_client *client);
DEFINE_CLEANUP(struct http_client, http_client_free)

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE };

/** A header that needs no secrecy. */
struct http_header {
    const char *name;
    const char *value;
};

/** What to ask; everything is borrowed for the call. At most one of the three bodies is set. */
struct http_request {
    enum http_method method;
    const char *url;
    const char *service;               /* starts error messages: "Glance" */
    const struct secure_buffer *token; /* X-Auth-Token; NULL for none */
    const char *accept;                /* NULL: application/json */
    const char *content_type;          /* NULL: application/json, when there is a body */
    const struct http_header *headers; /* further ones */
    size_t header_count;

    const char *body;                        /* NUL-terminated text; NULL for none */
    const struct secure_buffer *secret_body; /* a password or a new secret is in it: the handle is
                                                destroyed at once, no message quotes the answer */
    struct byte_source *upload; /* streamed from its start, with its size as Content-Length. Its
                                   size must be known; not forward-only if it may be repeated */

    struct byte_sink *download; /* gets the bytes of a 200 or 206, from `offset` on */
    uint64_t offset;            /* for downloads: asks for bytes=offset- unless 0 */
    bool skips_to_offset;       /* asks for all bytes instead, and drops those before */
    bool has_secret_answer;     /* a 2xx body is key material: see http_response.secret */
    size_t answer_limit;        /* most bytes of a body in memory; 0: LIMIT_RECORD_BYTES */
    bool is_repeatable;         /* sending it twice does no harm */
};

/** Room for the request id of an answer, with its NUL. */
#define HTTP_NAMED_REQUEST_BYTES 64

/** What came back. Start from HTTP_RESPONSE_INIT, end with http_response_clear. */
struct http_response {
    int status;                   /* of the last answer */
    char *body;                   /* NUL-terminated, NULL when empty, downloaded or secret */
    size_t body_size;             /* without that NUL */
    uint64_t downloaded;          /* bytes that went to the sink, also when the call failed */
    struct secure_buffer *secret; /* the body of a 2xx, if has_secret_answer; maybe of size 0 */
    struct secure_buffer *subject_token;       /* X-Subject-Token; NULL without */
    char request_id[HTTP_NAMED_REQUEST_BYTES]; /* x-openstack-request-id; empty without */
    char content_type[64];                     /* without parameters; empty without */
    bool is_quiet;                             /* the body must not be quoted */
};

#define HTTP_RESPONSE_INIT                                                                         \
    {                                                                                              \
        .status = 0                                                                                \
    }

/** Frees what it holds and makes it empty again. */
void http_response_clear(struct http_response *response);

/** `CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;` */
__attribute__((unused)) static inline void
http_response_clear_cleanup(struct http_response *response)
{
    http_response_clear(response);
}

/**
 * Performs the request; 0 with the answer in *response, whatever its status, else -1:
 * ERROR_UNAVAILABLE (no connection, or it broke, or the TLS certificate was refused), ERROR_TIMEOUT,
 * ERROR_CANCELLED (within milliseconds), ERROR_INVALID (not HTTP, URL refused, a Content-Range that
 * was not asked for, a redirect elsewhere), ERROR_TOO_LARGE (body over its cap), or what the sink or
 * the source failed with. A body shorter than announced is ERROR_UNAVAILABLE.
 *
 * A download gets an answer that ignores `offset` (200 instead of 206) without its first `offset`
 * bytes. It is tried again only while nothing has been delivered; resuming is the caller's
 * (offset + downloaded). The caller commits the sink.
 *
 * Any thread; may wait.
 */
int http_perform(struct http_client *client, const struct http_request *request,
                 struct cancel *cancel, struct http_response *response, struct error *err);

/**
 * Turns an answer that is a refusal into *err: the kind by services/http_status.h, the message from
 * service, status, the service's own words and the request id. Returns -1.
 */
int http_response_error(const struct http_response *response, const char *service,
                        struct error *err);

/** Ends the message of *err with the request id of the answer that it is about, unless that is in it
 *  already or there was none. For errors that are not http_response_error's. Returns -1. */
int http_response_name(const struct http_response *response, struct error *err);

/** The same of any request id, of fewer than HTTP_NAMED_REQUEST_BYTES; may be empty. */
int http_error_name_request(struct error *err, const char *request_id);

/** 0 for a status of 200 to 299, else http_response_error. */
int http_response_check(const struct http_response *response, const char *service,
                        struct error *err);

#endif
