/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/attributes.h"

#include "base/log.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <string.h>

#define BLOCK_BYTES 512 /* the unit of st_blocks, whatever st_blksize says */
#define EXACT_TIMEOUT_SECONDS 60.0
#define MAXIMUM_NAME_BYTES 255
#define WRITTEN_FILE_MODE 0600
#define WRITTEN_DIRECTORY_MODE 0700

/* --- struct stat --- */

static struct stat common_attributes(const struct filesystem *filesystem, fuse_ino_t inode,
                                     mode_t mode)
{
    return (struct stat){.st_ino = inode,
                         .st_mode = mode,
                         .st_nlink = 1,
                         .st_uid = filesystem->config->uid,
                         .st_gid = filesystem->config->gid,
                         .st_blksize = FUSE_REQUEST_BYTES};
}

static void set_size(struct stat *attributes, uint64_t size)
{
    attributes->st_size = (off_t)size;
    /* Fewer blocks than bytes would make cp look for holes, and fail: the file cannot seek. */
    attributes->st_blocks = (blkcnt_t)(size / BLOCK_BYTES + (size % BLOCK_BYTES != 0));
}

static void set_time(struct stat *attributes, struct timespec time)
{
    attributes->st_atim = time;
    attributes->st_mtim = time;
    attributes->st_ctim = time;
}

bool attributes_of_node(struct filesystem *filesystem, fuse_ino_t inode, struct stat *ret,
                        double *ret_timeout_seconds)
{
    const mode_t mode = filesystem->config->mode;

    if (inode == FUSE_ROOT_ID || inode == INODE_DECRYPT) {
        /* Who may read may also search. */
        *ret = common_attributes(filesystem, inode, S_IFDIR | mode | (mode >> 2));
        ret->st_nlink = inode == FUSE_ROOT_ID ? 4 : 2;
        *ret_timeout_seconds = EXACT_TIMEOUT_SECONDS;
    } else if (inode == INODE_ENCRYPT) {
        *ret = common_attributes(filesystem, inode, S_IFDIR | WRITTEN_DIRECTORY_MODE);
        ret->st_nlink = 2;
        *ret_timeout_seconds = EXACT_TIMEOUT_SECONDS;
    } else if (inode == INODE_STATUS || inode == INODE_METRICS) {
        *ret = common_attributes(filesystem, inode, S_IFREG | mode);
        set_size(ret, atomic_load(inode == INODE_STATUS ? &filesystem->status_size
                                                        : &filesystem->metrics_size));
        *ret_timeout_seconds = 0;
    } else {
        return false;
    }
    set_time(ret, filesystem->started);
    return true;
}

void attributes_of_image(struct filesystem *filesystem, fuse_ino_t inode,
                         const struct image_attributes *image, struct stat *ret,
                         double *ret_timeout_seconds)
{
    *ret = common_attributes(filesystem, inode, S_IFREG | filesystem->config->mode);
    set_size(ret, image->size);
    set_time(ret, (struct timespec){.tv_sec = image->updated_at});
    *ret_timeout_seconds = image->size_is_exact ? EXACT_TIMEOUT_SECONDS : 0;
}

void attributes_of_written(const struct filesystem *filesystem, fuse_ino_t inode,
                           const struct write_attributes *file, struct stat *ret)
{
    *ret = common_attributes(filesystem, inode, S_IFREG | WRITTEN_FILE_MODE);
    set_size(ret, file->size);
    set_time(ret, (struct timespec){.tv_sec = file->changed_at});
}

/* --- getattr of an image --- */

static int work_getattr(struct request *request, struct error *err)
{
    return image_index_lookup(request->filesystem->index, request->name, request->cancel,
                              &request->found.attributes, err);
}

static void reply_image(fuse_req_t req, fuse_ino_t inode, const struct image_attributes *image)
{
    struct stat attributes;
    double timeout;

    attributes_of_image(filesystem_of(req), inode, image, &attributes, &timeout);
    (void)fuse_reply_attr(req, &attributes, timeout);
}

static void answer_getattr(struct request *request)
{
    reply_image(request->req, request->inode, &request->found.attributes);
}

