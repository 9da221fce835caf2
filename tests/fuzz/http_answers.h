/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services that answer what the input says: the linker sends http_perform here (--wrap), which keeps
 * the promises of http.h. An answer is a line "STATUS" or "STATUS REQUEST-ID", then its body; an
 * octet 0xff, which no UTF-8 has, stands between two. A body that ends with 0xfe is cut there: the
 * connection broke. fuzz_http has the real thing.
 */
#ifndef FUZZ_HTTP_ANSWERS_H
#define FUZZ_HTTP_ANSWERS_H

#include "services/openstack/http.h"
#include "services/openstack/openstack_session.h"

#include <stdbool.h>

/** Looks at a request before it is answered. */
typedef void http_answers_watch(const struct http_request *request);

/** From now on requests get the answers of `data`, borrowed; ERROR_UNAVAILABLE when there are none
 *  left. `watch` may be NULL. */
void http_answers_begin(const uint8_t *data, size_t size, http_answers_watch *watch);

/** A session with a password, PLANTED_SECRET, and with overrides for both endpoints, which asks Keystone
 *  before anything else. NULL when an allocation failed. */
struct openstack_session *http_answers_session(void);

/** True unless what may be quoted of an answer, its request id first of all, held PLANTED_SECRET: then a
 *  message may, too. */
bool http_answers_are_discreet(void);

/** Answers given. */
unsigned http_answers_count(void);

#endif
