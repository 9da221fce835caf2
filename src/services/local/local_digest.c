/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_digest.h"

#include "base/file_source.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "glancefs/limits.h"
#include "services/local/local_record.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Files remembered; the oldest is forgotten for a new one. */
#define REMEMBERED 64
#define DIGEST_TEXT_BYTES (2 * HASH_MAXIMUM_BYTES + 1)

/* A file as it was when it was read. */
struct remembered {
    dev_t device;
    ino_t inode;
    off_t size_bytes;
    struct timespec modified;
    struct timespec changed;
    char digest[DIGEST_TEXT_BYTES]; /* empty for a free place */
};

struct local_digests {
    pthread_mutex_t mutex; /* guards everything below; not held while a file is read */
    struct remembered files[REMEMBERED];
    size_t next;
};

int local_digests_new(struct local_digests **ret, struct error *err)
{
    struct local_digests *digests = calloc(1, sizeof *digests);

    if (digests == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    (void)pthread_mutex_init(&digests->mutex, NULL);
    *ret = digests;
    return 0;
}

void local_digests_free(struct local_digests *digests)
{
    if (digests == NULL)
        return;
    (void)pthread_mutex_destroy(&digests->mutex);
    free(digests);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_file(const struct remembered *file, const struct stat *status)
{
    return file->digest[0] != '\0' && file->device == status->st_dev &&
           file->inode == status->st_ino && file->size_bytes == status->st_size &&
           same_time(&file->modified, &status->st_mtim) &&
           same_time(&file->changed, &status->st_ctim);
}

static bool recall(struct local_digests *digests, const struct stat *status,
                   char ret[DIGEST_TEXT_BYTES])
{
    bool found = false;

    (void)pthread_mutex_lock(&digests->mutex);
    for (size_t i = 0; i < REMEMBERED && !found; i++) {
        found = is_file(&digests->files[i], status);
        if (found)
            memcpy(ret, digests->files[i].digest, DIGEST_TEXT_BYTES);
    }
    (void)pthread_mutex_unlock(&digests->mutex);
    return found;
}

static void remember(struct local_digests *digests, const struct stat *status, const char *digest)
{
    struct remembered *file;

    (void)pthread_mutex_lock(&digests->mutex);
    file = &digests->files[digests->next++ % REMEMBERED];
    file->device = status->st_dev;
    file->inode = status->st_ino;
    file->size_bytes = status->st_size;
    file->modified = status->st_mtim;
    file->changed = status->st_ctim;
    memcpy(file->digest, digest, DIGEST_TEXT_BYTES);
    (void)pthread_mutex_unlock(&digests->mutex);
}

static int hash_data(int fd, const char *name, struct cancel *cancel, char ret[DIGEST_TEXT_BYTES],
                     struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *data = NULL;
    CLEANUP(memory_free) char *buffer = malloc(MIB);
    CLEANUP(hash_free) struct hash *sha512 = NULL;
    uint8_t digest[HASH_MAXIMUM_BYTES];
    uint64_t offset = 0;
    size_t size;

    if (buffer == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (file_source_open(fd, name, &data, err) < 0 ||
        hash_new_public(HASH_SHA512, &sha512, err) < 0)
        return -1;
    do {
        if (byte_source_pread(data, buffer, MIB, offset, cancel, &size, err) < 0)
            return -1;
        hash_update(sha512, buffer, size);
        offset += size;
    } while (size > 0);
    hash_finish(sha512, digest);
    encode_hex(digest, sizeof digest, ret);
    ret[DIGEST_TEXT_BYTES - 1] = '\0';
    return 0;
}

static int stat_data(int fd, const char *id, struct stat *ret, struct error *err)
{
    char name[LOCAL_NAME_BYTES];

    local_data_name(id, name);
    if (fstatat(fd, name, ret, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return error_set(err, ERROR_UNAVAILABLE, "the data of image %s is missing", id);
        return error_set_errno(err, errno, "the data of image %s", id);
    }
    if (!S_ISREG(ret->st_mode))
        return error_set(err, ERROR_UNAVAILABLE, "the data of image %s is not a regular file", id);
    return 0;
}

int local_digests_complete(struct local_digests *digests, int fd, const char *id,
                           struct json_object *entity, struct cancel *cancel, struct error *err)
{
    char name[LOCAL_NAME_BYTES];
    char digest[DIGEST_TEXT_BYTES];
    enum image_status status;
    struct stat data;

    local_data_name(id, name);
    if (local_record_status(entity, &status, err) < 0)
        return -1;
    if (status != IMAGE_STATUS_ACTIVE || json_object_object_get(entity, "os_hash_value") != NULL)
        return 0;
    if (stat_data(fd, id, &data, err) < 0)
        return -1;
    if (!recall(digests, &data, digest)) {
        if (hash_data(fd, name, cancel, digest, err) < 0)
            return error_prefix(err, "image %s", id);
        remember(digests, &data, digest);
    }
    if (json_document_set_text(entity, "os_hash_algo", "sha512", err) < 0)
        return -1;
    return json_document_set_text(entity, "os_hash_value", digest, err);
}
