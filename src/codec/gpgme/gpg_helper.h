/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GnuPG at arm's length: processes of their own run gpg, so that the daemon itself never execs and
 * may be kept from it. They are forked before its first thread and before its sandbox, and need a
 * wider one.
 *
 *   warden      makes the GNUPGHOME; when the others have ended, stops their agents and removes it
 *   server      the warden's child; forks a child for each order
 *   a child     runs one gpg by gpgme and keeps the conversation with it (gpg_run.h)
 *
 * The bytes of a message never pass through them: a child hands its gpg's pipes to the daemon. It
 * gets the passphrase, which is in locked memory of its own until gpg asks, and tells gpg's verdict.
 * It ends, and its gpg with it, when the daemon closes its socket, so also when the daemon is killed;
 * a child or server that is killed takes what depends on it along.
 */
#ifndef CODEC_GPGME_GPG_HELPER_H
#define CODEC_GPGME_GPG_HELPER_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stdbool.h>

struct gpg_helper;

/** What GNUPGHOMEs are wanted. */
struct gpg_helper_options {
    bool has_home;       /* one for messages with a passphrase */
    const char *runtime; /* where that is made: see gnupg_home_new */
    const char *keyring; /* see gpg_keyring_new; NULL: none */
};

/**
 * Forks, and returns when GnuPG was found to work. This process ignores SIGPIPE from then on. Errors
 * as gpgme_library_setup, gnupg_home_new, gpg_keyring_new. What secrets there are lie in an arena or
 * were wiped: the rest of memory is inherited.
 */
int gpg_helper_start(const struct gpg_helper_options *options, struct gpg_helper **ret,
                     struct error *err);

/** Ends the processes and waits until they and their agents are gone. NULL is allowed. */
void gpg_helper_free(struct gpg_helper *helper);
DEFINE_CLEANUP(struct gpg_helper, gpg_helper_free)

/** Has the helper give up all capabilities, and enter a sandbox in which gpg can run if
 *  `enters_sandbox`. Once, before the first gpg_helper_connect. */
int gpg_helper_confine(struct gpg_helper *helper, bool enters_sandbox, struct error *err);

/** A socket to a child for one operation, to be closed by the caller. ERROR_UNAVAILABLE when the
 *  helper has ended. Any thread. */
int gpg_helper_connect(const struct gpg_helper *helper, int *ret_socket, struct error *err);

/** False once it can serve no more. Any thread. */
bool gpg_helper_is_alive(const struct gpg_helper *helper);

/** ERROR_UNAVAILABLE: the text for it. Returns -1. */
int gpg_helper_has_ended(struct error *err);

#endif
