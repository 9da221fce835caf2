/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct stat and time-outs of everything in the tree. Owner, group and mode come from the
 * configuration. Sizes matter more than they seem to: tar and rsync read no further than st_size,
 * and cp looks for holes in a file that has fewer blocks than bytes (512 each).
 */
#ifndef FUSE_ATTRIBUTES_H
#define FUSE_ATTRIBUTES_H

#include "fuse/filesystem.h"
#include "glancefs/image_view.h"
#include "glancefs/write_index.h"

#include <stdint.h>
#include <sys/stat.h>

/** How long the kernel may believe in a name: an active image does not change. */
#define ENTRY_TIMEOUT_SECONDS 60.0
/** How long it may believe that there is no such name. */
#define NEGATIVE_TIMEOUT_SECONDS 1.0

/**
 * A directory or the status file; false when `inode` is none of them. *ret_timeout_seconds is how
 * long the kernel may keep the attributes. Never waits.
 */
bool attributes_of_node(struct filesystem *filesystem, fuse_ino_t inode, struct stat *ret,
                        double *ret_timeout_seconds);

/**
 * An image, under the number `inode`. Its size may change, so the kernel keeps nothing, until a
 * verification has found the exact one. Never waits.
 */
void attributes_of_image(struct filesystem *filesystem, fuse_ino_t inode,
                         const struct image_attributes *image, struct stat *ret,
                         double *ret_timeout_seconds);

/** A file to write, under the number `inode`: only the owner's, whatever `mode` says. It changes
 *  without the kernel's doing (a seal, an upload), so nothing may be kept. Never waits. */
void attributes_of_written(const struct filesystem *filesystem, fuse_ino_t inode,
                           const struct write_attributes *file, struct stat *ret);

/** Answers with the attributes of whatever `inode` is. May start a request. */
void attributes_reply(fuse_req_t req, fuse_ino_t inode);

#endif
