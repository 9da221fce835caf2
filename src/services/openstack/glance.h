/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image service of OpenStack: Glance, Image API v2. Downloads go on where they were cut;
 * an image that is created gets an id of ours, so that a lost answer makes no second one.
 */
#ifndef SERVICES_OPENSTACK_GLANCE_H
#define SERVICES_OPENSTACK_GLANCE_H

#include "glancefs/image_service.h"
#include "services/openstack/openstack_session.h"

/** A client on `session`, borrowed. */
int glance_new(struct openstack_session *session, struct image_service **ret, struct error *err);

#endif
