/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_keys.h"

#include "base/file_sink.h"
#include "base/uuid.h"
#include "glancefs/limits.h"
#include "services/iso_date.h"
#include "services/local/local_directory.h"
#include "services/local/local_fault.h"
#include "services/secret_metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_NAME_BYTES (UUID_TEXT_BYTES + 8)

struct local_keys {
    struct key_manager manager;
    struct local_directory *directory;
    struct secure_arena *arena;
};

static void metadata_name(const char *id, char ret[FILE_NAME_BYTES])
{
    (void)snprintf(ret, FILE_NAME_BYTES, "%s.json", id);
}

static void payload_name(const char *id, char ret[FILE_NAME_BYTES])
{
    (void)snprintf(ret, FILE_NAME_BYTES, "%s.payload", id);
}

static int no_key(const char *id, struct error *err)
{
    return error_set(err, ERROR_NO_KEY, "secret %s does not exist", id);
}

/* Descriptor of `secrets`; while there is none, no secret exists. */
static int open_secrets(struct key_manager *manager, const char *id, int *ret_fd, struct error *err)
{
    struct local_keys *keys = (struct local_keys *)manager;

    if (local_directory_open(keys->directory, false, ret_fd, err) == 0)
        return 0;
    return err->kind == ERROR_NOT_FOUND ? no_key(id, err) : -1;
}

/* *ret becomes NULL for a payload without metadata. */
static int read_document(int fd, const char *id, struct json_object **ret, struct error *err)
{
    char name[FILE_NAME_BYTES];
    struct error problem = ERROR_INIT;

    *ret = NULL;
    metadata_name(id, name);
    if (local_document_read(fd, name, ret, &problem) == 0)
        return 0;
    if (problem.kind != ERROR_NOT_FOUND)
        return error_set(err, ERROR_KEY_REJECTED, "metadata of secret %s: %s", id, problem.message);
    payload_name(id, name);
    if (faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return no_key(id, err);
    return 0;
}

/* The faults that the metadata asks for; a status that hides an image hides a secret too. */
static int apply_faults(struct json_object *document, const char *id, struct cancel *cancel,
                        struct error *err)
{
    if (local_fault_apply(document, cancel, err) == 0)
        return 0;
    return err->kind == ERROR_NOT_FOUND ? no_key(id, err) : error_prefix(err, "secret %s", id);
}

/* What every call does first: the secret exists, answers and has not expired. */
static int find_secret(struct key_manager *manager, const char *id, struct cancel *cancel,
                       int *ret_fd, struct secret_metadata *ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;

    if (open_secrets(manager, id, ret_fd, err) < 0 ||
        read_document(*ret_fd, id, &document, err) < 0)
        return -1;
    if (document == NULL) {
        *ret = (struct secret_metadata){.secret_type = SECRET_TYPE_DEFAULT};
        return 0;
    }
    if (apply_faults(document, id, cancel, err) < 0)
        return -1;
    return secret_metadata_from_json(document, id, ret, err);
}

static int get_metadata(struct key_manager *manager, const char *secret_id, struct cancel *cancel,
                        struct secret_metadata *ret, struct error *err)
{
    int fd;

    return find_secret(manager, secret_id, cancel, &fd, ret, err);
}

/* Straight from the kernel into locked memory; -1 unless all of it is there. */
static int read_bytes(int fd, uint8_t *bytes, size_t size, struct error *err)
{
    size_t got = 0;

    while (got < size) {
        ssize_t result = read(fd, bytes + got, size - got);

        if (result < 0 && errno != EINTR)
            return error_set_errno(err, errno, "read");
        if (result == 0)
            return error_set(err, ERROR_UNAVAILABLE, "its payload shrank while it was read");
        got += result > 0 ? (size_t)result : 0;
    }
    return 0;
}

static int open_payload(int dir_fd, const char *id, size_t *ret_size, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;
    char name[FILE_NAME_BYTES];
    struct stat status;

    payload_name(id, name);
    /* O_NONBLOCK: a FIFO in the payload's place must not hang us. */
    fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ERROR_KEY_REJECTED, "it has no payload");
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "open its payload");
    if (!S_ISREG(status.st_mode))
        return error_set(err, ERROR_KEY_REJECTED, "its payload is not a regular file");
    if ((uint64_t)status.st_size > LIMIT_SECRET_BYTES)
        return error_set(err, ERROR_KEY_REJECTED, "its payload is over the limit of %zu bytes",
                         LIMIT_SECRET_BYTES);
    if (status.st_size == 0)
        return error_set(err, ERROR_KEY_REJECTED, "its payload is empty");
    *ret_size = (size_t)status.st_size;
    return steal_fd(&fd);
}

