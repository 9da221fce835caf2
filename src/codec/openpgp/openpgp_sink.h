/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a message: one SKESK (version 4) with an encrypted random session key, so that a later
 * change of passphrase replaces a header and not the data; an SEIPD packet (version 1, AES-256)
 * with one literal, uncompressed, without name or date. Every gpg since 1.0.6 reads it.
 */
#ifndef CODEC_OPENPGP_OPENPGP_SINK_H
#define CODEC_OPENPGP_OPENPGP_SINK_H

#include "glancefs/codec.h"

/**
 * codec_open_sink for OpenPGP. Lengths are definite when `declared_size` makes them fit four octets;
 * else chunks of 1 MiB are used, which takes 1 MiB of `arena`. ERROR_KEY_REJECTED: empty or overlong
 * passphrase. ERROR_TOO_LARGE: over LIMIT_PLAINTEXT_BYTES.
 */
int openpgp_sink_new(const struct codec *codec, struct secure_arena *arena,
                     const struct secure_buffer *passphrase, uint64_t declared_size,
                     struct byte_sink *ciphertext, struct byte_sink **ret, struct error *err);

#endif
