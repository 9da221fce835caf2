/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounted tree, as libfuse's request handlers see it:
 *
 *     /                 FUSE_ROOT_ID
 *     /decrypt          INODE_DECRYPT
 *     /decrypt/<id>     numbers of the inode table
 *     /encrypt          INODE_ENCRYPT
 *     /encrypt/<name>   numbers of the inode table; names as glancefs/write_index.h has them
 *     /status           INODE_STATUS
 *     /.metrics         INODE_METRICS, which no listing shows
 *
 * Thread model: handlers run on the receive threads and never wait. What may wait (a service, the
 * disk, a verification, another writer) becomes a request (request.h) that a thread of the pool
 * carries out and answers; reads of images are carried out by the view's own threads.
 */
#ifndef FUSE_FILESYSTEM_H
#define FUSE_FILESYSTEM_H

#include "base/worker_pool.h"
#include "fuse/inode_table.h"
#include "fuse/libfuse.h"
#include "fuse/open_handle.h"
#include "fuse/request.h"
#include "fuse/request_buffers.h"
#include "glancefs/config.h"
#include "glancefs/error.h"
#include "glancefs/image_view.h"
#include "glancefs/write_index.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

enum { INODE_DECRYPT = FUSE_ROOT_ID + 1, INODE_STATUS, INODE_ENCRYPT, INODE_METRICS };

/** One mount's state. Each member locks for itself; no lock is held from one to the next. */
struct filesystem {
    const struct config *config;
    struct image_index *index;
    struct write_index *writes;
    struct request_buffers *buffers; /* locked memory of requests that carry plaintext */
    struct inode_table *inodes;
    struct worker_pool *pool; /* for requests that may wait; as many as opens at a time, and more */
    struct request_list requests; /* not answered yet */
    struct open_handles handles;
    struct timespec started;            /* the time of the directories and of the texts */
    atomic_bool refuses_opens;          /* draining: open fails with ESHUTDOWN */
    atomic_uint seals;                  /* renames and commits under way, for draining */
    atomic_size_t status_size;          /* of the status text that was frozen last */
    atomic_size_t metrics_size;         /* and of the metrics */
    atomic_bool wants_parallel_lookups; /* FUSE_INIT is to be answered so: device_io.h */
};

/** What a tree shows and works with; everything is borrowed and must outlive it. */
struct filesystem_parts {
    const struct config *config;
    struct image_index *index;
    struct write_index *writes;
    struct request_buffers *buffers;
};

/** A mount's state before it is mounted. */
int filesystem_new(const struct filesystem_parts *parts, struct filesystem **ret,
                   struct error *err);

/**
 * Cancels what waits, until every request was answered, then closes what is still open. No handler
 * may run any more, but libfuse's session must still exist. NULL is allowed.
 */
void filesystem_free(struct filesystem *filesystem);
DEFINE_CLEANUP(struct filesystem, filesystem_free)

/** The handlers; userdata is the filesystem. Static storage. */
const struct fuse_lowlevel_ops *filesystem_operations(void);

/** The filesystem a request is for. */
struct filesystem *filesystem_of(fuse_req_t req);

/* --- the handlers, by file; see fuse_lowlevel.h for each --- */

/* directory.c: names. Waits for the image service: lookup, opendir. */
void handle_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void handle_forget(fuse_req_t req, fuse_ino_t inode, uint64_t count);
void handle_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void handle_opendir(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *file);
void handle_readdir(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                    struct fuse_file_info *file);
void handle_readdirplus(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                        struct fuse_file_info *file);
void handle_releasedir(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *file);

/* attributes.c. Waits for the image service when memory does not know: getattr. For the disk:
 * statfs. */
void handle_getattr(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *file);
void handle_statfs(fuse_req_t req, fuse_ino_t inode);

/* extended_attributes.c. Waits for the image service: user.glance.* only. For the disk, when it
 * seals: user.glancefs.commit. */
void handle_getxattr(fuse_req_t req, fuse_ino_t inode, const char *name, size_t size);
void handle_listxattr(fuse_req_t req, fuse_ino_t inode, size_t size);
void handle_setxattr(fuse_req_t req, fuse_ino_t inode, const char *name, const char *value,
                     size_t size, int flags);
void handle_removexattr(fuse_req_t req, fuse_ino_t inode, const char *name);

/* file.c. Waits for services and a verification: open; for the disk: read. */
void handle_open(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *file);
void handle_read(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                 struct fuse_file_info *file);
void handle_flush(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *file);
void handle_release(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *file);

/* written_file.c. Waits for services: create; for the disk and the codec: write, fallocate. */
void handle_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                   struct fuse_file_info *file);
void handle_write(fuse_req_t req, fuse_ino_t inode, const char *bytes, size_t size, off_t offset,
                  struct fuse_file_info *file);
void handle_fsync(fuse_req_t req, fuse_ino_t inode, int only_data, struct fuse_file_info *file);
void handle_fallocate(fuse_req_t req, fuse_ino_t inode, int mode, off_t offset, off_t length,
                      struct fuse_file_info *file);

/* changes.c: below encrypt; anywhere else EROFS, at once. Waits for the disk: unlink, rename; for
 * services: setattr of a size. */
void handle_setattr(fuse_req_t req, fuse_ino_t inode, struct stat *attributes, int to_set,
                    struct fuse_file_info *file);
void handle_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void handle_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                   const char *new_name, unsigned flags);
void handle_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void handle_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void handle_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void handle_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void handle_link(fuse_req_t req, fuse_ino_t inode, fuse_ino_t new_parent, const char *new_name);

#endif
