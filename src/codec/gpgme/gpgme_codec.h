/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The codec of `os_encrypt_format=GPG`, second engine: GnuPG by way of gpgme. Slower than the native
 * one and with fewer formats (SEIPD version 1 only), it is there to be compared with, and for
 * operators who want GnuPG's code between them and their data. Every message costs a process, and
 * reading a verified one again costs another.
 *
 * gpg writes the session key straight from the passphrase: a message of this engine has no
 * encrypted session key in front.
 */
#ifndef CODEC_GPGME_GPGME_CODEC_H
#define CODEC_GPGME_GPGME_CODEC_H

#include "codec/gpgme/gnupg_home.h"
#include "codec/gpgme/gpg_keyring.h"
#include "glancefs/codec.h"

struct gpgme_codec {
    struct codec codec;
    struct gnupg_home *home;     /* for passphrases */
    struct gpg_keyring *keyring; /* for public keys; NULL when there is none */
};

/** Makes the codec that `options` describe; freed by its ops. ERROR_UNSUPPORTED when GnuPG cannot
 *  be used, or AEAD is wanted; errors as gnupg_home_new and gpg_keyring_new. */
int gpgme_codec_new(const struct codecs_options *options, struct codec **ret, struct error *err);

#endif
