/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses we talk to: the rules about schemes, loopback and origins (RFC 6454). */
#ifndef SERVICES_OPENSTACK_HTTP_URL_H
#define SERVICES_OPENSTACK_HTTP_URL_H

#include "glancefs/error.h"

#include <stdbool.h>
#include <stddef.h>

/** Room for the text of http_url_origin, in bytes. */
#define HTTP_ORIGIN_BYTES 300

/**
 * 0 for a URL that may be asked: https, or http where `allow_http` is set or the host is localhost,
 * 127.0.0.0/8 or ::1. ERROR_INVALID, naming the origin at most, for every other one, for one with a
 * user or password in it, with control characters, or longer than LIMIT_URL_BYTES. Any thread.
 */
int http_url_check(const char *url, bool allow_http, struct error *err);

/**
 * True for a URL that may be asked through a proxy: https to another machine, which the proxy only
 * tunnels. It would read what is sent by http.
 */
bool http_url_is_for_proxy(const char *url);

/** Writes "https://host:port", which may stand in a message; "an unreadable URL" when it is none. */
void http_url_origin(const char *url, char ret[HTTP_ORIGIN_BYTES]);

/** True when scheme, host and port are the same; a default port counts as written. */
bool http_url_same_origin(const char *one, const char *other);

/** Bytes of `url` before its query or fragment: what may stand in a log line. */
size_t http_url_length_without_query(const char *url);

#endif
