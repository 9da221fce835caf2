/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the head of an answer (RFC 9112) line by line, as libcurl hands it out. */
#ifndef SERVICES_OPENSTACK_HTTP_RESPONSE_H
#define SERVICES_OPENSTACK_HTTP_RESPONSE_H

#include "services/openstack/http.h"

/** What only the exchange needs to know of an answer's head. */
struct http_head {
    size_t bytes;         /* of all header lines so far */
    bool is_whole;        /* the empty line at its end was there */
    bool has_range;       /* a sound Content-Range was there */
    uint64_t range_start; /* its first byte */
};

/** Most bytes of all header lines of one answer. */
#define HTTP_HEAD_LIMIT_BYTES (64 * (size_t)1024)

/**
 * Takes one line (with its CRLF, no NUL) of a head. A status line starts anew: what came before was
 * an interim answer. X-Subject-Token goes to a secure_buffer in `arena`. ERROR_INVALID for a status
 * that is none, and for a token over LIMIT_TOKEN_BYTES or with bytes no header may have; ERROR_TOO_LARGE for an endless head.
 */
int http_response_take_line(struct http_response *response, struct http_head *head,
                            struct secure_arena *arena, const char *line, size_t size,
                            struct error *err);

#endif
