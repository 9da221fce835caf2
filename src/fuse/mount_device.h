/* SPDX-License-Identifier: Apache-2.0 */
/* The device of a mount, made by libfuse. */
#ifndef FUSE_MOUNT_DEVICE_H
#define FUSE_MOUNT_DEVICE_H

#include "fuse/libfuse.h"
#include "glancefs/config.h"
#include "glancefs/error.h"

/** A session with the options of every mount and those that `config` asks for, not mounted yet. */
int mount_device_session(const struct config *config, const struct fuse_lowlevel_ops *operations,
                         size_t operations_size, void *userdata, struct fuse_session **ret,
                         struct error *err);

/** What mount_device_mount made. */
struct mounted_device {
    int fd;       /* the device: the caller's */
    int mount_id; /* see fuse/mount_table.h */
};

/**
 * Mounts on the directory `mount_point`, itself for root and with fusermount3 for others.
 * ERROR_EXISTS when a glancefs is mounted there.
 */
int mount_device_mount(const struct config *config, const char *mount_point,
                       struct mounted_device *ret, struct error *err);

/**
 * Unmounts, lazily, what mount_device_mount made, wherever it is now and nothing else; who cannot do
 * that has fusermount3 do it. ERROR_NOT_FOUND when it is gone already.
 */
int mount_device_unmount(int mount_id, struct error *err);

#endif
