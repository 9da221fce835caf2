/* SPDX-License-Identifier: Apache-2.0 */
/* The codec of `os_encrypt_format=GPG`, native engine: OpenPGP messages (RFC 9580, LibrePGP). */
#ifndef CODEC_OPENPGP_OPENPGP_CODEC_H
#define CODEC_OPENPGP_OPENPGP_CODEC_H

#include "codec/gpgme/gpg_helper.h"
#include "codec/openpgp/argon2_gate.h"
#include "codec/openpgp/session_key_resolver.h"
#include "glancefs/codec.h"

struct openpgp_codec {
    struct codec codec;
    enum aead_mode aead;                   /* of what is written */
    struct session_key_resolver *resolver; /* NULL when there is no keyring */
    struct argon2_gate *argon2_gate;
};

/** Makes the codec that `options` describe; freed by its ops. `helper` (borrowed) asks the keyring, if
 *  there is one. Fails with ERROR_EXHAUSTED only. */
int openpgp_codec_new(const struct codecs_options *options, const struct gpg_helper *helper,
                      struct codec **ret, struct error *err);

#endif
