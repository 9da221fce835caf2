/* SPDX-License-Identifier: Apache-2.0 */
/* The verify pass: reads a whole message once and vouches for it. */
#ifndef CODEC_OPENPGP_OPENPGP_DECRYPT_H
#define CODEC_OPENPGP_OPENPGP_DECRYPT_H

#include "glancefs/codec.h"

/** codec_decrypt for OpenPGP. Arena: at most 1.5 MiB, without compression 0.6 MiB. */
int openpgp_decrypt(const struct codec *codec, struct secure_arena *arena,
                    struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                    struct byte_sink *plaintext, struct cancel *cancel, struct codec_message **ret,
                    struct error *err);

#endif
