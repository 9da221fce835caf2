/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads AEAD encrypted data at any offset: by the chunk it lies in, from that one's beginning. The
 * tag is checked whenever a reader passes the end of a chunk; for a part of one it takes the
 * ciphertext source's word, which is a verified one.
 */
#ifndef CODEC_OPENPGP_AEAD_READER_H
#define CODEC_OPENPGP_AEAD_READER_H

#include "codec/openpgp/decrypted_reader.h"

/** Makes one for chunks of `decrypted_size` bytes in all. ERROR_EXHAUSTED when the arena is full;
 *  a seek needs up to 64 KiB of it for a moment. */
int aead_reader_new(const struct encrypted_body *body, const struct aead_header *header,
                    uint64_t decrypted_size, const struct session_key *key,
                    struct decrypted_reader **ret, struct error *err);

#endif
