/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block ciphers in full-block CFB mode (RFC 9580 section 12.9 without resynchronisation), by
 * libgcrypt, whose AES-CFB decryption is the fastest at hand. Key schedules live in the arena.
 */
#ifndef CRYPTO_CFB_CIPHER_H
#define CRYPTO_CFB_CIPHER_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/secure_buffer.h"

#include <stddef.h>
#include <stdint.h>

enum cipher_algorithm {
    CIPHER_TRIPLE_DES,
    CIPHER_CAST5,
    CIPHER_BLOWFISH,
    CIPHER_AES128,
    CIPHER_AES192,
    CIPHER_AES256,
    CIPHER_TWOFISH,
    CIPHER_CAMELLIA128,
    CIPHER_CAMELLIA192,
    CIPHER_CAMELLIA256,
};

/** Bytes of the longest key and the largest block. */
#define CIPHER_MAXIMUM_KEY_BYTES 32
#define CIPHER_MAXIMUM_BLOCK_BYTES 16

/** Key and block size in bytes. */
size_t cipher_key_size(enum cipher_algorithm algorithm);
size_t cipher_block_size(enum cipher_algorithm algorithm);

struct cfb_cipher;

/**
 * A stream with key `key` (cipher_key_size bytes) that starts from `iv` (cipher_block_size bytes;
 * NULL for zeros). One thread at a time.
 */
int cfb_cipher_new(enum cipher_algorithm algorithm, const void *key, const void *iv,
                   struct cfb_cipher **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void cfb_cipher_free(struct cfb_cipher *cipher);
DEFINE_CLEANUP(struct cfb_cipher, cfb_cipher_free)

/** Starts again from `iv` with the same key (NULL for zeros). */
void cfb_cipher_restart(struct cfb_cipher *cipher, const void *iv);

/** Go on with the stream, any number of bytes; `out` may be `in`, no other overlap. */
void cfb_cipher_encrypt(struct cfb_cipher *cipher, void *out, const void *in, size_t size);
void cfb_cipher_decrypt(struct cfb_cipher *cipher, void *out, const void *in, size_t size);

#endif
