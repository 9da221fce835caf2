/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes: `user.glance.<property>` of an image's record, and `user.glancefs.*` of a
 * file to write, which glancefs/write_index.h knows. Any other name is answered at once from memory:
 * `ls -l` asks for two of the security modules' for each file.
 */
#include "fuse/caller.h"
#include "fuse/filesystem.h"
#include "fuse/request_audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROPERTY_PREFIX "user.glance."
#define PROPERTY_PREFIX_BYTES (sizeof PROPERTY_PREFIX - 1)
#define CONTROL_PREFIX "user.glancefs."
#define COMMIT_XATTR CONTROL_PREFIX "commit"

static bool is_property(const char *name)
{
    return strncmp(name, PROPERTY_PREFIX, PROPERTY_PREFIX_BYTES) == 0;
}

static bool is_control(const char *name)
{
    return strncmp(name, CONTROL_PREFIX, strlen(CONTROL_PREFIX)) == 0;
}

/* Answers with `size` bytes, or how many they are when the caller asks for that. */
static void reply_value(const struct request *request, const char *value, size_t size)
{
    if (request->size == 0)
        (void)fuse_reply_xattr(request->req, size);
    else if (size > request->size)
        (void)fuse_reply_err(request->req, ERANGE);
    else
        (void)fuse_reply_buf(request->req, value, size);
}

/* A request about attribute `name` of a file, to be started; NULL when it was answered. */
static struct request *new_request(fuse_req_t req, const struct request_kind *kind,
                                   fuse_ino_t inode, const struct inode_name *file,
                                   const char *name, size_t size)
{
    struct request *request = request_new(req, kind, inode);

    if (request == NULL)
        return NULL;
    request_set_name(request, file->directory, file->name);
    (void)snprintf(request->other, sizeof request->other, "%s", name);
    request->size = size;
    return request;
}

static void start(fuse_req_t req, const struct request_kind *kind, fuse_ino_t inode,
                  const struct inode_name *file, const char *name, size_t size)
{
    struct request *request = new_request(req, kind, inode, file, name, size);

    if (request != NULL)
        request_start(request);
}

/* The file behind a number, if it has extended attributes. */
static bool find_file(fuse_req_t req, fuse_ino_t inode, struct inode_name *ret)
{
    return inode_table_find(filesystem_of(req)->inodes, inode, ret) && *ret->name != '\0';
}

/* The record of the image that the file belongs to. */
static int get_record(struct request *request, struct image_record **ret, struct error *err)
{
    struct filesystem *filesystem = request->filesystem;

    if (request->directory == INODE_ENCRYPT)
        return write_index_record(filesystem->writes, request->name, request->cancel, ret, err);
    return image_index_record(filesystem->index, request->name, request->cancel, ret, err);
}

/* --- getxattr --- */

static int refuse_absent(const struct request *request, struct error *err)
{
    (void)error_set(err, ERROR_NOT_FOUND, "no xattr %.64s", request->other);
    err->errnum = ENODATA;
    return -1;
}

