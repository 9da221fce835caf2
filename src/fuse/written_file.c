/* SPDX-License-Identifier: Apache-2.0 */
/* Files of encrypt/: created, opened, written and closed. */
#include "fuse/written_file.h"

#include "fuse/attributes.h"
#include "fuse/caller.h"
#include "fuse/request_audit.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

int written_file_make_entry(struct filesystem *filesystem, const struct write_attributes *file,
                            struct fuse_entry_param *ret, struct error *err)
{
    *ret = (struct fuse_entry_param){.entry_timeout = 0};
    if (inode_table_look_up(filesystem->inodes, INODE_ENCRYPT, file->name, &ret->ino, err) < 0)
        return -1;
    attributes_of_written(filesystem, ret->ino, file, &ret->attr);
    return 0;
}

static struct write_stream *stream_of(const struct request *request)
{
    return open_handle_from_number(request->file.fh)->writer;
}

/* The name of an open file, for the log; empty when it is gone. */
static struct inode_name name_of(fuse_req_t req, fuse_ino_t inode)
{
    struct inode_name name = {.name = ""};

    (void)inode_table_find(filesystem_of(req)->inodes, inode, &name);
    return name;
}

/* --- open and create --- */

static int open_stream(const struct request *request, int flags, struct write_stream **ret,
                       struct error *err)
{
    if (caller_check_writer(request->req, request->filesystem->config, err) < 0)
        return -1;
    return write_index_open(request->filesystem->writes, request->name, flags, request->cancel, ret,
                            err);
}

static int work_open(struct request *request, struct error *err)
{
    CLEANUP(write_stream_close) struct write_stream *stream = NULL;

    if (open_stream(request, request->file.flags, &stream, err) < 0)
        return -1;
    const struct open_handle handle = {.writer = stream, .inode = request->inode};

    if (open_handles_add(&request->filesystem->handles, &handle, &request->found.handle, err) < 0)
        return -1;
    stream = NULL; /* the handle's now */
    return 0;
}

static void answer_open(struct request *request)
{
    request->file.fh = open_handle_number(request->found.handle);
    request->file.direct_io = 1;
    if (fuse_reply_open(request->req, &request->file) == -ENOENT)
        open_handles_close(&request->filesystem->handles, request->found.handle);
}

static const struct request_kind open_kind = {
    .name = "open", .work = work_open, .answer = answer_open, .audit = audit_open_to_write};

void written_file_open(fuse_req_t req, fuse_ino_t inode, const char *name,
                       const struct fuse_file_info *file)
{
    struct request *request = request_new(req, &open_kind, inode);

    if (request == NULL)
        return;
    request_set_name(request, INODE_ENCRYPT, name);
    request->file = *file;
    request_start(request);
}

static int work_create(struct request *request, struct error *err)
{
    CLEANUP(write_stream_close) struct write_stream *stream = NULL;
    struct filesystem *filesystem = request->filesystem;
    struct fuse_entry_param *entry = &request->found.created.entry;
    struct write_attributes attributes;

    if (open_stream(request, request->file.flags | O_CREAT, &stream, err) < 0)
        return -1;
    write_stream_attributes(stream, &attributes);
    if (written_file_make_entry(filesystem, &attributes, entry, err) < 0)
        return -1;
    const struct open_handle handle = {.writer = stream, .inode = entry->ino};

    if (open_handles_add(&filesystem->handles, &handle, &request->found.created.handle, err) < 0) {
        inode_table_forget(filesystem->inodes, entry->ino, 1);
        return -1;
    }
    stream = NULL; /* the handle's now */
    return 0;
}

static void answer_create(struct request *request)
{
    const struct fuse_entry_param *entry = &request->found.created.entry;
    struct open_handle *handle = request->found.created.handle;

    request->file.fh = open_handle_number(handle);
    request->file.direct_io = 1;
    if (fuse_reply_create(request->req, entry, &request->file) != -ENOENT)
        return;
    open_handles_close(&request->filesystem->handles, handle);
    inode_table_forget(request->filesystem->inodes, entry->ino, 1);
}

static const struct request_kind create_kind = {
    .name = "create", .work = work_create, .answer = answer_create, .audit = audit_open_to_write};

void handle_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                   struct fuse_file_info *file)
{
    struct request *request;

    (void)mode; /* always 0600 */
    if (parent != INODE_ENCRYPT) {
        (void)fuse_reply_err(req, EROFS);
    } else if (atomic_load(&filesystem_of(req)->refuses_opens)) {
        (void)fuse_reply_err(req, ESHUTDOWN);
    } else if ((request = request_new(req, &create_kind, parent)) != NULL) {
        request_set_name(request, INODE_ENCRYPT, name);
        request->file = *file;
        request_start(request);
    }
}

/* --- changes of an open file --- */

/*
 * A request that changes what `file` has open. Without memory for one the change is refused, and
 * the file must not be taken for complete then: it is poisoned like one whose writer was killed.
 */
static struct request *new_change(fuse_req_t req, const struct request_kind *kind, fuse_ino_t inode,
                                  const struct fuse_file_info *file)
{
    const struct open_handle *handle = open_handle_from_number(file->fh);
    struct request *request;
    struct error ignored = ERROR_INIT;

    if (handle == NULL || handle->writer == NULL) {
        (void)fuse_reply_err(req, EBADF);
        return NULL;
    }
    request = request_try_new(req, kind, inode);
    if (request == NULL) {
        (void)write_stream_flush(handle->writer, true, &ignored);
        (void)fuse_reply_err(req, EAGAIN);
        return NULL;
    }
    request_set_name(request, INODE_ENCRYPT, name_of(req, inode).name);
    request->file = *file;
    return request;
}

