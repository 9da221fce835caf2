/* SPDX-License-Identifier: Apache-2.0 */
/* Listing images, page by page. */
#ifndef SERVICES_OPENSTACK_GLANCE_LIST_H
#define SERVICES_OPENSTACK_GLANCE_LIST_H

#include "glancefs/image_service.h"
#include "services/openstack/openstack_session.h"

/**
 * Every image that Glance lists for us. Of its `next` only the presence counts: we name the last
 * image of a page ourselves, so that no address of an answer is ever asked. A page that is over
 * LIMIT_RECORD_BYTES is asked for again in smaller pieces. A record that makes no sense is left out.
 *
 * ERROR_TOO_LARGE over LIMIT_IMAGES. ERROR_INVALID for pages that lead nowhere.
 */
int glance_list(struct openstack_session *session, struct cancel *cancel, struct image_list **ret,
                struct error *err);

/** One page as it came. */
struct glance_page {
    size_t count; /* images in it, whether they could be read or not */
    bool is_last;
    char marker[37]; /* id of the last image; empty without one */
};

/**
 * Appends the images of a page's JSON text to `list`, whose `records` has room for *capacity and
 * grows. ERROR_INVALID when it is no page.
 */
int glance_list_take_page(const char *json, size_t size, struct image_list *list, size_t *capacity,
                          struct glance_page *ret, struct error *err);

#endif
