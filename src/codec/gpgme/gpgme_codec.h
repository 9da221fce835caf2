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

#include "codec/gpgme/gpg_helper.h"
#include "glancefs/codec.h"

#include <stdbool.h>

struct gpgme_codec {
    struct codec codec;
    const struct gpg_helper *helper;
    bool has_keyring; /* for public keys */
};

/** Makes the codec that `options` describe, which runs gpg by way of `helper` (borrowed); freed by its
 *  ops. ERROR_UNSUPPORTED when AEAD is wanted. */
int gpgme_codec_new(const struct codecs_options *options, const struct gpg_helper *helper,
                    struct codec **ret, struct error *err);

#endif
