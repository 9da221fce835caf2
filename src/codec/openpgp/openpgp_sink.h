/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a message: one SKESK with an encrypted random session key, so that a later change of
 * passphrase replaces a header and not the data; an encrypted data packet (AES-256) with one
 * literal, uncompressed, without name or date. The codec's `aead` tells which:
 *
 *     AEAD_NONE              SKESK v4 and SEIPD v1: every gpg since 1.0.6 reads it
 *     AEAD_OCB, AEAD_GCM     SKESK v6 and SEIPD v2 (RFC 9580)
 *     AEAD_LIBREPGP_OCB      SKESK v5 and packet 20 (LibrePGP): gpg since 2.2.21, rnp
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
