/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_record.h"

#include "services/image_record_json.h"
#include "services/iso_date.h"
#include "services/local/local_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

void local_record_name(const char *id, char ret[LOCAL_NAME_BYTES])
{
    (void)snprintf(ret, LOCAL_NAME_BYTES, "%s.json", id);
}

void local_data_name(const char *id, char ret[LOCAL_NAME_BYTES])
{
    (void)snprintf(ret, LOCAL_NAME_BYTES, "%s.data", id);
}

void local_part_name(const char *id, char ret[LOCAL_NAME_BYTES])
{
    (void)snprintf(ret, LOCAL_NAME_BYTES, ".%s.part", id);
}

static int read_record(int fd, const char *id, struct json_object **ret, struct error *err)
{
    char name[LOCAL_NAME_BYTES];

    local_record_name(id, name);
    if (local_document_read(fd, name, ret, err) == 0)
        return 0;
    if (err->kind == ERROR_NOT_FOUND)
        return error_set(err, ERROR_NOT_FOUND, "image %s does not exist", id);
    return error_prefix(err, "image %s", id);
}

static int complete_id(struct json_object *entity, const char *id, struct error *err)
{
    const char *own_id;

    if (json_document_text(entity, "id", &own_id, err) < 0)
        return -1;
    if (own_id == NULL)
        return json_document_set_text(entity, "id", id, err);
    if (strcmp(own_id, id) != 0)
        return error_set(err, ERROR_INVALID, "its record bears another id, %.36s", own_id);
    return 0;
}

/* Asked with the directory locked, so that no upload is just beginning or ending. */
static bool is_upload_running(int fd, const char *id)
{
    CLEANUP(fd_close) int part_fd = -1;
    char name[LOCAL_NAME_BYTES];

    local_part_name(id, name);
    part_fd = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    return part_fd >= 0 && flock(part_fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static bool says_saving(struct json_object *entity)
{
    const char *status = json_object_get_string(json_object_object_get(entity, "status"));

    return status != NULL && strcmp(status, image_status_name(IMAGE_STATUS_SAVING)) == 0;
}

static int set_status(struct json_object *entity, enum image_status status, struct error *err)
{
    return json_document_set_text(entity, "status", image_status_name(status), err);
}

static int complete_status(int fd, const char *id, struct json_object *entity, bool has_data,
                           struct error *err)
{
    if (json_object_object_get(entity, "status") == NULL)
        return set_status(entity, has_data ? IMAGE_STATUS_ACTIVE : IMAGE_STATUS_QUEUED, err);
    if (says_saving(entity) && !is_upload_running(fd, id))
        return set_status(entity, IMAGE_STATUS_QUEUED, err);
    return 0;
}

static int complete(int fd, const char *id, struct json_object *entity, struct error *err)
{
    char data_name[LOCAL_NAME_BYTES];
    enum image_status status;
    struct stat data;
    bool has_data;

    local_data_name(id, data_name);
    has_data = fstatat(fd, data_name, &data, AT_SYMLINK_NOFOLLOW) == 0;
    if (complete_id(entity, id, err) < 0 || complete_status(fd, id, entity, has_data, err) < 0 ||
        local_record_status(entity, &status, err) < 0)
        return -1;
    if (status == IMAGE_STATUS_ACTIVE && has_data && S_ISREG(data.st_mode) &&
        json_object_object_get(entity, "size") == NULL)
        return json_document_set_number(entity, "size", (uint64_t)data.st_size, err);
    return 0;
}

int local_record_read_locked(int fd, const char *id, struct json_object **ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;

    if (read_record(fd, id, &entity, err) < 0)
        return -1;
    if (complete(fd, id, entity, err) < 0)
        return error_prefix(err, "image %s", id);
    *ret = steal(&entity);
    return 0;
}

int local_record_read(int fd, const char *id, struct json_object **ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;
    CLEANUP(fd_close) int lock_fd = -1;

    if (read_record(fd, id, &entity, err) < 0)
        return -1;
    if (says_saving(entity)) {
        if (local_directory_lock(fd, LOCAL_LOCK_SHARED, &lock_fd, err) < 0)
            return -1;
        return local_record_read_locked(fd, id, ret, err);
    }
    if (complete(fd, id, entity, err) < 0)
        return error_prefix(err, "image %s", id);
    *ret = steal(&entity);
    return 0;
}

int local_record_status(struct json_object *entity, enum image_status *ret, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    if (image_record_from_json(entity, &record, err) < 0)
        return -1;
    *ret = image_record_status(record);
    return 0;
}

int local_record_write(int fd, const char *id, struct json_object *entity, struct error *err)
{
    char now[ISO_DATE_BYTES];
    char name[LOCAL_NAME_BYTES];
    enum image_status status;

    iso_date_now(now);
    local_record_name(id, name);
    if (json_document_set_text(entity, "updated_at", now, err) < 0 ||
        local_record_status(entity, &status, err) < 0 ||
        local_document_write(fd, name, entity, err) < 0)
        return error_prefix(err, "image %s", id);
    return 0;
}
