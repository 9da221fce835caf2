/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_images.h"

#include "base/file_source.h"
#include "base/log.h"
#include "base/uuid.h"
#include "glancefs/limits.h"
#include "services/image_record_json.h"
#include "services/iso_date.h"
#include "services/local/local_digest.h"
#include "services/local/local_directory.h"
#include "services/local/local_fault.h"
#include "services/local/local_identity.h"
#include "services/local/local_record.h"
#include "services/local/local_upload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#define COPY_BYTES (1 * MIB)
#define RECORD_SUFFIX ".json"

struct local_images {
    struct image_service service;
    struct local_directory *directory;
    struct local_digests *digests;
};

/* What Glance keeps to itself (403). */
static const char *const reserved_names[] = {
    "status", "size",       "virtual_size", "checksum", "os_hash_algo", "os_hash_value",
    "owner",  "created_at", "updated_at",   "self",     "file",         "schema",
};
#define RESERVED_PREFIX "os_glance_"

/* What may change only while the image is queued (403 afterwards). */
static const char *const format_names[] = {"disk_format", "container_format"};

static struct local_directory *directory_of(struct image_service *service)
{
    return ((struct local_images *)service)->directory;
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static int check_not_reserved(const char *name, struct error *err)
{
    if (strncmp(name, RESERVED_PREFIX, strlen(RESERVED_PREFIX)) == 0 ||
        is_one_of(name, reserved_names, sizeof reserved_names / sizeof reserved_names[0]))
        return error_set(err, ERROR_DENIED, "%s belongs to the service and cannot be set", name);
    return 0;
}

/* Descriptor of `images`; while there is none, no image exists. */
static int open_images(struct image_service *service, const char *id, int *ret_fd,
                       struct error *err)
{
    if (local_directory_open(directory_of(service), false, ret_fd, err) == 0)
        return 0;
    if (err->kind == ERROR_NOT_FOUND)
        return error_set(err, ERROR_NOT_FOUND, "image %s does not exist", id);
    return -1;
}

/* The record, after the faults that it asks for. */
static int read_answering(struct image_service *service, const char *id, struct cancel *cancel,
                          int *ret_fd, struct json_object **ret, struct error *err)
{
    if (open_images(service, id, ret_fd, err) < 0 || local_record_read(*ret_fd, id, ret, err) < 0)
        return -1;
    if (local_fault_apply(*ret, cancel, err) < 0)
        return error_prefix(err, "image %s", id);
    return 0;
}

static int get(struct image_service *service, const char *id, struct cancel *cancel,
               struct image_record **ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;
    int fd;

    if (read_answering(service, id, cancel, &fd, &entity, err) < 0 ||
        local_digests_complete(((struct local_images *)service)->digests, fd, id, entity, cancel,
                               err) < 0)
        return -1;
    return image_record_from_json(entity, ret, err);
}

/* --- list --- */

static bool id_of_record_name(const char *name, char ret[UUID_TEXT_BYTES])
{
    if (strlen(name) != UUID_TEXT_BYTES - 1 + strlen(RECORD_SUFFIX) ||
        strcmp(name + UUID_TEXT_BYTES - 1, RECORD_SUFFIX) != 0)
        return false;
    memcpy(ret, name, UUID_TEXT_BYTES - 1);
    ret[UUID_TEXT_BYTES - 1] = '\0';
    return uuid_is_valid(ret);
}

static int append_record(struct image_list *list, size_t *capacity, struct image_record *record,
                         struct error *err)
{
    if (list->count == LIMIT_IMAGES)
        return error_set(err, ERROR_TOO_LARGE, "more than %d images", LIMIT_IMAGES);
    if (list->count == *capacity) {
        size_t larger = *capacity == 0 ? 64 : 2 * *capacity;
        struct image_record **records =
            reallocarray(list->records, larger, sizeof(struct image_record *));

        if (records == NULL)
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
        list->records = records;
        *capacity = larger;
    }
    list->records[list->count++] = image_record_ref(record);
    return 0;
}

static int list_one(int fd, const char *id, struct image_list *list, size_t *capacity,
                    struct cancel *cancel, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error reason = ERROR_INIT;

    if (local_record_read(fd, id, &entity, &reason) < 0 ||
        local_fault_delay_listing(entity, cancel, &reason) < 0 ||
        image_record_from_json(entity, &record, &reason) < 0) {
        log_debug("local cloud: left out of the list: %s", reason.message);
        return 0;
    }
    return append_record(list, capacity, record, err);
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(image_record_id(*(struct image_record *const *)a),
                  image_record_id(*(struct image_record *const *)b));
}

static int list_all(int fd, struct image_list *list, struct cancel *cancel, struct error *err)
{
    CLEANUP(closedir) DIR *listing = local_directory_stream(fd);
    const struct dirent *entry;
    char id[UUID_TEXT_BYTES];
    size_t capacity = 0;

    if (listing == NULL)
        return error_set_errno(err, errno, "local cloud: list images");
    for (errno = 0; (entry = readdir(listing)) != NULL; errno = 0) {
        if (cancel_check(cancel, err) < 0)
            return -1;
        if (id_of_record_name(entry->d_name, id) &&
            list_one(fd, id, list, &capacity, cancel, err) < 0)
            return -1;
    }
    if (errno != 0)
        return error_set_errno(err, errno, "local cloud: list images");
    if (cancel_check(cancel, err) < 0)
        return -1;
    if (list->count > 0)
        qsort(list->records, list->count, sizeof(struct image_record *), compare_ids);
    return 0;
}

static int list(struct image_service *service, struct cancel *cancel, struct image_list **ret,
                struct error *err)
{
    CLEANUP(image_list_free) struct image_list *images = calloc(1, sizeof *images);
    struct error absent = ERROR_INIT;
    int fd;

