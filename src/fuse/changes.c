/* SPDX-License-Identifier: Apache-2.0 */
/* Changes by name and of attributes: the few that encrypt/ knows. All others are refused. */
#include "fuse/attributes.h"
#include "fuse/caller.h"
#include "fuse/filesystem.h"
#include "fuse/request_audit.h"
#include "fuse/written_file.h"

#include <errno.h>
#include <stdio.h>

/* Whoever may not change a thing here, be it that nobody may. */
static void refuse(fuse_req_t req, fuse_ino_t directory)
{
    (void)fuse_reply_err(req, directory == INODE_ENCRYPT ? EPERM : EROFS);
}

/* --- setattr --- */

static bool is_written(struct filesystem *filesystem, fuse_ino_t inode)
{
    struct inode_name name;

    return inode_table_find(filesystem->inodes, inode, &name) && name.directory == INODE_ENCRYPT;
}

static bool gives_away(const struct config *config, const struct stat *attributes, int to_set)
{
    return ((to_set & FUSE_SET_ATTR_UID) != 0 && attributes->st_uid != config->uid) ||
           ((to_set & FUSE_SET_ATTR_GID) != 0 && attributes->st_gid != config->gid);
}

/*
 * Mode and times are always the same, and setting them does nothing: cp -p, install, rsync -a and
 * tar set them after the data, and would call the copy failed. An owner is who may read what is
 * written, so only the present one is taken: root's tar and cp -p fail when they bring another one,
 * and --no-same-owner or uid= helps.
 */
void handle_setattr(fuse_req_t req, fuse_ino_t inode, struct stat *attributes, int to_set,
                    struct fuse_file_info *file)
{
    struct filesystem *filesystem = filesystem_of(req);
    const bool is_file = is_written(filesystem, inode);

    if (!is_file && inode != INODE_ENCRYPT)
        (void)fuse_reply_err(req, EROFS);
    else if (gives_away(filesystem->config, attributes, to_set))
        (void)fuse_reply_err(req, EPERM);
    else if (is_file && (to_set & FUSE_SET_ATTR_SIZE) != 0)
        written_file_truncate(req, inode, (uint64_t)attributes->st_size, file);
    else
        attributes_reply(req, inode);
}

/* --- unlink --- */

static int work_unlink(struct request *request, struct error *err)
{
    struct filesystem *filesystem = request->filesystem;

    if (caller_check_writer(request->req, filesystem->config, err) < 0 ||
        write_index_remove(filesystem->writes, request->name, request->cancel, err) < 0)
        return -1;
    inode_table_remove(filesystem->inodes, INODE_ENCRYPT, request->name);
    return 0;
}

static void answer_done(struct request *request)
{
    (void)fuse_reply_err(request->req, 0);
}

static const struct request_kind unlink_kind = {
    .name = "unlink", .work = work_unlink, .answer = answer_done};

void handle_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct request *request;

    if (parent != INODE_ENCRYPT) {
        refuse(req, parent);
    } else if ((request = request_new(req, &unlink_kind, parent)) != NULL) {
        request_set_name(request, INODE_ENCRYPT, name);
        request_start(request);
    }
}

/* --- rename, which seals --- */

static int work_rename(struct request *request, struct error *err)
{
    struct filesystem *filesystem = request->filesystem;
    int result = caller_check_writer(request->req, filesystem->config, err);

    if (result < 0)
        return -1;
    atomic_fetch_add(&filesystem->seals, 1);
    result = write_index_rename(filesystem->writes, request->name, request->other, request->flags,
                                request->cancel, err);
    atomic_fetch_sub(&filesystem->seals, 1);
    if (result == 0)
        inode_table_rename(filesystem->inodes, INODE_ENCRYPT, request->name, request->other);
    return result;
}

static const struct request_kind rename_kind = {
    .name = "rename", .work = work_rename, .answer = answer_done, .audit = audit_seal};

void handle_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                   const char *new_name, unsigned flags)
{
    struct request *request;

    if (parent != INODE_ENCRYPT || new_parent != INODE_ENCRYPT) {
        (void)fuse_reply_err(req, EROFS);
    } else if ((request = request_new(req, &rename_kind, parent)) != NULL) {
        request_set_name(request, INODE_ENCRYPT, name);
        (void)snprintf(request->other, sizeof request->other, "%s", new_name);
        request->flags = flags;
        audit_note_key(request);
        request_start(request);
    }
}

/* --- never --- */

void handle_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    (void)name;
    (void)mode;
    (void)device;
    refuse(req, parent);
}

void handle_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    (void)name;
    (void)mode;
    refuse(req, parent);
}

void handle_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)name;
    refuse(req, parent);
}

void handle_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target;
    (void)name;
    refuse(req, parent);
}

void handle_link(fuse_req_t req, fuse_ino_t inode, fuse_ino_t new_parent, const char *new_name)
{
    (void)inode;
    (void)new_name;
    refuse(req, new_parent);
}
