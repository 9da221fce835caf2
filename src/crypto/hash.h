/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash functions, by OpenSSL. One object serves one thread at a time. What is not worked in between
 * two calls lies in the arena, so that a core shows none of it.
 */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hash_algorithm {
    HASH_MD5,
    HASH_SHA1,
    HASH_RIPEMD160,
    HASH_SHA224,
    HASH_SHA256,
    HASH_SHA384,
    HASH_SHA512,
    HASH_SHA3_256,
    HASH_SHA3_512,
};

/** Bytes of the longest digest. */
#define HASH_MAXIMUM_BYTES 64

struct hash;

/** A running hash; it takes a page of the arena. ERROR_UNSUPPORTED when the library lacks the
 *  algorithm. */
int hash_new(enum hash_algorithm algorithm, struct hash **ret, struct error *err);

/** The same for bytes that everybody may see, as ciphertext: it takes nothing of the arena. */
int hash_new_public(enum hash_algorithm algorithm, struct hash **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void hash_free(struct hash *hash);
DEFINE_CLEANUP(struct hash, hash_free)

/** Adds bytes. Cannot fail: the library fails here only on misuse, which aborts. */
void hash_update(struct hash *hash, const void *bytes, size_t size);

/** Writes the digest, hash_size(algorithm) bytes, and starts anew. */
void hash_finish(struct hash *hash, uint8_t *ret_digest);

/** Digest size in bytes. */
size_t hash_size(enum hash_algorithm algorithm);

/** OpenSSL's name, for the parts of src/crypto that build on its hashes. Static storage. */
const char *hash_openssl_name(enum hash_algorithm algorithm);

/** Glance's `os_hash_algo` names: "sha256", "sha384", "sha512", also "md5", "sha1", "sha224". */
bool hash_algorithm_from_name(const char *name, enum hash_algorithm *ret);

#endif
