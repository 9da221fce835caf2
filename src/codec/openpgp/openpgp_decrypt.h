/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a whole message once and vouches for it; or, when that was done before, just its front. */
#ifndef CODEC_OPENPGP_OPENPGP_DECRYPT_H
#define CODEC_OPENPGP_OPENPGP_DECRYPT_H

#include "glancefs/codec.h"

/** codec_decrypt for OpenPGP. Arena: as openpgp_stream_new, and LITERAL_MESSAGE_PIECE_BYTES. */
int openpgp_decrypt(const struct codec *codec, struct secure_arena *arena,
                    struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                    struct byte_sink *plaintext, struct cancel *cancel, struct codec_message **ret,
                    struct error *err);

/** codec_open_stream for OpenPGP. Arena: as openpgp_stream_new. */
int openpgp_open_stream(const struct codec *codec, struct secure_arena *arena,
                        struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                        struct cancel *cancel, struct codec_stream **ret, struct error *err);

/** codec_reopen for OpenPGP. */
int openpgp_reopen(const struct codec *codec, struct secure_arena *arena,
                   struct codec_layout *layout, struct byte_source *ciphertext,
                   const struct secure_buffer *passphrase, struct cancel *cancel,
                   struct codec_message **ret, struct error *err);

#endif
