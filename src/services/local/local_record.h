/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One image of a local cloud on disk: `<id>.json` is its record, `<id>.data` its stored bytes, and
 * `.<id>.part` the bytes of an upload under way, locked (flock) by the uploader.
 *
 * A record written by hand may leave out what the files tell: `id` is then the file's name,
 * `status` "active" when there is data and else "queued", `size` of an active image the size of its
 * data when that is a regular file (local_digest.h adds its hash). A record that says "saving" while
 * nobody holds the part file's lock is what a killed process left: it reads as "queued" again.
 */
#ifndef SERVICES_LOCAL_LOCAL_RECORD_H
#define SERVICES_LOCAL_LOCAL_RECORD_H

#include "base/uuid.h"
#include "glancefs/error.h"
#include "glancefs/image_record.h"
#include "services/json_document.h"

/** Room for any of the names below, with its NUL, in bytes. */
#define LOCAL_NAME_BYTES (UUID_TEXT_BYTES + 8)

/** Names of an image's files; `id` must be a UUID. */
void local_record_name(const char *id, char ret[LOCAL_NAME_BYTES]);
void local_data_name(const char *id, char ret[LOCAL_NAME_BYTES]);
void local_part_name(const char *id, char ret[LOCAL_NAME_BYTES]);

/**
 * Reads the record of image `id` below descriptor `fd` and completes it as said above; the caller
 * owns *ret. ERROR_NOT_FOUND when absent; ERROR_INVALID when it is no JSON or bears another id.
 * Takes the directory's lock for a record that says "saving". Any thread.
 */
int local_record_read(int fd, const char *id, struct json_object **ret, struct error *err);

/** The same for a caller that holds the directory's lock. */
int local_record_read_locked(int fd, const char *id, struct json_object **ret, struct error *err);

/**
 * Publishes `entity` as the record of image `id`, `updated_at` set to now. ERROR_INVALID when it
 * would not parse as a record. The directory is locked exclusively by the caller.
 */
int local_record_write(int fd, const char *id, struct json_object *entity, struct error *err);

/** The status that completed record `entity` bears. ERROR_INVALID when it is no record. */
int local_record_status(struct json_object *entity, enum image_status *ret, struct error *err);

#endif
