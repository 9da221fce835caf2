/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process of a helper. It makes what its server needs, forks it, and outlives it to clean
 * up, however the server ended. A server whose warden was killed cleans up itself.
 *
 * It has no part of the parent's arena, so nothing that the crypto library set up there may be used.
 */
#ifndef CODEC_GPGME_GPG_WARDEN_H
#define CODEC_GPGME_GPG_WARDEN_H

#include "codec/gpgme/gpg_helper.h"

/** What a forked process becomes. `control` is its end of the helper's socket. */
_Noreturn void gpg_warden_run(int control, const struct gpg_helper_options *options);

#endif
