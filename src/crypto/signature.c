/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signature.h"

#include "crypto/signature_context.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#define CURVE_NAME_BYTES 64

static const struct {
    const char *name;
    const char *curve; /* the library's name; NULL when it is no elliptic curve */
} key_types[] = {
    [SIGNATURE_RSA_PSS] = {"RSA-PSS", NULL},
    [SIGNATURE_DSA] = {"DSA", NULL},
    [SIGNATURE_ECC_SECT571K1] = {"ECC_SECT571K1", "sect571k1"},
    [SIGNATURE_ECC_SECT409K1] = {"ECC_SECT409K1", "sect409k1"},
    [SIGNATURE_ECC_SECT571R1] = {"ECC_SECT571R1", "sect571r1"},
    [SIGNATURE_ECC_SECT409R1] = {"ECC_SECT409R1", "sect409r1"},
    [SIGNATURE_ECC_SECP521R1] = {"ECC_SECP521R1", "secp521r1"},
    [SIGNATURE_ECC_SECP384R1] = {"ECC_SECP384R1", "secp384r1"},
};

#define KEY_TYPE_COUNT (sizeof key_types / sizeof key_types[0])

bool signature_key_type_from_name(const char *name, enum signature_key_type *ret)
{
    for (size_t i = 0; i < KEY_TYPE_COUNT; i++) {
        if (strcmp(name, key_types[i].name) == 0) {
            *ret = (enum signature_key_type)i;
            return true;
        }
    }
    return false;
}

const char *signature_key_type_name(enum signature_key_type type)
{
    return key_types[type].name;
}

bool signature_hash_from_name(const char *name, enum hash_algorithm *ret)
{
    static const struct {
        const char *name;
        enum hash_algorithm hash;
    } hashes[] = {{"SHA-224", HASH_SHA224},
                  {"SHA-256", HASH_SHA256},
                  {"SHA-384", HASH_SHA384},
                  {"SHA-512", HASH_SHA512}};

    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        if (strcmp(name, hashes[i].name) == 0) {
            *ret = hashes[i].hash;
            return true;
        }
    }
    return false;
}

static bool curve_type(EVP_PKEY *key, enum signature_key_type *ret)
{
    char curve[CURVE_NAME_BYTES];

    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof curve,
                                       NULL) != 1)
        return false;
    for (size_t i = 0; i < KEY_TYPE_COUNT; i++) {
        if (key_types[i].curve != NULL && strcmp(curve, key_types[i].curve) == 0) {
            *ret = (enum signature_key_type)i;
            return true;
        }
    }
    return false;
}

bool signature_key_type_of(struct evp_pkey_st *key, enum signature_key_type *ret)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS:
        *ret = SIGNATURE_RSA_PSS;
        return true;
    case EVP_PKEY_DSA:
        *ret = SIGNATURE_DSA;
        return true;
    case EVP_PKEY_EC:
        return curve_type(key, ret);
    default:
        return false;
    }
}

static const EVP_MD *message_digest(enum hash_algorithm hash)
{
    switch (hash) {
    case HASH_SHA224:
        return EVP_sha224();
    case HASH_SHA256:
        return EVP_sha256();
    case HASH_SHA384:
        return EVP_sha384();
    case HASH_SHA512:
        return EVP_sha512();
    case HASH_MD5:
    case HASH_SHA1:
    case HASH_RIPEMD160:
    case HASH_SHA3_256:
    case HASH_SHA3_512:
        break;
    }
    return NULL;
}

bool signature_context_setup(EVP_PKEY_CTX *context, enum signature_key_type type,
                             enum hash_algorithm hash)
{
    const EVP_MD *digest = message_digest(hash);

    if (digest == NULL || EVP_PKEY_CTX_set_signature_md(context, digest) != 1)
        return false;
    if (type != SIGNATURE_RSA_PSS)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(context, digest) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_MAX) == 1;
}

int signature_verify(const struct certificate *certificate, enum signature_key_type type,
                     enum hash_algorithm hash, const uint8_t *digest, const uint8_t *signature,
                     size_t size, struct error *err)
{
    EVP_PKEY *key = certificate_public_key(certificate);
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    enum signature_key_type key_type;
    bool is_good;

    if (context == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (!signature_key_type_of(key, &key_type) || key_type != type)
        return error_set(err, ERROR_CORRUPT, "the certificate's key makes no %s signatures",
                         signature_key_type_name(type));
    is_good = EVP_PKEY_verify_init(context) == 1 && signature_context_setup(context, type, hash) &&
              EVP_PKEY_verify(context, signature, size, digest, hash_size(hash)) == 1;
    ERR_clear_error();
    return is_good ? 0 : error_set(err, ERROR_CORRUPT, "the signature does not match");
}
