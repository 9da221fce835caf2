/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox of a daemon: what it may still do once it is set up. No capability and no new
 * privilege; of the file system only the paths it was given (Landlock); of the kernel only the
 * calls it makes (seccomp).
 *
 * A call that is not allowed fails with EPERM. It does not kill: a call that a library makes in a
 * rare case fails for one request then, while others go on reading and writing, and an attacker
 * gains nothing from an EPERM. Calls that libraries try and can do without fail with ENOSYS, which
 * is the answer they know. What is allowed stands in sandbox_filter.c.
 *
 * A process that runs programs (the one that runs gpg) has a sandbox in which these can live, too.
 *
 * In builds with a sanitizer, which starts a thread, makes calls and opens files of its own, neither
 * Landlock nor seccomp is used.
 */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include "glancefs/error.h"
#include "glancefs/sandbox_state.h"

#include <stdbool.h>
#include <stddef.h>

enum sandbox_access {
    SANDBOX_READ,    /* read files, list directories */
    SANDBOX_EXECUTE, /* and run programs */
    SANDBOX_WRITE,   /* read, and make, change, rename and remove files and directories */
    SANDBOX_SOCKETS, /* all that, and make sockets */
};

/** A file, or a directory with all that is below. One that does not exist is passed over. */
struct sandbox_path {
    const char *path;
    enum sandbox_access access;
};

struct sandbox_needs {
    const struct sandbox_path *paths;
    size_t count;
    bool uses_network;  /* else there are only local sockets; not together with the next */
    bool runs_programs; /* else there is no exec and no new process */
};

/**
 * Enters the sandbox, which nothing leads out of. Before the first thread: ERROR_SYSTEM when there
 * is another, which would stay outside. A kernel without Landlock is no error: see *ret.
 */
int sandbox_enter(const struct sandbox_needs *needs, struct sandbox_state *ret, struct error *err);

#endif
