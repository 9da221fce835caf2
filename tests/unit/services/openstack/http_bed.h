/* SPDX-License-Identifier: Apache-2.0 */
/* A scripted server and a client for it, for the tests about HTTP. */
#ifndef UNIT_SERVICES_OPENSTACK_HTTP_BED_H
#define UNIT_SERVICES_OPENSTACK_HTTP_BED_H

#include "services/openstack/http.h"
#include "support/http_server.h"

/** Options for a client that waits for nothing long: 1 s to stall, 5 s in all, two repetitions. */
#define HTTP_BED_OPTIONS                                                                           \
    {                                                                                              \
        .connect_timeout_seconds = 5, .stall_timeout_seconds = 1, .request_timeout_seconds = 5,    \
        .retries = 2                                                                               \
    }

struct http_bed {
    struct secure_arena *arena;
    struct http_server *server;
    struct http_client *client;
    char url[256]; /* of the last http_bed_url */
};

/** cmocka set-up and tear-down; *state is the arena before and the bed in between. */
int http_bed_open(void **state);
int http_bed_close(void **state);

/** The server's address of `path`, valid until the next call. */
const char *http_bed_url(struct http_bed *bed, const char *path);

/** The next answers, as plain texts, each closing its connection. */
void http_bed_script(struct http_bed *bed, const char *const *texts, size_t count);

/** Seconds since the CLOCK_MONOTONIC time `start_ns`. */
double http_bed_seconds_since(uint64_t start_ns);

#endif
