/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's keyring: a GNUPGHOME with secret keys, or with stubs of keys on a smart card. It is
 * used as it is. When a passphrase or a PIN is wanted, its own gpg-agent asks for it, or not, as it
 * is set up. An agent that was not running before is stopped in the end.
 */
#ifndef CODEC_GPGME_GPG_KEYRING_H
#define CODEC_GPGME_GPG_KEYRING_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

struct gpg_keyring;

/** ERROR_INVALID when `path` is not the absolute path of a directory. Processes forked afterwards
 *  share what is known of its use. */
int gpg_keyring_new(const char *path, struct gpg_keyring **ret, struct error *err);

/** Stops the agent if it came with us. NULL is allowed. */
void gpg_keyring_free(struct gpg_keyring *keyring);
DEFINE_CLEANUP(struct gpg_keyring, gpg_keyring_free)

/** Its path, for gpg to use now. Any thread, and any process forked since. */
const char *gpg_keyring_use(struct gpg_keyring *keyring);

#endif
