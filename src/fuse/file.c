/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: images as forward streams, and the two texts, status and metrics. */
#include "fuse/caller.h"
#include "fuse/filesystem.h"
#include "fuse/request_audit.h"
#include "fuse/written_file.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* --- open --- */

static int add_handle(struct request *request, const struct open_handle *content, struct error *err)
{
    return open_handles_add(&request->filesystem->handles, content, &request->found.handle, err);
}

static int work_open_image(struct request *request, struct error *err)
{
    CLEANUP(read_stream_close) struct read_stream *stream = NULL;

    if (caller_check_reader(request->req, request->filesystem->config, err) < 0 ||
        image_index_open(request->filesystem->index, request->name, request->cancel, &stream, err) <
            0 ||
        add_handle(request, &(struct open_handle){.stream = stream}, err) < 0)
        return -1;
    stream = NULL; /* the handle's now */
    return 0;
}

/* The text as `write` has it now; it stays as it is while it is open. */
static int open_text(struct request *request,
                     int (*write)(struct image_index *index, char **ret, struct error *err),
                     atomic_size_t *shown_size, struct error *err)
{
    CLEANUP(memory_free) char *text = NULL;
    size_t size;

    if (caller_check_reader(request->req, request->filesystem->config, err) < 0 ||
        write(request->filesystem->index, &text, err) < 0)
        return -1;
    size = strlen(text);
    if (add_handle(request, &(struct open_handle){.text = text, .text_size = size}, err) < 0)
        return -1;
    text = NULL; /* the handle's now */
    atomic_store(shown_size, size);
    return 0;
}

static int work_open_status(struct request *request, struct error *err)
{
    return open_text(request, image_index_status, &request->filesystem->status_size, err);
}

static int work_open_metrics(struct request *request, struct error *err)
{
    return open_text(request, image_index_metrics, &request->filesystem->metrics_size, err);
}

static void reply_open(fuse_req_t req, struct open_handle *handle, struct fuse_file_info *file)
{
    struct filesystem *filesystem = filesystem_of(req);

    file->fh = open_handle_number(handle);
    file->direct_io = 1;
    file->nonseekable = 1;
    file->noflush = handle->stream == NULL;
    if (fuse_reply_open(req, file) == -ENOENT)
        open_handles_close(&filesystem->handles, handle);
}

static void answer_open(struct request *request)
{
    reply_open(request->req, request->found.handle, &request->file);
}

static const struct request_kind open_image_kind = {
    .name = "open", .work = work_open_image, .answer = answer_open, .audit = audit_open_to_read};
static const struct request_kind open_status_kind = {
    .name = "open status", .work = work_open_status, .answer = answer_open};

static const struct request_kind open_metrics_kind = {
    .name = "open metrics", .work = work_open_metrics, .answer = answer_open};

static void refuse_at_once(fuse_req_t req, const struct request_kind *kind, const char *image_id,
                           int errnum)
{
    if (kind == &open_image_kind)
        audit_open_at_once(req, image_id, NULL, errnum);
    (void)fuse_reply_err(req, errnum);
}

static void open_to_read(fuse_req_t req, const struct request_kind *kind, fuse_ino_t inode,
                         const char *image_id, const struct fuse_file_info *file)
{
    struct request *request;

    if ((file->flags & O_ACCMODE) != O_RDONLY || (file->flags & O_TRUNC) != 0) {
        refuse_at_once(req, kind, image_id, EACCES);
    } else if ((request = request_new(req, kind, inode)) != NULL) {
        request_set_name(request, INODE_DECRYPT, image_id);
        request->file = *file;
        request_start(request);
    }
}

/* Without a request, when everything is in memory. False when that does not do. */
static bool open_image_now(fuse_req_t req, const char *id, const struct fuse_file_info *file)
{
    struct filesystem *filesystem = filesystem_of(req);
    struct open_handle content = {.stream = NULL};
    struct fuse_file_info answer = *file;
    struct open_handle *handle;
    struct error ignored = ERROR_INIT;

    if ((file->flags & O_ACCMODE) != O_RDONLY || (file->flags & O_TRUNC) != 0 ||
        !caller_is_root_or_owner(req, filesystem->config) ||
        !image_index_open_now(filesystem->index, id, &content.stream))
        return false;
    if (open_handles_add(&filesystem->handles, &content, &handle, &ignored) < 0) {
        read_stream_close(content.stream);
        return false;
    }
    audit_open_at_once(req, id, handle->stream, 0);
    reply_open(req, handle, &answer);
    return true;
}

