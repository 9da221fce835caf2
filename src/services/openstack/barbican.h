/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key manager of OpenStack: Barbican v1. Payloads are asked for as application/octet-stream,
 * which it gives for every kind of secret, and come straight into locked memory. A payload is stored
 * as base64 of type application/octet-stream: Barbican strips white space off text/plain.
 */
#ifndef SERVICES_OPENSTACK_BARBICAN_H
#define SERVICES_OPENSTACK_BARBICAN_H

#include "glancefs/key_manager.h"
#include "services/openstack/openstack_session.h"

/** A client on `session`, borrowed. What it stores passes through `arena`, borrowed, too. */
int barbican_new(struct openstack_session *session, struct secure_arena *arena,
                 struct key_manager **ret, struct error *err);

#endif
