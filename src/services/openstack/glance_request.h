/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls to Glance have in common: paths, answers that are images, refusals. */
#ifndef SERVICES_OPENSTACK_GLANCE_REQUEST_H
#define SERVICES_OPENSTACK_GLANCE_REQUEST_H

#include "base/uuid.h"
#include "glancefs/image_record.h"
#include "services/openstack/openstack_session.h"

#define GLANCE_NAME "Glance"
#define GLANCE_IMAGES_PATH "/v2/images"

/** Room for the path of an image or its data, with the NUL, in bytes. */
#define GLANCE_PATH_BYTES (sizeof GLANCE_IMAGES_PATH + UUID_TEXT_BYTES + sizeof "/file")

/** "/v2/images/<id><rest>"; `rest` is "" or "/file". */
void glance_image_path(const char *id, const char *rest, char ret[GLANCE_PATH_BYTES]);

/**
 * 0 for a success, else the refusal as *err, prefixed with the image's id: the kind as
 * service_refusal.h has it, with a 404 of Glance's own in plain words.
 */
int glance_check(const struct http_response *response, const char *id, struct error *err);

/**
 * The record in the body of an answer about image `id` (NULL: whichever it is). ERROR_INVALID when
 * it is none, or another image's.
 */
int glance_take_record(const struct http_response *response, const char *id,
                       struct image_record **ret, struct error *err);

/** The record of image `id` as it is now. */
int glance_get(struct openstack_session *session, const char *id, struct cancel *cancel,
               struct image_record **ret, struct error *err);

#endif
