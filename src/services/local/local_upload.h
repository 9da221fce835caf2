/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upload of an image's data into a local cloud: queued → saving → active, and back to queued when
 * anything fails. The bytes go to the part file, which stays locked until they are published, so
 * that a killed uploader blocks nobody.
 */
#ifndef SERVICES_LOCAL_LOCAL_UPLOAD_H
#define SERVICES_LOCAL_LOCAL_UPLOAD_H

#include "glancefs/byte_source.h"

/**
 * Stores all bytes of `data`, whose size is known, as those of the queued image `id` below
 * descriptor `fd`; then the record gets size, checksum, os_hash_algo, os_hash_value and the status
 * active, durably. Any thread, any process.
 *
 * ERROR_EXISTS when it is active, ERROR_BUSY while it is being saved, ERROR_DENIED in any other
 * state, ERROR_INVALID without disk_format and container_format (as Glance: 400) or when `data`
 * ends early, ERROR_NOT_FOUND when it is deleted meanwhile.
 */
int local_upload(int fd, const char *id, struct byte_source *data, struct cancel *cancel,
                 struct error *err);

/**
 * Removes the part files of uploaders who were killed below descriptor `fd`, whose directory the
 * caller has locked exclusively. What cannot be removed stays.
 */
void local_upload_remove_dead(int fd);

#endif
