/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/algorithm.h"

#include <stddef.h>

static const uint8_t cipher_ids[] = {
    [CIPHER_TRIPLE_DES] = 2,   [CIPHER_CAST5] = 3,        [CIPHER_BLOWFISH] = 4,
    [CIPHER_AES128] = 7,       [CIPHER_AES192] = 8,       [CIPHER_AES256] = CIPHER_ID_AES256,
    [CIPHER_TWOFISH] = 10,     [CIPHER_CAMELLIA128] = 11, [CIPHER_CAMELLIA192] = 12,
    [CIPHER_CAMELLIA256] = 13,
};

bool cipher_algorithm_from_id(uint8_t id, enum cipher_algorithm *ret)
{
    for (size_t i = 0; i < sizeof cipher_ids / sizeof cipher_ids[0]; i++) {
        if (cipher_ids[i] == id) {
            *ret = (enum cipher_algorithm)i;
            return true;
        }
    }
    return false;
}

uint8_t cipher_algorithm_id(enum cipher_algorithm algorithm)
{
    return cipher_ids[algorithm];
}

static const uint8_t aead_ids[] = {
    [AEAD_ALGORITHM_EAX] = 1, [AEAD_ALGORITHM_OCB] = 2, [AEAD_ALGORITHM_GCM] = 3};

bool aead_algorithm_from_id(uint8_t id, enum aead_algorithm *ret)
{
    for (size_t i = 0; i < sizeof aead_ids / sizeof aead_ids[0]; i++) {
        if (aead_ids[i] == id) {
            *ret = (enum aead_algorithm)i;
            return true;
        }
    }
    return false;
}

uint8_t aead_algorithm_id(enum aead_algorithm algorithm)
{
    return aead_ids[algorithm];
}

bool hash_algorithm_from_id(uint8_t id, enum hash_algorithm *ret)
{
    static const struct {
        uint8_t id;
        enum hash_algorithm algorithm;
    } hashes[] = {
        {1, HASH_MD5},       {2, HASH_SHA1},    {3, HASH_RIPEMD160}, {HASH_ID_SHA256, HASH_SHA256},
        {9, HASH_SHA384},    {10, HASH_SHA512}, {11, HASH_SHA224},   {12, HASH_SHA3_256},
        {14, HASH_SHA3_512},
    };

    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        if (hashes[i].id == id) {
            *ret = hashes[i].algorithm;
            return true;
        }
    }
    return false;
}
