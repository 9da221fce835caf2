/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going into the background so that whoever started the mount learns how that went: the child does
 * all the work with the terminal still on its standard error, the parent waits for its word.
 */
#ifndef CLI_MOUNT_DAEMON_H
#define CLI_MOUNT_DAEMON_H

#include "glancefs/error.h"

#include <stdbool.h>

struct mount_daemon {
    bool is_parent;
    int exit_code; /* the parent's: the child's own, or 0 once it is ready */
    int ready_fd;  /* the child's; -1 in the foreground */
};

/** Forks; both sides return. The parent does so when the child is ready or has ended. Call it
 *  before locked memory, threads and libraries. */
int mount_daemon_fork(struct mount_daemon *ret, struct error *err);

/** Whether standard error is a regular file, which whoever mounts has set up for the log. */
bool mount_daemon_has_log_file(void);

/** Once the mount is up: tells the service manager. In the background the child leaves the terminal,
 *  but not a log file, and lets the parent go. */
int mount_daemon_ready(struct mount_daemon *daemon, struct error *err);

#endif
