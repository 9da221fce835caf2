/* SPDX-License-Identifier: Apache-2.0 */
/* Keystone's answers as they were recorded, and a session whose services are all one server. */
#ifndef UNIT_SERVICES_OPENSTACK_KEYSTONE_BED_H
#define UNIT_SERVICES_OPENSTACK_KEYSTONE_BED_H

#include "http_bed.h"
#include "services/openstack/credentials.h"
#include "services/openstack/keystone.h"
#include "services/openstack/openstack_session.h"

/** Keystone's answers to who is not right, with the request id req-401 and req-404. */
extern const char keystone_refuses[];
extern const char keystone_knows_no_such_credential[];

/** The answer that grants `token` for so many seconds, its endpoints at `url`; the caller frees. */
char *keystone_grants(const char *url, const char *token, unsigned seconds);

/** Demo's password for an auth_url; the caller frees. */
struct credentials *keystone_demo(struct secure_arena *arena, const char *auth_url);

/** The same with an application credential. */
struct credentials *keystone_demo_application(struct secure_arena *arena, const char *auth_url);

/** A session of demo's whose Keystone is the bed's server. */
struct openstack_session *keystone_session(struct http_bed *bed);

#endif
