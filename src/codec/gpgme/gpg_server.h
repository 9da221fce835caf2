/* SPDX-License-Identifier: Apache-2.0 */
/* The process of a helper that takes orders: one child for each, several at once. */
#ifndef CODEC_GPGME_GPG_SERVER_H
#define CODEC_GPGME_GPG_SERVER_H

#include "codec/gpgme/gnupg_home.h"
#include "codec/gpgme/gpg_keyring.h"

/** GNUPGHOMEs to choose from, NULL where there is none. */
struct gpg_homes {
    struct gnupg_home *home;
    struct gpg_keyring *keyring;
};

/** Serves until the other end of `control` is closed, then waits for the children, not for ever. In a
 *  process of one thread. */
void gpg_server_run(int control, const struct gpg_homes *homes);

#endif
