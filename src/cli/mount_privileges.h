/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rights of a mount's daemon, from who started it down to nothing: a keeper that mounts, the
 * user it becomes, the sandbox in which it serves. In this order:
 *
 *   mount_access_new          as who started us: forks the keeper
 *   mount_privileges_become   root becomes `setuid`; only locking memory is left
 *   (session, cloud, cache)   as that user, whose files they are
 *   mount_sandbox_enter       see cli/mount_sandbox.h; before the first thread
 *   mount_access_get_device   the keeper mounts
 */
#ifndef CLI_MOUNT_PRIVILEGES_H
#define CLI_MOUNT_PRIVILEGES_H

#include "cli/mount_options.h"
#include "glancefs/cleanup.h"
#include "glancefs/config.h"
#include "glancefs/error.h"

/** The user that `drop_privileges` without `setuid` names. */
#define MOUNT_PRIVILEGES_USER "glancefs"

/** How a mount is to be had: a keeper of ours, one that listens at a socket, or a device given. */
struct mount_access;

/**
 * Of the mount point: a directory gets a keeper; `/dev/fd/N` is the device of a mount that somebody
 * made; a socket is where a keeper of somebody else's answers (see command_attach.c). Before locked
 * memory, threads and libraries. `options` are borrowed.
 */
int mount_access_new(const struct mount_options *options, struct mount_access **ret,
                     struct error *err);

/** The device of the mount, which is the caller's. */
int mount_access_get_device(struct mount_access *access, int *ret_fd, struct error *err);

/** Unmounts what a keeper of ours mounted, once the device was closed; logs what stands against it.
 *  NULL is allowed. */
void mount_access_unmount(struct mount_access *access);

/** NULL is allowed. */
void mount_access_free(struct mount_access *access);
DEFINE_CLEANUP(struct mount_access, mount_access_free)

/**
 * Root becomes the user that `setuid` or `drop_privileges` names, and makes the cache directory
 * theirs if there is none yet. Does nothing when neither is set; who is not root cannot become
 * somebody else: ERROR_DENIED.
 */
int mount_privileges_become(const struct config *config, struct error *err);

#endif
