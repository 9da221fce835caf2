/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a message by gpg: AES-256, SHA-256 S2K, SEIPD version 1, not compressed, in chunks. */
#ifndef CODEC_GPGME_GPGME_SINK_H
#define CODEC_GPGME_GPGME_SINK_H

#include "glancefs/codec.h"

/** codec_open_sink by gpg, which runs until commit or abort. Plaintext goes from the caller's memory
 *  to gpg's pipe. Errors as gpgme_decrypt; ERROR_TOO_LARGE: over LIMIT_PLAINTEXT_BYTES. */
int gpgme_sink_new(const struct codec *codec, struct secure_arena *arena,
                   const struct secure_buffer *passphrase, uint64_t declared_size,
                   struct byte_sink *ciphertext, struct byte_sink **ret, struct error *err);

#endif
