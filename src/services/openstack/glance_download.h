/* SPDX-License-Identifier: Apache-2.0 */
/* An image's data from Glance into a sink, in one piece for whoever reads. */
#ifndef SERVICES_OPENSTACK_GLANCE_DOWNLOAD_H
#define SERVICES_OPENSTACK_GLANCE_DOWNLOAD_H

#include "glancefs/image_service.h"
#include "services/openstack/openstack_session.h"

/**
 * See image_service_download. A download that is cut goes on where it ended, as long as the record
 * still names the same bytes (size, hash) and every attempt gets further; the pauses between
 * attempts end at once when cancelled. A store that refuses ranges is read from its first byte again,
 * and what the sink has already is dropped.
 */
int glance_download(struct openstack_session *session, const struct image_record *record,
                    uint64_t offset, struct byte_sink *sink, struct cancel *cancel,
                    struct error *err);

#endif
