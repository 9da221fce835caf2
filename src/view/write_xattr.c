/* SPDX-License-Identifier: Apache-2.0 */
/* The extended attributes user.glancefs.* of files to write. */
#include "view/write_context.h"

#include "base/clock.h"
#include "glancefs/byte_source.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_XATTR "user.glancefs.state"
#define SIZE_XATTR "user.glancefs.size"
#define ERROR_XATTR "user.glancefs.error"
#define COMMIT_XATTR "user.glancefs.commit"

/* Longer than any value that can be set. */
#define VALUE_BYTES 64

/* --- setting --- */

/* Decimal digits, up to LIMIT_PLAINTEXT_BYTES. */
static bool parse_size(const char *text, uint64_t *ret)
{
    uint64_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > LIMIT_PLAINTEXT_BYTES)
            return false;
    }
    *ret = value;
    return true;
}

/* A commit of what is sealed already has nothing to do, so that it may be repeated. */
static int commit_unstaged(const struct write_attributes *file, const uint64_t *size,
                           struct error *err)
{
    if (file->state == WRITE_QUEUED) {
        (void)error_set(err, ERROR_INVALID, "nothing was written");
        err->errnum = ENODATA;
        return -1;
    }
    if (file->state == WRITE_FAILED)
        return error_set(err, ERROR_EXISTS, "is sealed, but its upload failed (glancefs uploads)");
    if (size != NULL && *size != file->size)
        return error_set(err, ERROR_INVALID, "has %" PRIu64 " bytes, not %" PRIu64, file->size,
                         *size);
    return 0;
}

static int commit(struct write_index *index, const char *name, const char *value,
                  struct cancel *cancel, struct error *err)
{
    CLEANUP(write_staging_unref) struct write_staging *staging = NULL;
    struct write_attributes attributes;
    const bool has_size = strncmp(value, "size=", 5) == 0;
    uint64_t size = 0;

    if (has_size ? !parse_size(value + 5, &size) : strcmp(value, "1") != 0)
        return error_set(err, ERROR_INVALID, COMMIT_XATTR " is \"1\" or \"size=BYTES\"");
    staging = write_index_find_file(index, name);
    if (staging != NULL)
        return write_staging_seal(staging, has_size ? &size : NULL, cancel, err);
    if (write_index_lookup(index, name, cancel, &attributes, err) < 0)
        return -1;
    return commit_unstaged(&attributes, has_size ? &size : NULL, err);
}

static int refuse_other_size(uint64_t size, uint64_t declared, struct error *err)
{
    return error_set(err, ERROR_INVALID,
                     "size %" PRIu64 ", but the image's os_decrypt_size is %" PRIu64, size,
                     declared);
}

/* Declares the size of what is being written. With the turn. */
static int declare_staged(struct write_staging *staging, uint64_t size, struct error *err)
{
    struct monitor *monitor = &staging->set->monitor;
    int result;

    if (!write_content_may_declare(staging->content, size))
        return error_set(err, ERROR_INVALID,
                         "size %" PRIu64 " contradicts the %" PRIu64 " bytes that are there", size,
                         write_content_size(staging->content));
    result = write_content_declare(staging->content, size, err);
    monitor_lock(monitor);
    if (result == 0) {
        staging->size_is_declared_by_xattr = true;
        staging->declared_size = size;
    } else {
        write_staging_poison(staging, err);
    }
    monitor_unlock(monitor);
    return result;
}

/* Remembers the size for whoever opens the file. */
static int declare_queued(struct write_index *index, const char *id, uint64_t size,
                          struct error *err)
{
    struct monitor *monitor = &index->stagings->monitor;
    struct write_staging *staging;
    int result = 0;

    monitor_lock(monitor);
    staging = write_stagings_find_or_add(index->stagings, id);
    if (staging == NULL) {
        result = error_set(err, ERROR_EXHAUSTED, "out of memory");
    } else if (staging->phase != STAGING_IDLE) {
        result = error_set(err, ERROR_BUSY, "is being written as %s", staging->name);
    } else {
        staging->size_is_declared_by_xattr = true;
        staging->declared_size = size;
        staging->idle_since_ns = clock_monotonic_ns();
    }
    monitor_unlock(monitor);
    return result;
}

/* A seal may begin meanwhile; it then waits for this turn, and fails when the declaration failed or
 * contradicts the size. */
static int declare_open(struct write_staging *staging, uint64_t size, struct cancel *cancel,
                        struct error *err)
{
    struct monitor *monitor = &staging->set->monitor;
    int result;

    if (write_staging_take_turn(staging, cancel, err) < 0)
        return -1;
    monitor_lock(monitor);
    result = write_staging_check(staging, err);
    monitor_unlock(monitor);
    if (result == 0)
        result = declare_staged(staging, size, err);
    write_staging_end_turn(staging);
    return result;
}

static int declare(struct write_index *index, const char *name, const char *value,
                   struct cancel *cancel, struct error *err)
{
    CLEANUP(write_staging_unref) struct write_staging *staging = NULL;
    struct write_attributes attributes;
    struct write_target target;
    uint64_t size;

    if (!parse_size(value, &size))
        return error_set(err, ERROR_INVALID, SIZE_XATTR " is a number of bytes");
    if (write_index_lookup(index, name, cancel, &attributes, err) < 0 ||
        write_index_fetch_target(index, attributes.image_id, cancel, &target, err) < 0)
        return -1;
    if (target.declared_size != BYTE_SOURCE_SIZE_UNKNOWN && target.declared_size != size)
        return refuse_other_size(size, target.declared_size, err);
    staging = write_index_find_file(index, name);
    if (staging != NULL)
        return declare_open(staging, size, cancel, err);
    return declare_queued(index, attributes.image_id, size, err);
}