static const struct request_kind getattr_kind = {
    .name = "getattr", .work = work_getattr, .answer = answer_getattr};

static void get_image(fuse_req_t req, fuse_ino_t inode, const char *name)
{
    struct image_attributes image;
    struct request *request;

    if (image_index_peek(filesystem_of(req)->index, name, &image)) {
        reply_image(req, inode, &image);
    } else if ((request = request_new(req, &getattr_kind, inode)) != NULL) {
        request_set_name(request, INODE_DECRYPT, name);
        request_start(request);
    }
}

/* --- getattr of a file to write --- */

static void reply_written(fuse_req_t req, fuse_ino_t inode, const struct write_attributes *file)
{
    struct stat attributes;

    attributes_of_written(filesystem_of(req), inode, file, &attributes);
    (void)fuse_reply_attr(req, &attributes, 0);
}

static int work_getattr_written(struct request *request, struct error *err)
{
    return write_index_lookup(request->filesystem->writes, request->name, request->cancel,
                              &request->found.written, err);
}

static void answer_getattr_written(struct request *request)
{
    reply_written(request->req, request->inode, &request->found.written);
}

static const struct request_kind getattr_written_kind = {
    .name = "getattr", .work = work_getattr_written, .answer = answer_getattr_written};

static void get_written(fuse_req_t req, fuse_ino_t inode, const char *name)
{
    struct filesystem *filesystem = filesystem_of(req);
    struct write_attributes file;
    struct request *request;

    switch (*name != '\0' ? write_index_peek(filesystem->writes, name, &file) : WRITE_ABSENT) {
    case WRITE_PRESENT:
        reply_written(req, inode, &file);
        return;
    case WRITE_UNKNOWN:
        request = request_new(req, &getattr_written_kind, inode);
        if (request != NULL) {
            request_set_name(request, INODE_ENCRYPT, name);
            request_start(request);
        }
        return;
    case WRITE_ABSENT:
        break;
    }
    /* fstat(2) of an open file whose name is gone; the kernel does not say which handle. */
    if (open_handles_attributes(&filesystem->handles, inode, &file))
        reply_written(req, inode, &file);
    else
        (void)fuse_reply_err(req, ESTALE);
}

void attributes_reply(fuse_req_t req, fuse_ino_t inode)
{
    struct filesystem *filesystem = filesystem_of(req);
    struct inode_name name;
    struct stat attributes;
    double timeout;

    if (attributes_of_node(filesystem, inode, &attributes, &timeout))
        (void)fuse_reply_attr(req, &attributes, timeout);
    else if (!inode_table_find(filesystem->inodes, inode, &name))
        (void)fuse_reply_err(req, ESTALE);
    else if (name.directory == INODE_ENCRYPT)
        get_written(req, inode, name.name);
    else
        get_image(req, inode, name.name);
}

void handle_getattr(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *file)
{
    (void)file;
    attributes_reply(req, inode);
}

/* --- statfs --- */

static int work_statfs(struct request *request, struct error *err)
{
    struct statvfs *space = &request->found.space;
    uint64_t total_bytes;
    uint64_t free_bytes;

    if (image_index_space(request->filesystem->index, &total_bytes, &free_bytes, err) < 0)
        return -1;
    *space = (struct statvfs){.f_bsize = FUSE_REQUEST_BYTES,
                              .f_frsize = FUSE_REQUEST_BYTES,
                              .f_blocks = total_bytes / FUSE_REQUEST_BYTES,
                              .f_bfree = free_bytes / FUSE_REQUEST_BYTES,
                              .f_bavail = free_bytes / FUSE_REQUEST_BYTES,
                              .f_namemax = MAXIMUM_NAME_BYTES};
    return 0;
}

static void answer_statfs(struct request *request)
{
    (void)fuse_reply_statfs(request->req, &request->found.space);
}

static const struct request_kind statfs_kind = {
    .name = "statfs", .work = work_statfs, .answer = answer_statfs};

void handle_statfs(fuse_req_t req, fuse_ino_t inode)
{
    struct request *request = request_new(req, &statfs_kind, inode);

    if (request != NULL)
        request_start(request);
}