static int read_payload(struct local_keys *keys, int dir_fd, const char *id,
                        struct secure_buffer **ret, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    size_t size = 0;
    CLEANUP(fd_close) int fd = open_payload(dir_fd, id, &size, err);

    if (fd < 0 || secure_buffer_new(keys->arena, size, &payload, err) < 0)
        return -1;
    secure_buffer_set_size(payload, size);
    if (read_bytes(fd, secure_buffer_data(payload), size, err) < 0)
        return -1;
    *ret = steal(&payload);
    return 0;
}

static int get_payload(struct key_manager *manager, const char *secret_id, struct cancel *cancel,
                       struct secure_buffer **ret, struct error *err)
{
    struct secret_metadata metadata;
    int fd;

    if (find_secret(manager, secret_id, cancel, &fd, &metadata, err) < 0)
        return -1;
    if (read_payload((struct local_keys *)manager, fd, secret_id, ret, err) < 0)
        return error_prefix(err, "secret %s", secret_id);
    return 0;
}

static int new_document(const struct secret_metadata *metadata, struct json_object **ret,
                        struct error *err)
{
    CLEANUP(json_object_put) struct json_object *document = json_object_new_object();
    char now[ISO_DATE_BYTES];

    if (document == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    iso_date_now(now);
    if (json_document_set_text(document, "name", metadata->name[0] == '\0' ? NULL : metadata->name,
                               err) < 0 ||
        json_document_set_text(document, "secret_type", metadata->secret_type, err) < 0 ||
        json_document_set_text(document, "status", "ACTIVE", err) < 0 ||
        json_document_set_text(document, "created", now, err) < 0 ||
        json_document_set_text(document, "updated", now, err) < 0 ||
        json_document_set_text(document, "expiration", NULL, err) < 0)
        return -1;
    *ret = steal(&document);
    return 0;
}

/* The payload goes last: metadata alone is refused, a payload alone would pass as "opaque". */
static int store_files(int fd, const char *id, struct json_object *document,
                       const struct secure_buffer *payload, struct error *err)
{
    char metadata[FILE_NAME_BYTES];
    char name[FILE_NAME_BYTES];

    metadata_name(id, metadata);
    payload_name(id, name);
    if (local_document_write(fd, metadata, document, err) < 0)
        return -1;
    if (file_publish(fd, name, 0600, secure_buffer_bytes(payload), secure_buffer_size(payload),
                     err) == 0)
        return 0;
    (void)unlinkat(fd, metadata, 0);
    return -1;
}

static int store(struct key_manager *manager, const struct secret_metadata *metadata,
                 const struct secure_buffer *payload, struct cancel *cancel, char ret_id[37],
                 struct error *err)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;
    struct local_keys *keys = (struct local_keys *)manager;
    CLEANUP(fd_close) int lock_fd = -1;
    int fd;

    (void)cancel;
    if (!uuid_generate(ret_id))
        return error_set(err, ERROR_UNAVAILABLE, "no random bytes for an id");
    if (new_document(metadata, &document, err) < 0 ||
        local_directory_open(keys->directory, true, &fd, err) < 0 ||
        local_directory_lock(fd, LOCAL_LOCK_EXCLUSIVE, &lock_fd, err) < 0 ||
        store_files(fd, ret_id, document, payload, err) < 0)
        return error_prefix(err, "store a secret");
    return 0;
}

/* --- consumers --- */

static bool same_member(struct json_object *entry, const char *name, const char *text)
{
    struct json_object *member = json_object_object_get(entry, name);

    return json_object_is_type(member, json_type_string) &&
           strcmp(json_object_get_string(member), text) == 0;
}

/* Its place in the array, or the array's length. */
static size_t find_consumer(struct json_object *consumers, const struct secret_consumer *consumer)
{
    const size_t count = json_object_array_length(consumers);

    for (size_t i = 0; i < count; i++) {
        struct json_object *entry = json_object_array_get_idx(consumers, i);

        if (json_object_is_type(entry, json_type_object) &&
            same_member(entry, "service", consumer->service) &&
            same_member(entry, "resource_type", consumer->resource_type) &&
            same_member(entry, "resource_id", consumer->resource_id))
            return i;
    }
    return count;
}

/* The array of the document, made when it is absent; NULL when there is something else. */
static struct json_object *consumers_of(struct json_object *document, struct error *err)
{
    struct json_object *consumers = json_object_object_get(document, "consumers");

