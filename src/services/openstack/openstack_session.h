/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the clients of Glance and Barbican stand on: requests to a service of the catalog, with our
 * token, which is renewed when it runs out. One session is one identity.
 */
#ifndef SERVICES_OPENSTACK_OPENSTACK_SESSION_H
#define SERVICES_OPENSTACK_OPENSTACK_SESSION_H

#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/identity_service.h"
#include "glancefs/secure_arena.h"
#include "services/openstack/credentials.h"
#include "services/openstack/http.h"

struct openstack_session;

/**
 * Takes over `credentials` on success; nothing is asked yet. Secrets live in `arena`, which must
 * outlive the session.
 */
int openstack_session_new(struct credentials *credentials, const struct http_options *options,
                          struct secure_arena *arena, struct openstack_session **ret,
                          struct error *err);

/** Closes all connections and forgets the token; no request may be under way. NULL is allowed. */
void openstack_session_free(struct openstack_session *session);
DEFINE_CLEANUP(struct openstack_session, openstack_session_free)

/** Our identity, as Keystone tells it; ERROR_INVALID also when its catalog lacks a service that we use.
 *  Borrowed; freeing it frees the session. */
struct identity_service *openstack_session_identity(struct openstack_session *session);

/** Services we use, by their type in the catalog. */
enum openstack_service {
    OPENSTACK_IMAGE,       /* "image": Glance */
    OPENSTACK_KEY_MANAGER, /* "key-manager": Barbican */
};

/**
 * Performs `request` on `service` at `path`, which starts with the API's version ("/v2/images?...")
 * and is appended to the endpoint of the catalog. The session fills in url, service and token.
 *
 * A 401 is answered with one new token and one repetition, also of requests that are not repeatable:
 * a 401 means that nothing was done. A second 401 is ERROR_LOGIN. When Keystone cannot be reached
 * for the new token its error is given: Glance answers 401 while Keystone is away. Otherwise as
 * http_perform: 0 with any other status. ERROR_INVALID when the catalog has no such service, or for
 * a path that does not start with one "/".
 *
 * Any thread; may wait.
 */
int openstack_session_request(struct openstack_session *session, enum openstack_service service,
                              const char *path, const struct http_request *request,
                              struct cancel *cancel, struct http_response *response,
                              struct error *err);

#endif
