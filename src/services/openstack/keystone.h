/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of Keystone (Identity API v3): gets a token for our credentials, keeps it, and gets
 * another one before it ends or when a service refused it. One keystone is one identity.
 */
#ifndef SERVICES_OPENSTACK_KEYSTONE_H
#define SERVICES_OPENSTACK_KEYSTONE_H

#include "glancefs/cancel.h"
#include "services/openstack/credentials.h"
#include "services/openstack/http.h"
#include "services/openstack/token.h"

struct keystone;

/**
 * Nothing is asked yet. `http` is borrowed; `credentials` are taken over on success. ERROR_INVALID
 * for an auth_url that is not of version 3.
 */
int keystone_new(struct http_client *http, struct secure_arena *arena,
                 struct credentials *credentials, struct keystone **ret, struct error *err);

/** No call may be under way. NULL is allowed. */
void keystone_free(struct keystone *keystone);
DEFINE_CLEANUP(struct keystone, keystone_free)

/**
 * A token that is not about to end, kept or new; the caller gives the reference back. `rejected` is
 * one that a service refused (NULL: none): it is not given again. Of many callers one asks and the
 * others wait for what it gets, its failure included, unless that was its own cancellation.
 *
 * ERROR_LOGIN when Keystone refuses the credentials, saying what it may be; ERROR_INVALID when
 * there is no Keystone v3; else as http_perform. Any thread; may wait.
 */
int keystone_token(struct keystone *keystone, const struct token *rejected, struct cancel *cancel,
                   struct token **ret, struct error *err);

/** The credentials, for messages. */
const struct credentials *keystone_credentials(const struct keystone *keystone);

#endif
