/* SPDX-License-Identifier: Apache-2.0 */
/* Listing images, page by page. */
#ifndef SERVICES_OPENSTACK_GLANCE_LIST_H
#define SERVICES_OPENSTACK_GLANCE_LIST_H

#include "glancefs/image_service.h"
#include "services/openstack/openstack_session.h"

/**
 * Every image that Glance lists for us. Of its `next` only the presence counts: we name the last
 * image of a page ourselves, so that no address of an answer is ever asked. A page that is over
 * LIMIT_LIST_PAGE_BYTES is asked for again in smaller pieces. A record that makes no sense, or is
 * over LIMIT_RECORD_BYTES, is left out.
 *
 * ERROR_TOO_LARGE over LIMIT_IMAGES or LIMIT_LIST_BYTES, and when a single record does not fit into
 * a page. ERROR_INVALID for pages that lead nowhere.
 */
int glance_list(struct openstack_session *session, struct cancel *cancel, struct image_list **ret,
                struct error *err);

#endif
