/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GNUPGHOME of this process alone, for messages with a passphrase: no keys, no cache, defaults of
 * ours, and a gpg-agent that ends with it. Homes lie in a runtime directory, locked for as long as
 * their process lives, so that the next one can tell the homes of killed processes and remove them
 * together with their agents.
 */
#ifndef CODEC_GPGME_GNUPG_HOME_H
#define CODEC_GPGME_GNUPG_HOME_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

/** Longest path of a runtime directory, in bytes: the agent's socket in a home below it must fit an
 *  address of 107. */
#define RUNTIME_DIRECTORY_MAXIMUM_BYTES 64

/** How long another process may take to make a home or to remove stale ones, in milliseconds. */
#define RUNTIME_LOCK_MS 10000

struct gnupg_home;

/**
 * Makes a home in the directory `runtime`, which is made with mode 0700 when it is absent, and
 * removes stale homes there. NULL stands for `glancefs` in $XDG_RUNTIME_DIR if that is set, for root
 * /run/glancefs, else /tmp/glancefs-UID.
 *
 * ERROR_DENIED when the directory is not ours alone, or no directory; ERROR_INVALID when its path is
 * not absolute or too long; ERROR_TIMEOUT after RUNTIME_LOCK_MS.
 */
int gnupg_home_new(const char *runtime, struct gnupg_home **ret, struct error *err);

/** Stops the agent and removes the home. NULL is allowed. */
void gnupg_home_free(struct gnupg_home *home);
DEFINE_CLEANUP(struct gnupg_home, gnupg_home_free)

/** Its absolute path. */
const char *gnupg_home_path(const struct gnupg_home *home);

#endif