static int keep_text(struct request *request, char *text, size_t size, struct error *err)
{
    if (text == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    request->found.text.bytes = text;
    request->found.text.size = size;
    return 0;
}

static int work_get_property(struct request *request, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    const char *value;

    if (get_record(request, &record, err) < 0)
        return -1;
    value = image_record_property(record, request->other + PROPERTY_PREFIX_BYTES);
    if (value == NULL)
        return refuse_absent(request, err);
    return keep_text(request, strdup(value), strlen(value), err);
}

static int work_get_control(struct request *request, struct error *err)
{
    char *text = NULL;

    if (write_index_get_xattr(request->filesystem->writes, request->name, request->other,
                              request->cancel, &text, err) < 0)
        return -1;
    return keep_text(request, text, strlen(text), err);
}

static void answer_text(struct request *request)
{
    CLEANUP(memory_free) char *text = request->found.text.bytes;

    reply_value(request, text, request->found.text.size);
}

/* That something is absent is an answer like any other. */
static void answer_failure(struct request *request, const struct error *err)
{
    if (err->errnum == ENODATA)
        (void)fuse_reply_err(request->req, ENODATA);
    else
        request_answer_error(request, err);
}

static const struct request_kind get_property_kind = {.name = "getxattr",
                                                      .work = work_get_property,
                                                      .answer = answer_text,
                                                      .answer_failure = answer_failure};
static const struct request_kind get_control_kind = {.name = "getxattr",
                                                     .work = work_get_control,
                                                     .answer = answer_text,
                                                     .answer_failure = answer_failure};

void handle_getxattr(fuse_req_t req, fuse_ino_t inode, const char *name, size_t size)
{
    struct inode_name file;

    if (is_property(name) && find_file(req, inode, &file))
        start(req, &get_property_kind, inode, &file, name, size);
    else if (is_control(name) && find_file(req, inode, &file) && file.directory == INODE_ENCRYPT)
        start(req, &get_control_kind, inode, &file, name, size);
    else
        (void)fuse_reply_err(req, ENODATA);
}

/* --- listxattr --- */

static int add_control_names(struct request *request, FILE *names, struct error *err)
{
    CLEANUP(memory_free) char *text = NULL;
    size_t size = 0;

    if (request->directory != INODE_ENCRYPT)
        return 0;
    if (write_index_list_xattrs(request->filesystem->writes, request->name, request->cancel, &text,
                                &size, err) < 0)
        return -1;
    (void)fwrite(text, 1, size, names);
    return 0;
}

static int add_property_names(struct request *request, FILE *names, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    if (get_record(request, &record, err) < 0)
        return -1;
    for (size_t i = 0; i < image_record_property_count(record); i++)
        (void)fprintf(names, PROPERTY_PREFIX "%s%c", image_record_property_at(record, i).name,
                      '\0');
    return 0;
}

/* What became of a written file can be told while the image service cannot be asked. */
static bool may_lack_properties(const struct request *request, const struct error *err)
{
    return request->directory == INODE_ENCRYPT && err->kind != ERROR_CANCELLED;
}

/* Each name with its NUL, one after the other. */
static int work_list(struct request *request, struct error *err)
{
    CLEANUP(memory_free) char *text = NULL;
    size_t size = 0;
    FILE *names = open_memstream(&text, &size);
    int result;

    if (names == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    result = add_control_names(request, names, err);
    if (result == 0 && add_property_names(request, names, err) < 0)
        result = may_lack_properties(request, err) ? 0 : -1;
    if (fclose(names) != 0 && result == 0)
        result = error_set(err, ERROR_EXHAUSTED, "out of memory");
    return result == 0 ? keep_text(request, steal(&text), size, err) : -1;
}

static const struct request_kind list_kind = {
    .name = "listxattr", .work = work_list, .answer = answer_text};

void handle_listxattr(fuse_req_t req, fuse_ino_t inode, size_t size)
{
    struct inode_name file;

    if (find_file(req, inode, &file))
        start(req, &list_kind, inode, &file, "", size);
    else if (size == 0)
        (void)fuse_reply_xattr(req, 0);
    else
        (void)fuse_reply_buf(req, NULL, 0);
}

/* --- setxattr and removexattr --- */

static bool seals(const char *xattr)
{
    return strcmp(xattr, COMMIT_XATTR) == 0;
}

static int work_set(struct request *request, struct error *err)
{
    struct filesystem *filesystem = request->filesystem;
    const bool is_seal = seals(request->other);
    int result = caller_check_writer(request->req, filesystem->config, err);

    if (result < 0)
        return -1;
    atomic_fetch_add(&filesystem->seals, is_seal);
    result = write_index_set_xattr(filesystem->writes, request->name, request->other,
                                   request->value, request->size, request->cancel, err);
    atomic_fetch_sub(&filesystem->seals, is_seal);
    return result;
}

static void answer_done(struct request *request)
{
    (void)fuse_reply_err(request->req, 0);
}

static const struct request_kind set_kind = {
    .name = "setxattr", .work = work_set, .answer = answer_done};
static const struct request_kind commit_kind = {
    .name = "setxattr", .work = work_set, .answer = answer_done, .audit = audit_seal};

void handle_setxattr(fuse_req_t req, fuse_ino_t inode, const char *name, const char *value,
                     size_t size, int flags)
{
    struct inode_name file;
    struct request *request;

    (void)flags;
    if (!find_file(req, inode, &file) || file.directory != INODE_ENCRYPT) {
        (void)fuse_reply_err(req, EROFS);
    } else if (!is_control(name)) {
        /* cp -a takes this as a filesystem without such attributes, and goes on. */
        (void)fuse_reply_err(req, EOPNOTSUPP);
    } else if ((request = new_request(req, seals(name) ? &commit_kind : &set_kind, inode, &file,
                                      name, 0)) != NULL) {
        audit_note_key(request);
        request->size = size < sizeof request->value ? size : sizeof request->value;
        memcpy(request->value, value, request->size);
        request_start(request);
    }
}

void handle_removexattr(fuse_req_t req, fuse_ino_t inode, const char *name)
{
    struct inode_name file;

    if (!find_file(req, inode, &file) || file.directory != INODE_ENCRYPT)
        (void)fuse_reply_err(req, EROFS);
    else if (is_property(name) || is_control(name))
        /* They tell of the image and its state and cannot go; but rsync -X removes each one that the
         * source has not, and would call the copy failed. */
        (void)fuse_reply_err(req, 0);
    else
        (void)fuse_reply_err(req, ENODATA);
}
