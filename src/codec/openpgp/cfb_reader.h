/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads SEIPD version 1 at any offset: in CFB mode the block before is all that decryption needs to
 * know (RFC 9580 section 12.9).
 */
#ifndef CODEC_OPENPGP_CFB_READER_H
#define CODEC_OPENPGP_CFB_READER_H

#include "codec/openpgp/decrypted_reader.h"

/** Makes one; offset 0 is behind the random prefix. ERROR_EXHAUSTED when the arena is full. */
int cfb_reader_new(const struct encrypted_body *body, const struct session_key *key,
                   struct decrypted_reader **ret, struct error *err);

#endif