int write_index_set_xattr(struct write_index *index, const char *name, const char *xattr,
                          const void *value, size_t value_size, struct cancel *cancel,
                          struct error *err)
{
    char text[VALUE_BYTES] = "";

    if (strcmp(xattr, COMMIT_XATTR) != 0 && strcmp(xattr, SIZE_XATTR) != 0)
        return error_set(err, ERROR_UNSUPPORTED, "xattr %.64s cannot be set", xattr);
    if (value_size >= sizeof text || memchr(value, '\0', value_size) != NULL)
        return error_set(err, ERROR_INVALID, "%s cannot have this value", xattr);
    memcpy(text, value, value_size);
    if (strcmp(xattr, COMMIT_XATTR) == 0)
        return commit(index, name, text, cancel, err);
    return declare(index, name, text, cancel, err);
}

/* --- getting --- */

/* The texts of one file's attributes; empty when absent. */
struct xattr_texts {
    const char *state;
    char size[VALUE_BYTES];
    char error[ERROR_MESSAGE_BYTES];
};

/* What a staging, be it open or idle, remembers. */
static void describe_staging(struct write_index *index, const char *id, uint64_t *ret_declared_size,
                             char ret_poison[ERROR_MESSAGE_BYTES])
{
    struct monitor *monitor = &index->stagings->monitor;
    const struct write_staging *staging;

    monitor_lock(monitor);
    staging = write_stagings_find(index->stagings, id);
    *ret_declared_size = staging != NULL ? staging->declared_size : BYTE_SOURCE_SIZE_UNKNOWN;
    if (staging != NULL && staging->phase == STAGING_POISONED)
        (void)snprintf(ret_poison, ERROR_MESSAGE_BYTES, "%s", staging->poison.message);
    monitor_unlock(monitor);
}

/* The size that the record of a queued image declares, if any. */
static int record_size(struct write_index *index, const char *name, struct cancel *cancel,
                       uint64_t *ret, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    bool is_declared = false;
    uint64_t size = 0;

    if (write_index_record(index, name, cancel, &record, err) < 0 ||
        image_record_decrypt_size(record, &is_declared, &size, err) < 0)
        return -1;
    if (is_declared)
        *ret = size;
    return 0;
}

static int collect_texts(struct write_index *index, const char *name, struct cancel *cancel,
                         struct xattr_texts *ret, struct error *err)
{
    struct write_attributes file;
    struct upload_info info = {.error = ""};
    char poison[ERROR_MESSAGE_BYTES] = "";
    uint64_t size;

    if (write_index_lookup(index, name, cancel, &file, err) < 0)
        return -1;
    *ret = (struct xattr_texts){.state = write_state_name(file.state)};
    describe_staging(index, file.image_id, &size, poison);
    if (file.state == WRITE_QUEUED && size == BYTE_SOURCE_SIZE_UNKNOWN &&
        record_size(index, name, cancel, &size, err) < 0)
        return -1;
    if (file.state == WRITE_POISONED) {
        (void)snprintf(ret->error, sizeof ret->error, "%s", poison);
    } else if (file.state != WRITE_QUEUED && file.state != WRITE_STAGING &&
               write_index_find_upload(index, file.image_id, &file, &info)) {
        size = file.size;
        (void)snprintf(ret->error, sizeof ret->error, "%s", info.error);
    }
    if (size != BYTE_SOURCE_SIZE_UNKNOWN)
        (void)snprintf(ret->size, sizeof ret->size, "%" PRIu64, size);
    return 0;
}

/* The text of `xattr`, or NULL for a name that is none of them. */
static const char *text_of(const struct xattr_texts *texts, const char *xattr)
{
    if (strcmp(xattr, STATE_XATTR) == 0)
        return texts->state;
    if (strcmp(xattr, SIZE_XATTR) == 0)
        return texts->size;
    return strcmp(xattr, ERROR_XATTR) == 0 ? texts->error : NULL;
}

static int refuse_absent(const char *xattr, struct error *err)
{
    (void)error_set(err, ERROR_NOT_FOUND, "no xattr %.64s", xattr);
    err->errnum = ENODATA;
    return -1;
}

int write_index_get_xattr(struct write_index *index, const char *name, const char *xattr,
                          struct cancel *cancel, char **ret, struct error *err)
{
    struct xattr_texts texts = {.state = ""};

    if (text_of(&texts, xattr) == NULL)
        return refuse_absent(xattr, err);
    if (collect_texts(index, name, cancel, &texts, err) < 0)
        return -1;
    if (*text_of(&texts, xattr) == '\0')
        return refuse_absent(xattr, err);
    *ret = strdup(text_of(&texts, xattr));
    return *ret != NULL ? 0 : error_set(err, ERROR_EXHAUSTED, "out of memory");
}

int write_index_list_xattrs(struct write_index *index, const char *name, struct cancel *cancel,
                            char **ret, size_t *ret_size, struct error *err)
{
    static const char *const xattrs[] = {STATE_XATTR, SIZE_XATTR, ERROR_XATTR};
    CLEANUP(memory_free) char *names = NULL;
    struct xattr_texts texts;
    size_t size = 0;

    if (collect_texts(index, name, cancel, &texts, err) < 0)
        return -1;
    names = malloc(sizeof STATE_XATTR + sizeof SIZE_XATTR + sizeof ERROR_XATTR);
    if (names == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < sizeof xattrs / sizeof xattrs[0]; i++) {
        const size_t length = strlen(xattrs[i]) + 1;

        if (*text_of(&texts, xattrs[i]) == '\0')
            continue;
        memcpy(names + size, xattrs[i], length);
        size += length;
    }
    *ret = steal(&names);
    *ret_size = size;
    return 0;
}
