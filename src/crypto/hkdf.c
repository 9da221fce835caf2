/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hkdf.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

DEFINE_CLEANUP(EVP_KDF, EVP_KDF_free)
DEFINE_CLEANUP(EVP_KDF_CTX, EVP_KDF_CTX_free)

/* OpenSSL's parameters are not const, but only read here. */
static OSSL_PARAM octets(const char *name, const void *bytes, size_t size)
{
    return OSSL_PARAM_construct_octet_string(name, size == 0 ? "" : (void *)(uintptr_t)bytes, size);
}

int hkdf_derive(enum hash_algorithm algorithm, const void *key, size_t key_size, const void *salt,
                size_t salt_size, const void *info, size_t info_size, uint8_t *ret, size_t size,
                struct error *err)
{
    CLEANUP(EVP_KDF_free) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    CLEANUP(EVP_KDF_CTX_free) EVP_KDF_CTX *context = NULL;
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                         (char *)(uintptr_t)hash_openssl_name(algorithm), 0),
        octets(OSSL_KDF_PARAM_KEY, key, key_size),
        octets(OSSL_KDF_PARAM_SALT, salt, salt_size),
        octets(OSSL_KDF_PARAM_INFO, info, info_size),
        OSSL_PARAM_END,
    };

    if (kdf == NULL)
        return error_set(err, ERROR_UNSUPPORTED, "HKDF is not available here");
    context = EVP_KDF_CTX_new(kdf);
    if (context == NULL || EVP_KDF_derive(context, ret, size, parameters) != 1)
        return error_set(err, ERROR_EXHAUSTED, "HKDF failed");
    return 0;
}