    if (consumers == NULL) {
        consumers = json_object_new_array();
        if (consumers == NULL || json_object_object_add(document, "consumers", consumers) < 0) {
            (void)json_object_put(consumers);
            (void)error_set(err, ERROR_EXHAUSTED, "out of memory");
            return NULL;
        }
    }
    if (json_object_is_type(consumers, json_type_array))
        return consumers;
    (void)error_set(err, ERROR_INVALID, "consumers is not an array");
    return NULL;
}

static int append_consumer(struct json_object *consumers, const struct secret_consumer *consumer,
                           struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entry = json_object_new_object();

    if (entry == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (json_document_set_text(entry, "service", consumer->service, err) < 0 ||
        json_document_set_text(entry, "resource_type", consumer->resource_type, err) < 0 ||
        json_document_set_text(entry, "resource_id", consumer->resource_id, err) < 0)
        return -1;
    if (json_object_array_add(consumers, entry) < 0)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    entry = NULL; /* the array's now */
    return 0;
}

/* Brings the document to where `consumer` is there, or is not; *ret_changed tells whether it was
 * not so before. */
static int change_document(struct json_object *document, const struct secret_consumer *consumer,
                           bool adds, bool *ret_changed, struct error *err)
{
    struct json_object *consumers = consumers_of(document, err);
    size_t index;

    if (consumers == NULL)
        return -1;
    index = find_consumer(consumers, consumer);
    *ret_changed = adds == (index == json_object_array_length(consumers));
    if (!*ret_changed)
        return 0;
    if (adds)
        return append_consumer(consumers, consumer, err);
    (void)json_object_array_del_idx(consumers, index, 1);
    return 0;
}

/* A payload without metadata gets some: a consumer has to stand somewhere. */
static int read_or_make_document(int fd, const char *id, struct json_object **ret,
                                 struct error *err)
{
    static const struct secret_metadata metadata = {.secret_type = SECRET_TYPE_DEFAULT};

    if (read_document(fd, id, ret, err) < 0)
        return -1;
    return *ret != NULL ? 0 : new_document(&metadata, ret, err);
}

static int change_consumer(struct key_manager *manager, const char *id,
                           const struct secret_consumer *consumer, bool adds, struct cancel *cancel,
                           struct error *err)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;
    CLEANUP(fd_close) int lock_fd = -1;
    struct secret_metadata metadata;
    char name[FILE_NAME_BYTES];
    bool changed = false;
    int fd;

    metadata_name(id, name);
    if (find_secret(manager, id, cancel, &fd, &metadata, err) < 0 ||
        local_directory_lock(fd, LOCAL_LOCK_EXCLUSIVE, &lock_fd, err) < 0 ||
        read_or_make_document(fd, id, &document, err) < 0)
        return -1;
    if (change_document(document, consumer, adds, &changed, err) < 0 ||
        (changed && local_document_write(fd, name, document, err) < 0))
        return error_prefix(err, "secret %s", id);
    return 0;
}

static int add_consumer(struct key_manager *manager, const char *secret_id,
                        const struct secret_consumer *consumer, struct cancel *cancel,
                        struct error *err)
{
    return change_consumer(manager, secret_id, consumer, true, cancel, err);
}

static int remove_consumer(struct key_manager *manager, const char *secret_id,
                           const struct secret_consumer *consumer, struct cancel *cancel,
                           struct error *err)
{
    return change_consumer(manager, secret_id, consumer, false, cancel, err);
}

static void free_keys(struct key_manager *manager)
{
    local_directory_free(((struct local_keys *)manager)->directory);
    free(manager);
}

/* Half a secret of a writer who was killed is not left to lie there until the next one. */
static void tidy(struct local_directory *directory)
{
    CLEANUP(fd_close) int lock_fd = -1;
    struct error ignored = ERROR_INIT;
    int fd;

    if (local_directory_open(directory, false, &fd, &ignored) == 0)
        (void)local_directory_lock(fd, LOCAL_LOCK_IF_FREE, &lock_fd, &ignored);
}

static const struct key_manager_ops ops = {.get_metadata = get_metadata,
                                           .get_payload = get_payload,
                                           .store = store,
                                           .add_consumer = add_consumer,
                                           .remove_consumer = remove_consumer,
                                           .free = free_keys};

int local_keys_new(const char *path, struct secure_arena *arena, struct key_manager **ret,
                   struct error *err)
{
    struct local_keys *keys = calloc(1, sizeof *keys);

    if (keys == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    keys->manager.ops = &ops;
    keys->arena = arena;
    if (local_directory_new(path, "secrets", &keys->directory, err) < 0) {
        free_keys(&keys->manager);
        return -1;
    }
    tidy(keys->directory);
    *ret = &keys->manager;
    return 0;
}
