/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes: `user.glance.<property>` of an image's record. Any other name is answered at
 * once from memory: `ls -l` asks for two of the security modules' for each file.
 */
#include "fuse/filesystem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "user.glance."
#define PREFIX_BYTES (sizeof PREFIX - 1)

static int work_record(struct request *request, struct error *err)
{
    return image_index_record(request->filesystem->index, request->image_id, request->cancel,
                              &request->found.record, err);
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

/* Starts a request that needs the record of image `image_id`. */
static void start(fuse_req_t req, const struct request_kind *kind, const char *image_id,
                  const char *name, size_t size)
{
    struct request *request = request_new(req, kind, 0);

    if (request == NULL)
        return;
    memcpy(request->image_id, image_id, sizeof request->image_id);
    (void)snprintf(request->name, sizeof request->name, "%s", name);
    request->size = size;
    request_start(request);
}

/* --- getxattr --- */

static void answer_getxattr(struct request *request)
{
    CLEANUP(image_record_unref) struct image_record *record = request->found.record;
    const char *value = image_record_property(record, request->name);

    if (value == NULL)
        (void)fuse_reply_err(request->req, ENODATA);
    else
        reply_value(request, value, strlen(value));
}

static const struct request_kind getxattr_kind = {
    .name = "getxattr", .work = work_record, .answer = answer_getxattr};

void handle_getxattr(fuse_req_t req, fuse_ino_t inode, const char *name, size_t size)
{
    char image_id[UUID_TEXT_BYTES];

    if (strncmp(name, PREFIX, PREFIX_BYTES) == 0 &&
        inode_table_find(filesystem_of(req)->inodes, inode, image_id))
        start(req, &getxattr_kind, image_id, name + PREFIX_BYTES, size);
    else
        (void)fuse_reply_err(req, ENODATA);
}

/* --- listxattr --- */

/* Each name with its NUL, one after the other; NULL without memory. */
static char *join_names(const struct image_record *record, size_t *ret_size)
{
    const size_t count = image_record_property_count(record);
    char *names = NULL;
    FILE *stream = open_memstream(&names, ret_size);

    if (stream == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        (void)fprintf(stream, PREFIX "%s%c", image_record_property_at(record, i).name, '\0');
    if (fclose(stream) == 0)
        return names;
    free(names);
    return NULL;
}

static void answer_listxattr(struct request *request)
{
    CLEANUP(image_record_unref) struct image_record *record = request->found.record;
    CLEANUP(memory_free) char *names = NULL;
    size_t size;

    names = join_names(record, &size);
    if (names == NULL)
        (void)fuse_reply_err(request->req, ENOMEM);
    else
        reply_value(request, names, size);
}

static const struct request_kind listxattr_kind = {
    .name = "listxattr", .work = work_record, .answer = answer_listxattr};

void handle_listxattr(fuse_req_t req, fuse_ino_t inode, size_t size)
{
    char image_id[UUID_TEXT_BYTES];

    if (inode_table_find(filesystem_of(req)->inodes, inode, image_id))
        start(req, &listxattr_kind, image_id, "", size);
    else if (size == 0)
        (void)fuse_reply_xattr(req, 0);
    else
        (void)fuse_reply_buf(req, NULL, 0);
}
