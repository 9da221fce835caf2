/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that would change the tree is refused. */
#include "fuse/filesystem.h"

#include <errno.h>

static void refuse(fuse_req_t req)
{
    (void)fuse_reply_err(req, EROFS);
}

void handle_setattr(fuse_req_t req, fuse_ino_t inode, struct stat *attributes, int to_set,
                    struct fuse_file_info *file)
{
    (void)inode;
    (void)attributes;
    (void)to_set;
    (void)file;
    refuse(req);
}

void handle_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    (void)parent;
    (void)name;
    (void)mode;
    (void)device;
    refuse(req);
}

void handle_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    (void)parent;
    (void)name;
    (void)mode;
    refuse(req);
}

void handle_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent;
    (void)name;
    refuse(req);
}

void handle_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent;
    (void)name;
    refuse(req);
}

void handle_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target;
    (void)parent;
    (void)name;
    refuse(req);
}

void handle_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                   const char *new_name, unsigned flags)
{
    (void)parent;
    (void)name;
    (void)new_parent;
    (void)new_name;
    (void)flags;
    refuse(req);
}

void handle_link(fuse_req_t req, fuse_ino_t inode, fuse_ino_t new_parent, const char *new_name)
{
    (void)inode;
    (void)new_parent;
    (void)new_name;
    refuse(req);
}

void handle_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                   struct fuse_file_info *file)
{
    (void)parent;
    (void)name;
    (void)mode;
    (void)file;
    refuse(req);
}

void handle_setxattr(fuse_req_t req, fuse_ino_t inode, const char *name, const char *value,
                     size_t size, int flags)
{
    (void)inode;
    (void)name;
    (void)value;
    (void)size;
    (void)flags;
    refuse(req);
}

void handle_removexattr(fuse_req_t req, fuse_ino_t inode, const char *name)
{
    (void)inode;
    (void)name;
    refuse(req);
}
