/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount from start to end: what the program calls. Serves images to read and to write over the
 * device of a mount until it is unmounted or told to end.
 */
#ifndef FUSE_MOUNT_H
#define FUSE_MOUNT_H

#include "glancefs/cleanup.h"
#include "glancefs/config.h"
#include "glancefs/error.h"
#include "glancefs/image_view.h"
#include "glancefs/secure_arena.h"
#include "glancefs/write_index.h"

#include <stdbool.h>

/** How long open files may still be read and written after the first signal, in seconds. */
#define MOUNT_DRAIN_SECONDS 10

struct mount;

/** What a mount is made from; everything is borrowed and must outlive it. */
struct mount_parts {
    const struct config *config;
    struct image_index *index;
    struct write_index *writes;
    struct secure_arena *arena;
};

/**
 * Prepares to serve. Blocks SIGTERM, SIGINT, SIGHUP and SIGPIPE for the whole process: call it
 * before other threads are started that do not block them, and before anybody can see a mount.
 */
int mount_open(const struct mount_parts *parts, struct mount **ret, struct error *err);

/** Takes `device_fd`, the device of a mount (see fuse/mount_keeper.h), which is closed in any case.
 *  Answers nothing yet. */
int mount_attach(struct mount *mount, int device_fd, struct error *err);

/** Starts the threads that answer requests. */
int mount_start(struct mount *mount, struct error *err);

/** Whether somebody has unmounted it. */
bool mount_is_gone(const struct mount *mount);

/**
 * Waits until the mount is gone: unmounted by somebody, or by a signal; meanwhile sweeps the write
 * index. The first SIGTERM, SIGINT or SIGHUP drains: new opens fail with ESHUTDOWN, open files and
 * seals go on for MOUNT_DRAIN_SECONDS. A second one ends it at once.
 */
void mount_wait(struct mount *mount);

/** Closes the device, which ends the mount but leaves it in its place, and releases. Requests that
 *  still wait are interrupted, and files that are still open closed. NULL is allowed. */
void mount_close(struct mount *mount);
DEFINE_CLEANUP(struct mount, mount_close)

#endif
