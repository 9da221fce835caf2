/* SPDX-License-Identifier: Apache-2.0 */
/* What may serve as a passphrase for gpg, which reads it as a line of text. */
#ifndef CODEC_GPGME_GPGME_PASSPHRASE_H
#define CODEC_GPGME_GPGME_PASSPHRASE_H

#include "glancefs/secure_buffer.h"

/** The longest passphrase that gpg-agent takes, in bytes. */
#define GPGME_PASSPHRASE_MAXIMUM_BYTES 255

/** ERROR_KEY_REJECTED when it is empty, longer, or holds an LF or a NUL, where gpg would cut
 *  it, or a Ctrl-D (04), which gpg takes for the end of everything. */
int gpgme_passphrase_check(const struct secure_buffer *passphrase, struct error *err);

#endif
