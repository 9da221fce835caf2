/* SPDX-License-Identifier: Apache-2.0 */
/* Set-up of gpgme, once per process. */
#ifndef CODEC_GPGME_GPGME_LIBRARY_H
#define CODEC_GPGME_GPGME_LIBRARY_H

#include "glancefs/error.h"

/** Initialises gpgme, which ignores SIGPIPE from then on, and looks for gpg. ERROR_UNSUPPORTED when
 *  there is none that can be used. May be called again; any thread. */
int gpgme_library_setup(struct error *err);

#endif
