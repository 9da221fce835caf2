/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's table of mounts, /proc/self/mountinfo (proc(5)): what tells our mount from another
 * at its place. Asking the mount itself would not: a dead one answers nothing, and an id that the
 * kernel gave is the mount's as long as it exists, whatever becomes of its path.
 */
#ifndef FUSE_MOUNT_TABLE_H
#define FUSE_MOUNT_TABLE_H

#include "glancefs/error.h"

/** The type of our mounts. */
#define MOUNT_TABLE_TYPE "fuse.glancefs"

/** No mount has this id. */
#define MOUNT_TABLE_NONE (-1)

/** The id of a glancefs that is mounted on `path`, an absolute path without links; the topmost of
 *  several. MOUNT_TABLE_NONE when there is none, or the table cannot be read. */
int mount_table_find(const char *path);

/**
 * Where the glancefs with this id is mounted now; caller frees *ret. ERROR_NOT_FOUND when it is gone,
 * ERROR_BUSY when something else is mounted on top of it: unmounting that path would hit the other.
 */
int mount_table_locate(int id, char **ret, struct error *err);

#endif
