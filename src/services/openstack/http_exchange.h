/* SPDX-License-Identifier: Apache-2.0 */
/* One request sent and one answer taken: the only place where libcurl works. */
#ifndef SERVICES_OPENSTACK_HTTP_EXCHANGE_H
#define SERVICES_OPENSTACK_HTTP_EXCHANGE_H

#include "glancefs/limits.h"
#include "services/openstack/http.h"
#include "services/openstack/http_pool.h"

/** How an attempt ended. */
enum http_outcome {
    HTTP_ANSWERED, /* there is an answer, whatever its status */
    HTTP_BROKEN,   /* no answer, or half of one, for a reason that may pass */
    HTTP_STOPPED,  /* by the caller's own sink, source or cancel token, whose error it is */
    HTTP_FAILED,   /* another attempt would not help: refused, over a cap, no sense */
};

/** Room for "req-" and a UUID, with the NUL, in bytes. */
#define HTTP_REQUEST_ID_BYTES 41

/** What an attempt works with; all borrowed. */
struct http_attempt {
    const struct http_options *options;
    struct secure_arena *arena;
    const struct http_request *request;
    const char *request_id; /* ours; empty for none */
    const char *url;        /* of this attempt: the request's, or where a redirect led */
    uint64_t timeout_ns;    /* for all of it; 0: no limit but the stall timeout */
    struct cancel *cancel;
};

/** What the caller may do about an answer. */
struct http_advice {
    uint64_t retry_after_seconds;           /* 0 without */
    char redirect_url[LIMIT_URL_BYTES + 1]; /* absolute; empty without, or when it is too long */
};

/**
 * Makes one attempt, which may wait, in the calling thread. *response is empty before and holds what
 * came, `downloaded` also when the attempt failed. *err is set unless HTTP_ANSWERED.
 */
enum http_outcome http_exchange(struct http_pool *pool, const struct http_attempt *attempt,
                                struct http_response *response, struct http_advice *ret,
                                struct error *err);

#endif
