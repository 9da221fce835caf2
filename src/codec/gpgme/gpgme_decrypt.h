/* SPDX-License-Identifier: Apache-2.0 */
/* The verify pass of the gpgme engine. */
#ifndef CODEC_GPGME_GPGME_DECRYPT_H
#define CODEC_GPGME_GPGME_DECRYPT_H

#include "glancefs/codec.h"

/** codec_decrypt by gpg. Arena: 0.6 MiB, and what compression takes. Besides: ERROR_KEY_REJECTED as gpgme_passphrase_check,
 *  ERROR_TIMEOUT when gpg hangs, ERROR_UNAVAILABLE when it fails for a reason of its own. */
int gpgme_decrypt(const struct codec *codec, struct secure_arena *arena,
                  struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                  struct byte_sink *plaintext, struct cancel *cancel, struct codec_message **ret,
                  struct error *err);

#endif
