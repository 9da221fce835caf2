/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/staged_upload.h"

#include "cache/staged_file.h"
#include "cache/upload_signature.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

/* Dirty bytes left to the seal: at most twice this. */
#define SYNC_BYTES ((uint64_t)32 * MIB)

struct staged_upload {
    struct byte_sink sink; /* first: freeing the sink frees the upload */
    const struct staging_owner *owner;
    struct seal_listener listener;
    struct upload_journal *journal;
    int fd; /* .part, locked; -1 once sealed or removed */
    uint64_t size;
    uint64_t synced; /* write-back was started up to here */
    struct hash *sha512;
    struct hash *md5;
};

/* --- the sink --- */

/*
 * Starts write-back of each full piece and waits for the one before it, so that the disk works while
 * we compute and the seal finds little left to do. A hint: errors come back from fdatasync.
 */
static void sync_as_it_grows(struct staged_upload *upload)
{
    while (upload->size - upload->synced >= SYNC_BYTES) {
        (void)sync_file_range(upload->fd, (off_t)upload->synced, (off_t)SYNC_BYTES,
                              SYNC_FILE_RANGE_WRITE);
        if (upload->synced >= SYNC_BYTES)
            (void)sync_file_range(
                upload->fd, (off_t)(upload->synced - SYNC_BYTES), (off_t)SYNC_BYTES,
                SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
        upload->synced += SYNC_BYTES;
    }
}

static int staged_write(struct byte_sink *sink, const void *bytes, size_t size,
                        struct cancel *cancel, struct error *err)
{
    struct staged_upload *upload = (struct staged_upload *)sink;
    const char *next = bytes;

    (void)cancel;
    hash_update(upload->sha512, bytes, size);
    hash_update(upload->md5, bytes, size);
    while (size > 0) {
        const ssize_t result = write(upload->fd, next, size);

        if (result < 0 && errno != EINTR)
            return error_set_errno(err, errno, "staging: write");
        next += result > 0 ? result : 0;
        size -= result > 0 ? (size_t)result : 0;
        upload->size += result > 0 ? (uint64_t)result : 0;
    }
    sync_as_it_grows(upload);
    return 0;
}

static void take_digest(struct hash *hash, enum hash_algorithm algorithm, char *ret_text)
{
    uint8_t digest[HASH_MAXIMUM_BYTES];

    hash_finish(hash, digest);
    encode_hex(digest, hash_size(algorithm), ret_text);
}

/* The lock goes with the descriptor: from then on the upload is anybody's to send. */
static void let_go(struct staged_upload *upload)
{
    if (upload->fd >= 0)
        (void)close(steal_fd(&upload->fd));
}

static int staged_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    struct staged_upload *upload = (struct staged_upload *)sink;
    struct upload_journal *journal = upload->journal;
    int result;

    (void)cancel;
    journal->stored_bytes = upload->size;
    journal->sealed_at = (int64_t)time(NULL);
    take_digest(upload->sha512, HASH_SHA512, journal->sha512);
    take_digest(upload->md5, HASH_MD5, journal->md5);
    if (upload_signature_add(upload->owner, journal, err) < 0)
        return -1;
    result = staging_directory_seal(upload->owner->dir_fd, upload->fd, journal, err);
    let_go(upload);
    if (result == 0)
        upload->listener.sealed(upload->listener.context, journal->image_id);
    return result;
}

/* A seal that failed has tidied up itself: .part may be another writer's by now. */
static void staged_abort(struct byte_sink *sink)
{
    struct staged_upload *upload = (struct staged_upload *)sink;
    struct error ignored = ERROR_INIT;

    if (upload->fd < 0)
        return;
    (void)staged_file_remove(upload->owner->dir_fd, upload->journal->image_id, STAGED_PART,
                             &ignored);
    let_go(upload);
}

static void staged_free(struct byte_sink *sink)
{
    struct staged_upload *upload = (struct staged_upload *)sink;

    let_go(upload);
    hash_free(upload->sha512);
    hash_free(upload->md5);
    upload_journal_free(upload->journal);
    free(upload);
}

static const struct byte_sink_ops staged_ops = {
    .write = staged_write, .commit = staged_commit, .abort = staged_abort, .free = staged_free};

/* --- the upload --- */

static int prepare(struct staged_upload *upload, const char *id, struct error *err)
{
    const struct staging_owner *owner = upload->owner;

    if (upload_journal_new(id, owner->cloud, owner->project_id, &upload->journal, err) < 0 ||
        hash_new_public(HASH_SHA512, &upload->sha512, err) < 0 ||
        hash_new_public(HASH_MD5, &upload->md5, err) < 0)
        return -1;
    return staging_directory_begin(owner->dir_fd, id, &upload->fd, err);
}

int staged_upload_begin(const struct staging_owner *owner, struct seal_listener listener,
                        const char *id, struct staged_upload **ret, struct error *err)
{
    struct staged_upload *upload;

    if (!uuid_is_valid(id))
        return error_set(err, ERROR_NOT_FOUND, "no image has an id that is no UUID");
    upload = calloc(1, sizeof *upload);
    if (upload == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    upload->sink.ops = &staged_ops;
    upload->owner = owner;
    upload->listener = listener;
    upload->fd = -1;
    if (prepare(upload, id, err) < 0) {
        staged_free(&upload->sink);
        return -1;
    }
    *ret = upload;
    return 0;
}

struct byte_sink *staged_upload_sink(struct staged_upload *upload)
{
    return &upload->sink;
}

int staged_upload_set_property(struct staged_upload *upload, const char *name, const char *value,
                               struct error *err)
{
    return upload_journal_set_property(upload->journal, name, value, err);
}

void staged_upload_set_plaintext_size(struct staged_upload *upload, uint64_t bytes)
{
    upload->journal->plaintext_bytes = bytes;
}

void staged_upload_free(struct staged_upload *upload)
{
    if (upload != NULL)
        byte_sink_free(&upload->sink);
}
