/* SPDX-License-Identifier: Apache-2.0 */
/* The codec of `os_encrypt_format=GPG`: OpenPGP symmetric messages (RFC 9580). */
#ifndef CODEC_OPENPGP_OPENPGP_CODEC_H
#define CODEC_OPENPGP_OPENPGP_CODEC_H

#include "glancefs/codec.h"

extern const struct codec openpgp_codec;

#endif
