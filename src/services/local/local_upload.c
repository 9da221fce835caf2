/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_upload.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "glancefs/limits.h"
#include "services/local/local_directory.h"
#include "services/local/local_record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define COPY_BYTES (1 * MIB)
#define OS_HASH_ALGO "sha512"

/* An upload under way. The part file's descriptor holds its lock. */
struct upload {
    int fd; /* the images directory; borrowed */
    const char *id;
    char part_name[LOCAL_NAME_BYTES];
    int part_fd;
    struct hash *md5;
    struct hash *sha512;
    uint64_t size_bytes;
};

/* There, but without a value: as Glance creates it. A record written by hand may leave it out. */
static bool is_null(struct json_object *entity, const char *name)
{
    struct json_object *member = NULL;

    return json_object_object_get_ex(entity, name, &member) && member == NULL;
}

static int check_may_upload(struct json_object *entity, struct error *err)
{
    enum image_status status;

    if (local_record_status(entity, &status, err) < 0)
        return -1;
    if (status == IMAGE_STATUS_ACTIVE)
        return error_set(err, ERROR_EXISTS, "it is active already");
    if (status == IMAGE_STATUS_SAVING || status == IMAGE_STATUS_UPLOADING ||
        status == IMAGE_STATUS_IMPORTING)
        return error_set(err, ERROR_BUSY, "it is being saved");
    if (status != IMAGE_STATUS_QUEUED)
        return error_set(err, ERROR_DENIED, "it is %s", image_status_name(status));
    if (is_null(entity, "disk_format") || is_null(entity, "container_format"))
        return error_set(err, ERROR_INVALID,
                         "disk_format and container_format must be set before its data");
    return 0;
}

static bool is_part_name(const char *name)
{
    char id[UUID_TEXT_BYTES];
    char part_name[LOCAL_NAME_BYTES];

    if (*name != '.')
        return false;
    (void)snprintf(id, sizeof id, "%.36s", name + 1);
    local_part_name(id, part_name);
    return uuid_is_valid(id) && strcmp(name, part_name) == 0;
}

