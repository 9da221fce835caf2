/* SPDX-License-Identifier: Apache-2.0 */
/* What may serve as a passphrase, for reading and writing alike. */
#ifndef CODEC_OPENPGP_PASSPHRASE_H
#define CODEC_OPENPGP_PASSPHRASE_H

#include "glancefs/secure_buffer.h"

/** ERROR_KEY_REJECTED when it is empty or has over LIMIT_SECRET_BYTES. Any bytes are allowed. */
int passphrase_check(const struct secure_buffer *passphrase, struct error *err);

#endif
