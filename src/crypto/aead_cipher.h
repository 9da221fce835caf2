/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authenticated encryption (RFC 9580 section 9.6: EAX, OCB, GCM), by libgcrypt. A chunk begins with
 * its nonce, takes any number of pieces and ends with its tag. Key schedules live in the arena.
 */
#ifndef CRYPTO_AEAD_CIPHER_H
#define CRYPTO_AEAD_CIPHER_H

#include "crypto/cfb_cipher.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum aead_algorithm { AEAD_ALGORITHM_EAX, AEAD_ALGORITHM_OCB, AEAD_ALGORITHM_GCM };

/** Bytes of every tag, of the longest nonce, and what all pieces but the last are multiples of. */
#define AEAD_TAG_BYTES 16
#define AEAD_MAXIMUM_NONCE_BYTES 16
#define AEAD_PIECE_UNIT_BYTES 16

/** Bytes of a nonce: EAX 16, OCB 15, GCM 12. */
size_t aead_nonce_size(enum aead_algorithm algorithm);

/** True when `cipher` has the blocks of 16 bytes that AEAD needs. */
bool aead_takes_cipher(enum cipher_algorithm cipher);

struct aead_cipher;

/** With key `key` (cipher_key_size bytes). One thread at a time. ERROR_UNSUPPORTED unless
 *  aead_takes_cipher. */
int aead_cipher_new(enum aead_algorithm algorithm, enum cipher_algorithm cipher, const void *key,
                    struct aead_cipher **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void aead_cipher_free(struct aead_cipher *cipher);
DEFINE_CLEANUP(struct aead_cipher, aead_cipher_free)

/** Begins a chunk with `nonce` (aead_nonce_size bytes) and associated data (may be empty). */
void aead_cipher_begin(struct aead_cipher *cipher, const void *nonce, const void *data,
                       size_t data_size);

/**
 * Go on with the chunk; `out` may be `in`, no other overlap. `size` is a multiple of
 * AEAD_PIECE_UNIT_BYTES unless `is_last`, which every chunk's last piece says (it may be empty).
 * What decrypt yields is not authentic before aead_cipher_check_tag.
 */
void aead_cipher_encrypt(struct aead_cipher *cipher, void *out, const void *in, size_t size,
                         bool is_last);
void aead_cipher_decrypt(struct aead_cipher *cipher, void *out, const void *in, size_t size,
                         bool is_last);

/** Ends an encrypted chunk: AEAD_TAG_BYTES into `ret`. */
void aead_cipher_tag(struct aead_cipher *cipher, void *ret);

/** Ends a decrypted chunk: true when `tag` is its tag, compared in constant time. */
bool aead_cipher_check_tag(struct aead_cipher *cipher, const void *tag);

#endif
