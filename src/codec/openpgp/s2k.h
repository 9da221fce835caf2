/* SPDX-License-Identifier: Apache-2.0 */
/*
 * String-to-key (RFC 9580 section 3.7): simple (0), salted (1), iterated and salted (3), Argon2 (4).
 */
#ifndef CODEC_OPENPGP_S2K_H
#define CODEC_OPENPGP_S2K_H

#include "codec/openpgp/argon2_gate.h"
#include "crypto/argon2.h"
#include "crypto/hash.h"
#include "glancefs/byte_cursor.h"
#include "glancefs/cancel.h"
#include "glancefs/secure_buffer.h"

#include <stddef.h>
#include <stdint.h>

#define S2K_SALT_BYTES 8
#define S2K_ARGON2_SALT_BYTES 16

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
    uint8_t salt[S2K_ARGON2_SALT_BYTES]; /* unless simple; S2K_SALT_BYTES but for Argon2 */
    enum hash_algorithm hash;            /* but for Argon2 */
    uint64_t count;                      /* bytes hashed, when iterated */
    struct argon2_cost argon2;
};

/** What the key derivations of one open may take together; each takes its share off. */
struct s2k_allowance {
    uint64_t cpu_ns;          /* time of all threads */
    struct argon2_gate *gate; /* NULL: no other thread derives by Argon2 */
};

/** Bytes to hash for a coded count (section 3.7.1.3). */
uint64_t s2k_decode_count(uint8_t coded);

/** Parses a specifier. ERROR_UNSUPPORTED for a type or hash we do not have; ERROR_TOO_LARGE for
 *  Argon2 with more than LIMIT_ARGON2_BYTES; the uniform error when it is malformed. */
int s2k_parse(struct byte_cursor *cursor, struct s2k *ret, struct error *err);

/**
 * Derives `key_size` bytes (at most CIPHER_MAXIMUM_KEY_BYTES) from `passphrase` into `ret_key`,
 * which must lie in locked memory; so do intermediate values, in `arena`, but for the memory that
 * Argon2 fills (crypto/argon2.h). A key of two long hashes is derived by two threads.
 *
 * ERROR_TOO_LARGE once `allowance` is used up; ERROR_CANCELLED; ERROR_EXHAUSTED: out of memory.
 */
int s2k_derive(const struct s2k *s2k, struct secure_arena *arena,
               const struct secure_buffer *passphrase, struct s2k_allowance *allowance,
               struct cancel *cancel, uint8_t *ret_key, size_t key_size, struct error *err);

#endif
