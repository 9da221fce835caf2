/* SPDX-License-Identifier: Apache-2.0 */
/* struct stat and time-outs of everything in the tree. */
#ifndef FUSE_ATTRIBUTES_H
#define FUSE_ATTRIBUTES_H

#include "fuse/filesystem.h"
#include "glancefs/image_view.h"

#include <stdint.h>
#include <sys/stat.h>

/** How long the kernel may believe in a name: an active image does not change. */
#define ENTRY_TIMEOUT_SECONDS 60.0
/** How long it may believe that there is no such name. */
#define NEGATIVE_TIMEOUT_SECONDS 1.0

/** A directory or the status file; false when `inode` is none of them. */
bool attributes_of_node(struct filesystem *filesystem, fuse_ino_t inode, struct stat *ret,
                        double *ret_timeout_seconds);

/** An image. Its attributes may change, and are not kept by the kernel, until its size is exact. */
void attributes_of_image(struct filesystem *filesystem, fuse_ino_t inode,
                         const struct image_attributes *image, struct stat *ret,
                         double *ret_timeout_seconds);

#endif
