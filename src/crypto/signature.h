/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures of images by the rules that OpenStack's services share (the library cursive): a hash
 * of the stored bytes, signed with RSA-PSS (RFC 8017 section 8.1: MGF1 with the same hash, salt of
 * the largest length), DSA or ECDSA (FIPS 186-4). By OpenSSL.
 */
#ifndef CRYPTO_SIGNATURE_H
#define CRYPTO_SIGNATURE_H

#include "crypto/certificate.h"
#include "crypto/hash.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Values of `img_signature_key_type`. */
enum signature_key_type {
    SIGNATURE_RSA_PSS,
    SIGNATURE_DSA,
    SIGNATURE_ECC_SECT571K1,
    SIGNATURE_ECC_SECT409K1,
    SIGNATURE_ECC_SECT571R1,
    SIGNATURE_ECC_SECT409R1,
    SIGNATURE_ECC_SECP521R1,
    SIGNATURE_ECC_SECP384R1,
};

/** Bytes of the longest signature we take or make (RSA of 8192 bits). */
#define SIGNATURE_MAXIMUM_BYTES 1024

/** "RSA-PSS", "DSA", "ECC_SECP384R1" and so on, spelled exactly so. */
bool signature_key_type_from_name(const char *name, enum signature_key_type *ret);
const char *signature_key_type_name(enum signature_key_type type);

/** Values of `img_signature_hash_method`: "SHA-224", "SHA-256", "SHA-384", "SHA-512". */
bool signature_hash_from_name(const char *name, enum hash_algorithm *ret);

/** The kind of signatures that `key` makes; false when it is none of the above. This layer only. */
bool signature_key_type_of(struct evp_pkey_st *key, enum signature_key_type *ret);

/**
 * Whether `signature` (`size` bytes) of `digest` was made with the private key of `certificate`;
 * `digest` is hash_size(hash) bytes. Whether the certificate is trusted is another question.
 * ERROR_CORRUPT when it was not, or its key is of another type. Any thread.
 */
int signature_verify(const struct certificate *certificate, enum signature_key_type type,
                     enum hash_algorithm hash, const uint8_t *digest, const uint8_t *signature,
                     size_t size, struct error *err);

#endif