void handle_open(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *file)
{
    struct filesystem *filesystem = filesystem_of(req);
    struct inode_name name;

    if (inode == INODE_STATUS)
        open_to_read(req, &open_status_kind, inode, "", file);
    else if (inode == INODE_METRICS)
        open_to_read(req, &open_metrics_kind, inode, "", file);
    else if (!inode_table_find(filesystem->inodes, inode, &name) || *name.name == '\0')
        (void)fuse_reply_err(req, ESTALE);
    else if (atomic_load(&filesystem->refuses_opens))
        (void)fuse_reply_err(req, ESHUTDOWN);
    else if (name.directory == INODE_ENCRYPT)
        written_file_open(req, inode, name.name, file);
    else if (!open_image_now(req, name.name, file))
        open_to_read(req, &open_image_kind, inode, name.name, file);
}

void handle_release(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *file)
{
    (void)inode;
    open_handles_close(&filesystem_of(req)->handles, open_handle_from_number(file->fh));
    (void)fuse_reply_err(req, 0);
}

/* --- flush --- */

/* What a close(2) of an image says: nothing waits. */
static void flush_image(fuse_req_t req, fuse_ino_t inode, struct read_stream *stream)
{
    struct error error = ERROR_INIT;
    struct inode_name name = {.name = ""};

    if (read_stream_flush(stream, &error) == 0) {
        (void)fuse_reply_err(req, 0);
        return;
    }
    (void)inode_table_find(filesystem_of(req)->inodes, inode, &name);
    request_refuse(req, "close", INODE_DECRYPT, name.name, &error);
}

void handle_flush(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *file)
{
    const struct open_handle *handle = open_handle_from_number(file->fh);

    if (handle->stream != NULL)
        flush_image(req, inode, handle->stream);
    else if (handle->writer != NULL)
        written_file_flush(req, inode, file);
    else
        (void)fuse_reply_err(req, 0);
}

/* --- read --- */

static const struct request_kind read_kind = {.name = "read"};

/* The view's answer to a read: sent from the very bytes it was decrypted to. */
static void complete_read(struct read_request *read, const struct iovec *pieces, int piece_count,
                          const struct error *err)
{
    struct request *request = (struct request *)((char *)read - offsetof(struct request, read));

    request_claim(request);
    if (err != NULL)
        request_answer_error(request, err);
    else if (piece_count == 0)
        (void)fuse_reply_buf(request->req, NULL, 0);
    else
        (void)fuse_reply_iov(request->req, pieces, piece_count);
    request_end(request);
}

static void read_image(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                       struct read_stream *stream)
{
    struct request *request = request_new(req, &read_kind, inode);
    struct inode_name name;

    if (request == NULL)
        return;
    if (inode_table_find(request->filesystem->inodes, inode, &name))
        request_set_name(request, INODE_DECRYPT, name.name);
    request->read.offset = (uint64_t)offset;
    request->read.size = size;
    request->read.cancel = request->cancel;
    request->read.complete = complete_read;
    request_enlist(request);
    read_stream_submit(stream, &request->read);
}

/* A copy is sent: the reader that has its answer may release the handle before we are through. */
static void read_text(fuse_req_t req, const struct open_handle *handle, size_t size, off_t offset)
{
    const size_t start = (uint64_t)offset < handle->text_size ? (size_t)offset : handle->text_size;
    CLEANUP(memory_free) char *piece = strndup(handle->text + start, size);

    if (piece == NULL)
        (void)fuse_reply_err(req, ENOMEM);
    else
        (void)fuse_reply_buf(req, piece, strlen(piece));
}

void handle_read(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                 struct fuse_file_info *file)
{
    const struct open_handle *handle = open_handle_from_number(file->fh);

    /* Only reads for the page cache have no owner, and no plaintext may ever stay there. */
    if (file->lock_owner == 0)
        (void)fuse_reply_err(req, EINVAL);
    else if (handle->stream != NULL)
        read_image(req, inode, size, offset, handle->stream);
    else if (handle->writer != NULL)
        written_file_read(req, inode, size, offset, file);
    else
        read_text(req, handle, size, offset);
}