/* A part file is locked before anybody else can lock the directory, so one that is free is dead. */
static void remove_if_dead(int fd, const char *part_name)
{
    CLEANUP(fd_close)
    int part_fd = openat(fd, part_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (part_fd >= 0 && flock(part_fd, LOCK_EX | LOCK_NB) == 0)
        (void)unlinkat(fd, part_name, 0);
}

void local_upload_remove_dead(int fd)
{
    CLEANUP(closedir) DIR *listing = local_directory_stream(fd);
    const struct dirent *entry;

    while (listing != NULL && (entry = readdir(listing)) != NULL)
        if (is_part_name(entry->d_name))
            remove_if_dead(fd, entry->d_name);
}

/* With the directory locked and no upload running: a part file in the way is a dead one. */
static int create_part(struct upload *upload, struct error *err)
{
    (void)unlinkat(upload->fd, upload->part_name, 0);
    upload->part_fd = openat(upload->fd, upload->part_name,
                             O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (upload->part_fd < 0)
        return error_set_errno(err, errno, "create its data");
    if (flock(upload->part_fd, LOCK_EX | LOCK_NB) < 0)
        return error_set_errno(err, errno, "lock its data");
    return 0;
}

static int set_status(const struct upload *upload, struct json_object *entity,
                      enum image_status status, struct error *err)
{
    if (json_document_set_text(entity, "status", image_status_name(status), err) < 0)
        return -1;
    return local_record_write(upload->fd, upload->id, entity, err);
}

static int begin(struct upload *upload, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;
    CLEANUP(fd_close) int lock_fd = -1;

    if (hash_new_public(HASH_MD5, &upload->md5, err) < 0 ||
        hash_new_public(HASH_SHA512, &upload->sha512, err) < 0 ||
        local_directory_lock(upload->fd, LOCAL_LOCK_EXCLUSIVE, &lock_fd, err) < 0 ||
        local_record_read_locked(upload->fd, upload->id, &entity, err) < 0)
        return -1;
    local_upload_remove_dead(lock_fd);
    if (check_may_upload(entity, err) < 0 || create_part(upload, err) < 0)
        return error_prefix(err, "image %s", upload->id);
    return set_status(upload, entity, IMAGE_STATUS_SAVING, err);
}

static int append(struct upload *upload, const char *bytes, size_t size, struct error *err)
{
    hash_update(upload->md5, bytes, size);
    hash_update(upload->sha512, bytes, size);
    upload->size_bytes += size;
    while (size > 0) {
        ssize_t result = write(upload->part_fd, bytes, size);

        if (result < 0 && errno != EINTR)
            return error_set_errno(err, errno, "image %s: write", upload->id);
        bytes += result > 0 ? result : 0;
        size -= result > 0 ? (size_t)result : 0;
    }
    return 0;
}

static int copy(struct upload *upload, struct byte_source *data, struct cancel *cancel,
                struct error *err)
{
    const uint64_t declared = byte_source_size(data);
    CLEANUP(memory_free) char *buffer = malloc(COPY_BYTES);
    size_t size;

    if (buffer == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    do {
        if (cancel_check(cancel, err) < 0 ||
            byte_source_pread(data, buffer, COPY_BYTES, upload->size_bytes, cancel, &size, err) <
                0 ||
            append(upload, buffer, size, err) < 0)
            return -1;
    } while (size > 0);
    if (upload->size_bytes != declared)
        return error_set(err, ERROR_INVALID,
                         "image %s: its data ended at byte %" PRIu64 " of %" PRIu64, upload->id,
                         upload->size_bytes, declared);
    if (fsync(upload->part_fd) < 0)
        return error_set_errno(err, errno, "image %s: fsync", upload->id);
    return 0;
}

/* The image may be deleted, and even created again, while we copy: is the part file still ours? */
static bool owns_part(const struct upload *upload)
{
    struct stat ours;
    struct stat named;

    return upload->part_fd >= 0 && fstat(upload->part_fd, &ours) == 0 &&
           fstatat(upload->fd, upload->part_name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

static int set_digest(struct json_object *entity, const char *name, struct hash *hash,
                      enum hash_algorithm algorithm, struct error *err)
{
    uint8_t digest[HASH_MAXIMUM_BYTES];
    char text[2 * HASH_MAXIMUM_BYTES + 1] = {0};

    hash_finish(hash, digest);
    encode_hex(digest, hash_size(algorithm), text);
    return json_document_set_text(entity, name, text, err);
}

static int describe(struct upload *upload, struct json_object *entity, struct error *err)
{
    if (json_document_set_number(entity, "size", upload->size_bytes, err) < 0 ||
        set_digest(entity, "checksum", upload->md5, HASH_MD5, err) < 0 ||
        json_document_set_text(entity, "os_hash_algo", OS_HASH_ALGO, err) < 0)
        return -1;
    return set_digest(entity, "os_hash_value", upload->sha512, HASH_SHA512, err);
}

/* The record becomes active last: until its rename is durable the image counts as queued. */
static int publish_files(const struct upload *upload, struct json_object *entity, struct error *err)
{
    char data_name[LOCAL_NAME_BYTES];

    local_data_name(upload->id, data_name);
    if (renameat(upload->fd, upload->part_name, upload->fd, data_name) < 0)
        return error_set_errno(err, errno, "image %s: rename", upload->id);
    if (fsync(upload->fd) == 0)
        return set_status(upload, entity, IMAGE_STATUS_ACTIVE, err);
    return error_set_errno(err, errno, "image %s: fsync", upload->id);
}

static int publish(struct upload *upload, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;
    CLEANUP(fd_close) int lock_fd = -1;

    if (local_directory_lock(upload->fd, LOCAL_LOCK_EXCLUSIVE, &lock_fd, err) < 0)
        return -1;
    if (!owns_part(upload))
        return error_set(err, ERROR_NOT_FOUND, "image %s was deleted during its upload",
                         upload->id);
    if (local_record_read_locked(upload->fd, upload->id, &entity, err) < 0 ||
        describe(upload, entity, err) < 0)
        return -1;
    return publish_files(upload, entity, err);
}

/*
 * Best effort: once nobody holds the part file's lock, the record reads as queued anyway. An image
 * that was deleted meanwhile is left alone.
 */
static void give_up(const struct upload *upload)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;
    CLEANUP(fd_close) int lock_fd = -1;
    struct error ignored = ERROR_INIT;

    if (local_directory_lock(upload->fd, LOCAL_LOCK_EXCLUSIVE, &lock_fd, &ignored) < 0 ||
        !owns_part(upload))
        return;
    if (local_record_read_locked(upload->fd, upload->id, &entity, &ignored) == 0)
        (void)set_status(upload, entity, IMAGE_STATUS_QUEUED, &ignored);
    (void)unlinkat(upload->fd, upload->part_name, 0);
}

static void release(struct upload *upload)
{
    if (upload->part_fd >= 0)
        (void)close(upload->part_fd);
    hash_free(upload->md5);
    hash_free(upload->sha512);
}

int local_upload(int fd, const char *id, struct byte_source *data, struct cancel *cancel,
                 struct error *err)
{
    struct upload upload = {.fd = fd, .id = id, .part_fd = -1};
    int result;

    local_part_name(id, upload.part_name);
    result = begin(&upload, err);
    if (result == 0)
        result = copy(&upload, data, cancel, err);
    if (result == 0)
        result = publish(&upload, err);
    if (result < 0)
        give_up(&upload);
    release(&upload);
    return result;
}
