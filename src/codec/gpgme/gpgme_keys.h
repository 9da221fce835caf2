/* SPDX-License-Identifier: Apache-2.0 */
/* Session keys of messages to public keys, by way of GnuPG and the operator's keyring. */
#ifndef CODEC_GPGME_GPGME_KEYS_H
#define CODEC_GPGME_GPGME_KEYS_H

#include "codec/openpgp/session_key_resolver.h"

/** A resolver that asks the GNUPGHOME `keyring`. ERROR_UNSUPPORTED when GnuPG cannot be used,
 *  ERROR_INVALID when there is no such directory. */
int gpgme_keys_new(const char *keyring, struct session_key_resolver **ret, struct error *err);

#endif