static void answer_done(struct request *request)
{
    (void)fuse_reply_err(request->req, 0);
}

static int work_write(struct request *request, struct error *err)
{
    return write_stream_write(stream_of(request), request->bytes, request->size, request->offset,
                              request->cancel, err);
}

static void answer_write(struct request *request)
{
    (void)fuse_reply_write(request->req, request->size);
}

static const struct request_kind write_kind = {
    .name = "write", .work = work_write, .answer = answer_write, .is_change = true};

void handle_write(fuse_req_t req, fuse_ino_t inode, const char *bytes, size_t size, off_t offset,
                  struct fuse_file_info *file)
{
    struct request *request = new_change(req, &write_kind, inode, file);

    if (request == NULL)
        return;
    request->bytes = bytes;
    request->size = size;
    request->offset = (uint64_t)offset;
    request->buffer = request_buffers_keep(request->filesystem->buffers);
    if (request->buffer == NULL) {
        request_run(request); /* the receiver needs its only buffer back */
        return;
    }
    request->used = (size_t)(bytes - (const char *)request->buffer) + size;
    request_start(request);
}

static int work_fallocate(struct request *request, struct error *err)
{
    return write_stream_allocate(stream_of(request), (int)request->flags, request->offset,
                                 request->length, request->cancel, err);
}

static const struct request_kind fallocate_kind = {
    .name = "fallocate", .work = work_fallocate, .answer = answer_done, .is_change = true};

void handle_fallocate(fuse_req_t req, fuse_ino_t inode, int mode, off_t offset, off_t length,
                      struct fuse_file_info *file)
{
    struct request *request = new_change(req, &fallocate_kind, inode, file);

    if (request == NULL)
        return;
    request->flags = (unsigned)mode;
    request->offset = (uint64_t)offset;
    request->length = (uint64_t)length;
    request_start(request);
}

/* --- truncate --- */

static int work_truncate_open(struct request *request, struct error *err)
{
    struct write_stream *stream = stream_of(request);

    if (write_stream_truncate(stream, request->length, request->cancel, err) < 0)
        return -1;
    write_stream_attributes(stream, &request->found.written);
    return 0;
}

static int work_truncate_name(struct request *request, struct error *err)
{
    struct write_index *writes = request->filesystem->writes;

    if (caller_check_writer(request->req, request->filesystem->config, err) < 0 ||
        write_index_truncate(writes, request->name, request->length, request->cancel, err) < 0)
        return -1;
    return write_index_lookup(writes, request->name, request->cancel, &request->found.written, err);
}

static void answer_truncate(struct request *request)
{
    struct stat attributes;

    attributes_of_written(request->filesystem, request->inode, &request->found.written,
                          &attributes);
    (void)fuse_reply_attr(request->req, &attributes, 0);
}

static const struct request_kind truncate_open_kind = {
    .name = "truncate", .work = work_truncate_open, .answer = answer_truncate, .is_change = true};
static const struct request_kind truncate_name_kind = {
    .name = "truncate", .work = work_truncate_name, .answer = answer_truncate};

void written_file_truncate(fuse_req_t req, fuse_ino_t inode, uint64_t size,
                           const struct fuse_file_info *file)
{
    struct request *request = file != NULL ? new_change(req, &truncate_open_kind, inode, file)
                                           : request_new(req, &truncate_name_kind, inode);

    if (request == NULL)
        return;
    request_set_name(request, INODE_ENCRYPT, name_of(req, inode).name);
    request->length = size;
    request_start(request);
}

/* --- read --- */

static int work_read(struct request *request, struct error *err)
{
    request->buffer = request_buffers_take(request->filesystem->buffers);
    if (request->buffer == NULL)
        return error_set(err, ERROR_EXHAUSTED,
                         "locked memory is used up: none is left to read into (max_memory, "
                         "%" PRIu64 " MiB)",
                         request->filesystem->config->max_memory_bytes / MIB);
    request->used = request->size;
    return write_stream_read(stream_of(request), request->buffer, request->size, request->offset,
                             request->cancel, &request->found.size, err);
}

static void answer_read(struct request *request)
{
    (void)fuse_reply_buf(request->req, request->buffer, request->found.size);
}

static const struct request_kind read_kind = {
    .name = "read", .work = work_read, .answer = answer_read};

void written_file_read(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                       const struct fuse_file_info *file)
{
    struct request *request = request_new(req, &read_kind, inode);

    if (request == NULL)
        return;
    request_set_name(request, INODE_ENCRYPT, name_of(req, inode).name);
    request->file = *file;
    request->size = size < FUSE_REQUEST_BYTES ? size : FUSE_REQUEST_BYTES;
    request->offset = (uint64_t)offset;
    request_start(request);
}

/* --- flush and fsync: what became of the writes; nothing waits --- */

static void reply_condition(fuse_req_t req, const char *operation, fuse_ino_t inode,
                            const struct fuse_file_info *file, bool killed)
{
    const struct open_handle *handle = open_handle_from_number(file->fh);
    struct error error = ERROR_INIT;

    if (handle == NULL || handle->writer == NULL ||
        write_stream_flush(handle->writer, killed, &error) == 0)
        (void)fuse_reply_err(req, 0);
    else
        request_refuse(req, operation, INODE_ENCRYPT, name_of(req, inode).name, &error);
}

void written_file_flush(fuse_req_t req, fuse_ino_t inode, const struct fuse_file_info *file)
{
    reply_condition(req, "close", inode, file, caller_is_killed(fuse_req_ctx(req)->pid));
}

void handle_fsync(fuse_req_t req, fuse_ino_t inode, int only_data, struct fuse_file_info *file)
{
    (void)only_data;
    reply_condition(req, "fsync", inode, file, false);
}
