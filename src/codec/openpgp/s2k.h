/* SPDX-License-Identifier: Apache-2.0 */
/*
 * String-to-key (RFC 9580 section 3.7): simple (0), salted (1), iterated and salted (3). Argon2 (4)
 * is named as unsupported.
 */
#ifndef CODEC_OPENPGP_S2K_H
#define CODEC_OPENPGP_S2K_H

#include "crypto/hash.h"
#include "glancefs/byte_cursor.h"
#include "glancefs/cancel.h"
#include "glancefs/secure_buffer.h"

#include <stddef.h>
#include <stdint.h>

#define S2K_SALT_BYTES 8

/** The highest iteration count, 65,011,712 bytes hashed, as its coded octet. */
#define S2K_CODED_COUNT_MAXIMUM 0xff

enum s2k_type {
    S2K_SIMPLE = 0,
    S2K_SALTED = 1,
    S2K_ITERATED_AND_SALTED = 3,
    S2K_ARGON2 = 4,
};

struct s2k {
    enum s2k_type type;
    enum hash_algorithm hash;
    uint8_t salt[S2K_SALT_BYTES]; /* unless simple */
    uint64_t count;               /* bytes hashed, when iterated */
};

/** Bytes to hash for a coded count (section 3.7.1.3). */
uint64_t s2k_decode_count(uint8_t coded);

/** Parses a specifier. ERROR_UNSUPPORTED for a type or hash we do not have; the uniform error when
 *  the octets end. */
int s2k_parse(struct byte_cursor *cursor, struct s2k *ret, struct error *err);

/**
 * Derives `key_size` bytes (at most CIPHER_MAXIMUM_KEY_BYTES) from `passphrase` into `ret_key`,
 * which must lie in locked memory; so do all intermediate values, in `arena`.
 *
 * ERROR_TOO_LARGE once the thread's CPU clock (clock_thread_cpu_ns) passes `cpu_deadline_ns`;
 * ERROR_CANCELLED; ERROR_EXHAUSTED when the arena is full.
 */
int s2k_derive(const struct s2k *s2k, struct secure_arena *arena,
               const struct secure_buffer *passphrase, uint64_t cpu_deadline_ns,
               struct cancel *cancel, uint8_t *ret_key, size_t key_size, struct error *err);

#endif
