/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/filesystem.h"

#include "glancefs/limits.h"

#include <stdlib.h>
#include <string.h>

/* Look-ups and the like beside as many opens as there may be. */
#define THREADS_BESIDE_OPENS 16

/* Their lengths are st_size until the files are opened for the first time. */
static int measure_first_texts(struct filesystem *filesystem, struct error *err)
{
    CLEANUP(memory_free) char *status = NULL;
    CLEANUP(memory_free) char *metrics = NULL;

    if (image_index_status(filesystem->index, &status, err) < 0 ||
        image_index_metrics(filesystem->index, &metrics, err) < 0)
        return -1;
    atomic_store(&filesystem->status_size, strlen(status));
    atomic_store(&filesystem->metrics_size, strlen(metrics));
    return 0;
}

int filesystem_new(const struct filesystem_parts *parts, struct filesystem **ret, struct error *err)
{
    CLEANUP(filesystem_free) struct filesystem *filesystem = calloc(1, sizeof *filesystem);

    if (filesystem == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    filesystem->config = parts->config;
    filesystem->index = parts->index;
    filesystem->writes = parts->writes;
    filesystem->buffers = parts->buffers;
    (void)clock_gettime(CLOCK_REALTIME, &filesystem->started);
    open_handles_init(&filesystem->handles);
    if (request_list_init(&filesystem->requests, err) < 0 ||
        inode_table_new(LIMIT_IMAGES, &filesystem->inodes, err) < 0 ||
        worker_pool_new("request", parts->config->max_streams + THREADS_BESIDE_OPENS,
                        &filesystem->pool, err) < 0 ||
        measure_first_texts(filesystem, err) < 0)
        return -1;
    *ret = steal(&filesystem);
    return 0;
}

void filesystem_free(struct filesystem *filesystem)
{
    if (filesystem == NULL)
        return;
    request_list_cancel(&filesystem->requests);
    worker_pool_free(filesystem->pool);
    open_handles_destroy(&filesystem->handles);
    request_list_destroy(&filesystem->requests);
    inode_table_free(filesystem->inodes);
    free(filesystem);
}

struct filesystem *filesystem_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

static void handle_init(void *userdata, struct fuse_conn_info *connection)
{
    struct filesystem *filesystem = userdata;

    atomic_store(&filesystem->wants_parallel_lookups,
                 (connection->want & FUSE_CAP_PARALLEL_DIROPS) != 0);
    connection->max_write = FUSE_REQUEST_BYTES;
    /* Page-cache reads are refused, so none should be made ahead. */
    connection->max_readahead = 0;
    connection->want &= ~(unsigned)FUSE_CAP_ASYNC_READ;
    /*
     * A large write with O_DIRECT would come as several requests at once, which two threads may
     * take in any order: past the write window that loses the file.
     */
    connection->want &= ~(unsigned)FUSE_CAP_ASYNC_DIO;
}

const struct fuse_lowlevel_ops *filesystem_operations(void)
{
    static const struct fuse_lowlevel_ops operations = {
        .init = handle_init,
        .lookup = handle_lookup,
        .forget = handle_forget,
        .forget_multi = handle_forget_multi,
        .getattr = handle_getattr,
        .setattr = handle_setattr,
        .mknod = handle_mknod,
        .mkdir = handle_mkdir,
        .unlink = handle_unlink,
        .rmdir = handle_rmdir,
        .symlink = handle_symlink,
        .rename = handle_rename,
        .link = handle_link,
        .open = handle_open,
        .read = handle_read,
        .write = handle_write,
        .flush = handle_flush,
        .fsync = handle_fsync,
        .release = handle_release,
        .opendir = handle_opendir,
        .readdir = handle_readdir,
        .readdirplus = handle_readdirplus,
        .releasedir = handle_releasedir,
        .statfs = handle_statfs,
        .setxattr = handle_setxattr,
        .getxattr = handle_getxattr,
        .listxattr = handle_listxattr,
        .removexattr = handle_removexattr,
        .create = handle_create,
        .fallocate = handle_fallocate,
    };

    return &operations;
}
