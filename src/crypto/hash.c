/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hash.h"

#include "crypto/crypto_library.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *openssl_name;
    const char *glance_name; /* as in os_hash_algo; NULL when Glance has no such value */
    size_t size;
} algorithms[] = {
    [HASH_MD5] = {"MD5", "md5", 16},
    [HASH_SHA1] = {"SHA1", "sha1", 20},
    [HASH_RIPEMD160] = {"RIPEMD160", NULL, 20},
    [HASH_SHA224] = {"SHA224", "sha224", 28},
    [HASH_SHA256] = {"SHA256", "sha256", 32},
    [HASH_SHA384] = {"SHA384", "sha384", 48},
    [HASH_SHA512] = {"SHA512", "sha512", 64},
    [HASH_SHA3_256] = {"SHA3-256", NULL, 32},
    [HASH_SHA3_512] = {"SHA3-512", NULL, 64},
};

/* OpenSSL gets whole blocks: the rest of a piece it would keep in memory that a core shows. */
struct hash {
    EVP_MD *algorithm;
    EVP_MD_CTX *context;
    uint8_t *rest; /* less than a block, of the arena; NULL: OpenSSL may keep it */
    size_t rest_size;
    size_t block_size;
};

/* The library fails here only when it is misused or its memory is broken. */
static void must(int result)
{
    if (result != 1)
        abort();
}

int hash_new_public(enum hash_algorithm algorithm, struct hash **ret, struct error *err)
{
    CLEANUP(hash_free) struct hash *hash = calloc(1, sizeof *hash);

    if (hash == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    hash->algorithm = EVP_MD_fetch(NULL, algorithms[algorithm].openssl_name, NULL);
    if (hash->algorithm == NULL)
        return error_set(err, ERROR_UNSUPPORTED, "hash %s is not available here",
                         algorithms[algorithm].openssl_name);
    hash->context = EVP_MD_CTX_new();
    if (hash->context == NULL || EVP_DigestInit_ex2(hash->context, hash->algorithm, NULL) != 1)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    *ret = steal(&hash);
    return 0;
}

int hash_new(enum hash_algorithm algorithm, struct hash **ret, struct error *err)
{
    CLEANUP(hash_free) struct hash *hash = NULL;

    if (hash_new_public(algorithm, &hash, err) < 0)
        return -1;
    hash->block_size = (size_t)EVP_MD_get_block_size(hash->algorithm);
    hash->rest = crypto_library_allocate(hash->block_size);
    if (hash->rest == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    *ret = steal(&hash);
    return 0;
}

void hash_free(struct hash *hash)
{
    if (hash == NULL)
        return;
    crypto_library_release(hash->rest);
    EVP_MD_CTX_free(hash->context);
    EVP_MD_free(hash->algorithm);
    free(hash);
}

/* Takes what fills the block that has begun; the number of bytes taken. */
static size_t fill_rest(struct hash *hash, const uint8_t *bytes, size_t size)
{
    const size_t room = hash->block_size - hash->rest_size;
    const size_t taken = size < room ? size : room;

    memcpy(hash->rest + hash->rest_size, bytes, taken);
    hash->rest_size += taken;
    if (hash->rest_size == hash->block_size) {
        must(EVP_DigestUpdate(hash->context, hash->rest, hash->block_size));
        hash->rest_size = 0;
    }
    return taken;
}

static void update_in_blocks(struct hash *hash, const uint8_t *next, size_t size)
{
    size_t whole;

    if (hash->rest_size > 0) {
        const size_t taken = fill_rest(hash, next, size);

        next += taken;
        size -= taken;
    }
    whole = size - size % hash->block_size;
    if (whole > 0)
        must(EVP_DigestUpdate(hash->context, next, whole));
    if (size > whole)
        (void)fill_rest(hash, next + whole, size - whole);
}

void hash_update(struct hash *hash, const void *bytes, size_t size)
{
    if (size > 0 && hash->rest != NULL)
        update_in_blocks(hash, bytes, size);
    else if (size > 0)
        must(EVP_DigestUpdate(hash->context, bytes, size));
}

void hash_finish(struct hash *hash, uint8_t *ret_digest)
{
    if (hash->rest_size > 0)
        must(EVP_DigestUpdate(hash->context, hash->rest, hash->rest_size));
    hash->rest_size = 0;
    must(EVP_DigestFinal_ex(hash->context, ret_digest, NULL));
    must(EVP_DigestInit_ex2(hash->context, hash->algorithm, NULL));
}

size_t hash_size(enum hash_algorithm algorithm)
{
    return algorithms[algorithm].size;
}

const char *hash_openssl_name(enum hash_algorithm algorithm)
{
    return algorithms[algorithm].openssl_name;
}

bool hash_algorithm_from_name(const char *name, enum hash_algorithm *ret)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (algorithms[i].glance_name != NULL && strcmp(name, algorithms[i].glance_name) == 0) {
            *ret = (enum hash_algorithm)i;
            return true;
        }
    }
    return false;
}
