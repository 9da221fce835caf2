/* SPDX-License-Identifier: Apache-2.0 */
/* What is posted to /v3/auth/tokens (Identity API v3, "Authentication and token management"). */
#ifndef SERVICES_OPENSTACK_TOKEN_REQUEST_H
#define SERVICES_OPENSTACK_TOKEN_REQUEST_H

#include "services/openstack/credentials.h"

/**
 * The JSON that asks for a token: a password scoped to the project, or an application credential,
 * which must not name a scope. A domain that is not named is the one with the id "default". It holds
 * the password and lives in `arena`.
 */
int token_request_build(const struct credentials *credentials, struct secure_arena *arena,
                        struct secure_buffer **ret, struct error *err);

#endif
