/* SPDX-License-Identifier: Apache-2.0 */
/* The codec of `os_encrypt_format=GPG`, native engine: OpenPGP messages (RFC 9580, LibrePGP). */
#ifndef CODEC_OPENPGP_OPENPGP_CODEC_H
#define CODEC_OPENPGP_OPENPGP_CODEC_H

#include "glancefs/codec.h"

struct openpgp_codec {
    struct codec codec;
    enum aead_mode aead; /* of what is written */
};

/** Makes the codec that `options` describe; freed by its ops. */
int openpgp_codec_new(const struct codecs_options *options, struct codec **ret, struct error *err);

#endif
