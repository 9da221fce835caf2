/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who mounts. The daemon gives up every right to mount, and to run fusermount3, before it takes the
 * first request. A process of its own, forked before that, keeps those rights: it mounts when the
 * daemon says so and hands it the device, and unmounts when the daemon has ended in order. It knows
 * no secret, reads nothing but one byte of the daemon's, and ends with it.
 *
 * A mount whose daemon was killed stays, dead: were it unmounted, what programs go on writing would
 * fall into the directory below, as plaintext.
 */
#ifndef FUSE_MOUNT_KEEPER_H
#define FUSE_MOUNT_KEEPER_H

#include "glancefs/cleanup.h"
#include "glancefs/config.h"
#include "glancefs/error.h"

#include <stdbool.h>

struct mount_keeper;

/**
 * Forks a keeper for the directory `mount_point`, an absolute path. It mounts as who we are now and
 * with the options that `config` asks for; passwords in its copy of `config` are wiped. Before
 * locked memory, threads and libraries.
 */
int mount_keeper_start(struct config *config, const char *mount_point, struct mount_keeper **ret,
                       struct error *err);

/** Mounts, once. *ret_fd is the device, the caller's; it is the only one, so the mount dies with it.
 *  ERROR_EXISTS when something of ours is mounted there already, ERROR_TIMEOUT when the keeper does
 *  not answer within 40 s: nothing else ends the waiting. */
int mount_keeper_mount(struct mount_keeper *keeper, int *ret_fd, struct error *err);

/** Unmounts, lazily, what mount_keeper_mount mounted, once the device was closed; wherever that is
 *  now, and nothing else. Nothing to do if it mounted nothing or somebody has unmounted it. */
int mount_keeper_unmount(struct mount_keeper *keeper, struct error *err);

/** Ends the keeper and waits for it. NULL is allowed. */
void mount_keeper_free(struct mount_keeper *keeper);
DEFINE_CLEANUP(struct mount_keeper, mount_keeper_free)

/**
 * Asks a keeper that listens at the socket `path`, see mount_keeper_serve. *ret_fd is the device;
 * whoever started that keeper unmounts. Waits as mount_keeper_mount; ERROR_INVALID when what came is
 * no device of a mount.
 */
int mount_keeper_ask(const char *path, int *ret_fd, struct error *err);

/**
 * The other side of mount_keeper_ask: waits at `listener`, a listening socket of type
 * SOCK_SEQPACKET, for one that asks, mounts on `mount_point` and hands it the device. Who may ask
 * is told by the socket's own permissions.
 */
int mount_keeper_serve(int listener, const struct config *config, const char *mount_point,
                       struct error *err);

#endif
