/* SPDX-License-Identifier: Apache-2.0 */
/* Properties and data on their way to Glance. */
#ifndef SERVICES_OPENSTACK_GLANCE_UPLOAD_H
#define SERVICES_OPENSTACK_GLANCE_UPLOAD_H

#include "glancefs/image_service.h"
#include "services/openstack/openstack_session.h"

/** See image_service_create. */
int glance_create(struct openstack_session *session, const struct image_property *properties,
                  size_t count, struct cancel *cancel, struct image_record **ret,
                  struct error *err);

/** See image_service_update. ERROR_BUSY when the image was being saved: the change is lost then. */
int glance_update(struct openstack_session *session, const char *id,
                  const struct image_property *properties, size_t count, struct cancel *cancel,
                  struct error *err);

/**
 * See image_service_upload. Sent once: whether an answer that was lost meant success is told by the
 * image's record. ERROR_NOT_FOUND also when the image is deleted meanwhile.
 */
int glance_upload(struct openstack_session *session, const char *id, struct byte_source *data,
                  struct cancel *cancel, struct error *err);

/**
 * The body of a PATCH (RFC 6902, with names as RFC 6901 escapes them) that adds or replaces these
 * properties; caller frees *ret.
 */
int glance_patch_text(const struct image_property *properties, size_t count, char **ret,
                      struct error *err);

#endif
