/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of gpg through gpgme, in a process of its own. gpgme's blocking calls hang for ever when
 * gpg ends before it has read everything, and pass plaintext through memory that is not locked. So
 * gpgme keeps the conversation with gpg (start, status, passphrase), while the daemon gets the pipes
 * for the bytes, which never pass through here.
 */
#ifndef CODEC_GPGME_GPG_RUN_H
#define CODEC_GPGME_GPG_RUN_H

#include "codec/gpgme/gpg_server.h"

/** Does what is asked for on `socket` (gpg_protocol.h), until gpg or the daemon ends it. The process is
 *  to exit then; what is left of gpg is in its process group. */
void gpg_run(int socket, const struct gpg_homes *homes);

#endif