    if (images == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (local_directory_open(directory_of(service), false, &fd, &absent) == 0) {
        if (list_all(fd, images, cancel, err) < 0)
            return -1;
    } else if (absent.kind != ERROR_NOT_FOUND) {
        *err = absent;
        return -1;
    }
    *ret = steal(&images);
    return 0;
}

/* --- create, update, remove --- */

static int set_properties(struct json_object *entity, const struct image_property *properties,
                          size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (check_not_reserved(properties[i].name, err) < 0 ||
            json_document_set_text(entity, properties[i].name, properties[i].value, err) < 0)
            return -1;
    return 0;
}

/* A queued image as Glance answers one; what has no value yet is null. */
static int new_entity(struct image_service *service, struct json_object **ret, struct error *err)
{
    static const char *const empty_names[] = {"name",     "size",         "virtual_size",
                                              "checksum", "os_hash_algo", "os_hash_value",
                                              "owner",    "disk_format",  "container_format"};
    CLEANUP(json_object_put) struct json_object *entity = json_object_new_object();
    struct identity identity;
    char id[UUID_TEXT_BYTES];
    char now[ISO_DATE_BYTES];

    if (entity == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (!uuid_generate(id))
        return error_set(err, ERROR_UNAVAILABLE, "no random bytes for an id");
    iso_date_now(now);
    if (json_document_set_text(entity, "id", id, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof empty_names / sizeof empty_names[0]; i++)
        if (json_document_set_text(entity, empty_names[i], NULL, err) < 0)
            return -1;
    if (local_identity_read(local_directory_root(directory_of(service)), &identity, err) < 0 ||
        (identity.project_id[0] != '\0' &&
         json_document_set_text(entity, "owner", identity.project_id, err) < 0) ||
        json_document_set_text(entity, "status", image_status_name(IMAGE_STATUS_QUEUED), err) < 0 ||
        json_document_set_text(entity, "visibility", "private", err) < 0 ||
        json_document_set_text(entity, "created_at", now, err) < 0)
        return -1;
    *ret = steal(&entity);
    return 0;
}

static int publish_new(int fd, struct json_object *entity, struct error *err)
{
    const char *id = json_object_get_string(json_object_object_get(entity, "id"));
    CLEANUP(fd_close) int lock_fd = -1;
    char name[LOCAL_NAME_BYTES];

    local_record_name(id, name);
    if (local_directory_lock(fd, LOCAL_LOCK_EXCLUSIVE, &lock_fd, err) < 0)
        return -1;
    if (faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return error_set(err, ERROR_EXISTS, "image %s exists already", id);
    return local_record_write(fd, id, entity, err);
}

static int create(struct image_service *service, const struct image_property *properties,
                  size_t count, struct cancel *cancel, struct image_record **ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;
    int fd;

    (void)cancel;
    if (new_entity(service, &entity, err) < 0 ||
        set_properties(entity, properties, count, err) < 0 ||
        local_directory_open(directory_of(service), true, &fd, err) < 0 ||
        publish_new(fd, entity, err) < 0)
        return -1;
    return image_record_from_json(entity, ret, err);
}

static int check_may_update(struct json_object *entity, const struct image_property *properties,
                            size_t count, struct error *err)
{
    enum image_status status;

    if (local_record_status(entity, &status, err) < 0)
        return -1;
    if (status == IMAGE_STATUS_SAVING)
        return error_set(err, ERROR_BUSY, "it is being saved");
    for (size_t i = 0; i < count; i++) {
        if (strcmp(properties[i].name, "id") == 0)
            return error_set(err, ERROR_DENIED, "the id of an image cannot be changed");
        if (status != IMAGE_STATUS_QUEUED &&
            is_one_of(properties[i].name, format_names,
                      sizeof format_names / sizeof format_names[0]))
            return error_set(err, ERROR_DENIED, "%s can only be set while an image is queued",
                             properties[i].name);
    }
    return 0;
}

static int update(struct image_service *service, const char *id,
                  const struct image_property *properties, size_t count, struct cancel *cancel,
                  struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;
    CLEANUP(fd_close) int lock_fd = -1;
    int fd;

    (void)cancel;
    if (open_images(service, id, &fd, err) < 0 ||
        local_directory_lock(fd, LOCAL_LOCK_EXCLUSIVE, &lock_fd, err) < 0 ||
        local_record_read_locked(fd, id, &entity, err) < 0)
        return -1;
    if (check_may_update(entity, properties, count, err) < 0 ||
        set_properties(entity, properties, count, err) < 0)
        return error_prefix(err, "image %s", id);
    return local_record_write(fd, id, entity, err);
}

/* The record goes first: data without one is never served. A running upload finds out at its end. */
static int remove_files(int fd, const char *id, struct error *err)
{
    char name[LOCAL_NAME_BYTES];

    local_record_name(id, name);
    if (unlinkat(fd, name, 0) < 0)
        return error_set_errno(err, errno, "image %s: delete", id);
    local_part_name(id, name);
    (void)unlinkat(fd, name, 0);
    local_data_name(id, name);
    if (unlinkat(fd, name, 0) < 0 && errno != ENOENT)
        return error_set_errno(err, errno, "image %s: delete its data", id);
    if (fsync(fd) < 0)
        return error_set_errno(err, errno, "image %s: fsync", id);
    return 0;
}

/* true, or the text "true" of a record written by hand. */
static bool is_protected(struct json_object *entity)
{
    const char *text = json_object_get_string(json_object_object_get(entity, "protected"));

    return text != NULL && strcasecmp(text, "true") == 0;
}

static int remove_image(struct image_service *service, const char *id, struct cancel *cancel,
                        struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;
    CLEANUP(fd_close) int lock_fd = -1;
    int fd;

    (void)cancel;
    if (open_images(service, id, &fd, err) < 0 ||
        local_directory_lock(fd, LOCAL_LOCK_EXCLUSIVE, &lock_fd, err) < 0 ||
        local_record_read_locked(fd, id, &entity, err) < 0)
        return -1;
    if (is_protected(entity))
        return error_set(err, ERROR_DENIED, "image %s is protected", id);
    return remove_files(fd, id, err);
}

/* --- data --- */

static int check_may_download(const char *id, enum image_status status, struct error *err)
{
    switch (status) {
    case IMAGE_STATUS_ACTIVE:
        return 0;
    case IMAGE_STATUS_DEACTIVATED:
        return error_set(err, ERROR_DENIED, "image %s is deactivated", id);
    case IMAGE_STATUS_QUEUED:
    case IMAGE_STATUS_SAVING:
    case IMAGE_STATUS_UPLOADING:
    case IMAGE_STATUS_IMPORTING:
        return error_set(err, ERROR_BUSY, "image %s has no data yet, it is %s", id,
                         image_status_name(status));
    case IMAGE_STATUS_KILLED:
    case IMAGE_STATUS_DELETED:
    case IMAGE_STATUS_PENDING_DELETE:
        break;
    }
    return error_set(err, ERROR_NOT_FOUND, "image %s is %s", id, image_status_name(status));
}

static int open_data(int fd, const char *id, uint64_t offset, struct byte_source **ret,
                     struct error *err)
{
    char name[LOCAL_NAME_BYTES];

    local_data_name(id, name);
    if (file_source_open(fd, name, ret, err) < 0) {
        if (err->kind == ERROR_NOT_FOUND)
            return error_set(err, ERROR_UNAVAILABLE, "the data of image %s is missing", id);
        return error_prefix(err, "image %s", id);
    }
    if (offset > byte_source_size(*ret))
        return error_set(err, ERROR_INVALID, "image %s: the offset is past the end of its data",
                         id);
    return 0;
}

/* Copies up to byte `end`, or to the end of the data; *offset follows. */
static int copy_out(struct byte_source *data, uint64_t *offset, uint64_t end,
                    struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    CLEANUP(memory_free) char *buffer = malloc(COPY_BYTES);
    size_t size;

    if (buffer == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    do {
        const uint64_t rest = end - *offset;

        if (cancel_check(cancel, err) < 0 ||
            byte_source_pread(data, buffer, rest < COPY_BYTES ? (size_t)rest : COPY_BYTES, *offset,
                              cancel, &size, err) < 0)
            return -1;
        if (size > 0 && byte_sink_write(sink, buffer, size, cancel, err) < 0)
            return -1;
        *offset += size;
    } while (size > 0);
    return 0;
}

/* The record has to say that the download may go on, past `offset`: *ret is how far. */
static int wait_to_go_on(struct image_service *service, const char *id, uint64_t offset,
                         struct cancel *cancel, uint64_t *ret, struct error *err)
{
    do {
        CLEANUP(json_object_put) struct json_object *entity = NULL;
        int fd;

        if (local_fault_pause(cancel, err) < 0 ||
            read_answering(service, id, cancel, &fd, &entity, err) < 0 ||
            local_fault_stop(entity, ret, err) < 0)
            return -1;
    } while (*ret <= offset);
    return 0;
}

static int download(struct image_service *service, const struct image_record *record,
                    uint64_t offset, struct byte_sink *sink, struct cancel *cancel,
                    struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;
    CLEANUP(byte_source_free) struct byte_source *data = NULL;
    const char *id = image_record_id(record);
    enum image_status status;
    uint64_t stop;
    int fd;

    if (read_answering(service, id, cancel, &fd, &entity, err) < 0 ||
        local_record_status(entity, &status, err) < 0 || check_may_download(id, status, err) < 0 ||
        local_fault_stop(entity, &stop, err) < 0 || open_data(fd, id, offset, &data, err) < 0)
        return -1;
    while (stop != UINT64_MAX) {
        if ((stop > offset && copy_out(data, &offset, stop, sink, cancel, err) < 0) ||
            wait_to_go_on(service, id, offset, cancel, &stop, err) < 0)
            return -1;
    }
    return copy_out(data, &offset, stop, sink, cancel, err);
}

static int upload(struct image_service *service, const char *id, struct byte_source *data,
                  struct cancel *cancel, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;
    int fd;

    if (read_answering(service, id, cancel, &fd, &entity, err) < 0)
        return -1;
    return local_upload(fd, id, data, cancel, err);
}

static void free_images(struct image_service *service)
{
    local_digests_free(((struct local_images *)service)->digests);
    local_directory_free(directory_of(service));
    free(service);
}

/* What killed writers left, in records or in data, goes before anybody looks. */
static void tidy(struct local_directory *directory)
{
    CLEANUP(fd_close) int lock_fd = -1;
    struct error ignored = ERROR_INIT;
    int fd;

    if (local_directory_open(directory, false, &fd, &ignored) == 0 &&
        local_directory_lock(fd, LOCAL_LOCK_IF_FREE, &lock_fd, &ignored) == 0)
        local_upload_remove_dead(lock_fd);
}

static const struct image_service_ops ops = {
    .list = list,
    .get = get,
    .create = create,
    .update = update,
    .download = download,
    .upload = upload,
    .remove = remove_image,
    .free = free_images,
};

int local_images_new(const char *path, struct image_service **ret, struct error *err)
{
    struct local_images *images = calloc(1, sizeof *images);

    if (images == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    images->service.ops = &ops;
    if (local_digests_new(&images->digests, err) < 0 ||
        local_directory_new(path, "images", &images->directory, err) < 0) {
        free_images(&images->service);
        return -1;
    }
    tidy(images->directory);
    *ret = &images->service;
    return 0;
}
