/* SPDX-License-Identifier: Apache-2.0 */
/* Algorithm IDs of RFC 9580 section 9, and what of them this program has. */
#ifndef CODEC_OPENPGP_ALGORITHM_H
#define CODEC_OPENPGP_ALGORITHM_H

#include "crypto/aead_cipher.h"
#include "crypto/cfb_cipher.h"
#include "crypto/hash.h"

#include <stdbool.h>
#include <stdint.h>

/** What the writer uses (sections 9.3 and 9.5). */
#define CIPHER_ID_AES256 9
#define HASH_ID_SHA256 8

/** Compression algorithms (section 9.4). */
enum compression_id {
    COMPRESSION_ID_UNCOMPRESSED = 0,
    COMPRESSION_ID_ZIP = 1,
    COMPRESSION_ID_ZLIB = 2,
    COMPRESSION_ID_BZIP2 = 3,
};

/** The cipher with symmetric algorithm ID `id`; false when we have none. */
bool cipher_algorithm_from_id(uint8_t id, enum cipher_algorithm *ret);

/** Its algorithm ID. */
uint8_t cipher_algorithm_id(enum cipher_algorithm algorithm);

/** The AEAD mode with algorithm ID `id` (section 9.6); false when we have none. */
bool aead_algorithm_from_id(uint8_t id, enum aead_algorithm *ret);

/** Its algorithm ID. */
uint8_t aead_algorithm_id(enum aead_algorithm algorithm);

/** The hash with hash algorithm ID `id`; false when we have none. */
bool hash_algorithm_from_id(uint8_t id, enum hash_algorithm *ret);

#endif
