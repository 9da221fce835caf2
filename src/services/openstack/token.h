/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token of Keystone with what came with it: who we are, how long it lasts, where the services are.
 * Immutable; counted, since a request may still use one while the next is there.
 */
#ifndef SERVICES_OPENSTACK_TOKEN_H
#define SERVICES_OPENSTACK_TOKEN_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/identity_service.h"
#include "glancefs/secure_buffer.h"
#include "services/openstack/credentials.h"
#include "services/openstack/http.h"

#include <stdatomic.h>
#include <stdint.h>

struct token {
    atomic_uint references;
    struct secure_buffer *value; /* for X-Auth-Token */
    struct identity identity;
    uint64_t renew_at_ns; /* CLOCK_MONOTONIC: from then on ask for another one */
    char *image_url;      /* endpoints without a version; NULL when the catalog has none */
    char *key_manager_url;
};

/** A token is given up this long before it ends, in seconds, or after four fifths of its life, when
 *  that is later. */
#define TOKEN_MARGIN_SECONDS 60

/** A token is used this long at most, in seconds, however long it claims to live: what a date of
 *  the year 9999 says cannot be counted in nanoseconds. */
#define TOKEN_LONGEST_SECONDS ((uint64_t)24 * 60 * 60)

/**
 * Reads the answer to a token request that succeeded, and takes its X-Subject-Token. Region and
 * interface of the endpoints are those of `credentials`, and their overrides count. Its life is
 * reckoned from `asked_at_ns` (CLOCK_MONOTONIC) and from the service's own dates, so that a clock
 * that is wrong does no harm. ERROR_INVALID for an answer that makes no sense, ERROR_DENIED for a
 * token without a project.
 */
int token_read(struct http_response *response, const struct credentials *credentials,
               uint64_t asked_at_ns, struct token **ret, struct error *err);

/** One more reference. Any thread. */
struct token *token_ref(struct token *token);

/** Gives a reference back; the last one wipes and frees. NULL is allowed. Any thread. */
void token_unref(struct token *token);
DEFINE_CLEANUP(struct token, token_unref)

#endif
