/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a gpg started by gpgme is given, and how it is ended.
 *
 * gpgme forks twice and execs by itself: it takes no environment and tells no process id. So a fork
 * handler of ours runs in its children, for the thread that asked for it only: it replaces the
 * environment (which may hold the credentials of a cloud), unblocks all signals and makes a process
 * group, so that gpg can be ended whatever it waits for. gpgme closes every descriptor but gpg's own pipes before the exec;
 * the arena is not inherited (MADV_DONTFORK), and of the rest of memory an exec leaves nothing. The
 * gpg-agent that gpg may start leaves the group: gnupg_home.h stops it.
 */
#ifndef CODEC_GPGME_GPG_CHILD_H
#define CODEC_GPGME_GPG_CHILD_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

struct gpg_child;

/** The set-up for one gpg with the GNUPGHOME `home` (NULL: none is set). */
int gpg_child_new(const char *home, struct gpg_child **ret, struct error *err);

/** Frees; ends nothing. NULL is allowed. */
void gpg_child_free(struct gpg_child *child);
DEFINE_CLEANUP(struct gpg_child, gpg_child_free)

/** What this thread forks between begin and end is set up as `child` says. */
void gpg_child_begin(struct gpg_child *child);
void gpg_child_end(void);

/** The environment, for programs that we start ourselves. */
char *const *gpg_child_environment(const struct gpg_child *child);

/** Sends `signal` to the process group. Only while a pipe to gpg is known to be open on its side:
 *  its number may belong to somebody else afterwards. */
void gpg_child_signal(const struct gpg_child *child, int signal);

#endif
