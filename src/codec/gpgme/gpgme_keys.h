/* SPDX-License-Identifier: Apache-2.0 */
/* Session keys of messages to public keys, by way of GnuPG and the operator's keyring. */
#ifndef CODEC_GPGME_GPGME_KEYS_H
#define CODEC_GPGME_GPGME_KEYS_H

#include "codec/gpgme/gpg_helper.h"
#include "codec/openpgp/session_key_resolver.h"

/** A resolver that asks the keyring of `helper`, which is borrowed. Fails with ERROR_EXHAUSTED only. */
int gpgme_keys_new(const struct gpg_helper *helper, struct session_key_resolver **ret,
                   struct error *err);

#endif
