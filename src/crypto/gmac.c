/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/gmac.h"

#include "crypto/random.h"
#include "glancefs/secure_buffer.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdlib.h>

#define GMAC_KEY_BYTES 16
#define GMAC_NONCE_BYTES 12

struct gmac_key {
    struct secure_buffer *bytes;
    EVP_CIPHER *cipher;
};

int gmac_key_new(struct secure_arena *arena, struct gmac_key **ret, struct error *err)
{
    CLEANUP(gmac_key_free) struct gmac_key *key = calloc(1, sizeof *key);

    if (key == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (secure_buffer_new(arena, GMAC_KEY_BYTES, &key->bytes, err) < 0)
        return -1;
    secure_buffer_set_size(key->bytes, GMAC_KEY_BYTES);
    random_bytes(secure_buffer_data(key->bytes), GMAC_KEY_BYTES);
    key->cipher = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    if (key->cipher == NULL)
        return error_set(err, ERROR_UNSUPPORTED, "AES-128-GCM is not available here");
    *ret = steal(&key);
    return 0;
}

void gmac_key_free(struct gmac_key *key)
{
    if (key == NULL)
        return;
    secure_buffer_free(key->bytes);
    EVP_CIPHER_free(key->cipher);
    free(key);
}

/* GMAC is GCM of an empty message with the bytes as additional data. */
static int compute(EVP_CIPHER_CTX *context, const struct gmac_key *key,
                   const uint8_t nonce[GMAC_NONCE_BYTES], const void *bytes, size_t size,
                   uint8_t ret_tag[GMAC_TAG_BYTES])
{
    OSSL_PARAM tag[] = {
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, ret_tag, GMAC_TAG_BYTES),
        OSSL_PARAM_END,
    };
    int length;

    return EVP_EncryptInit_ex2(context, key->cipher, secure_buffer_bytes(key->bytes), nonce,
                               NULL) == 1 &&
           (size == 0 || EVP_EncryptUpdate(context, NULL, &length, bytes, (int)size) == 1) &&
           EVP_EncryptFinal_ex(context, ret_tag, &length) == 1 &&
           EVP_CIPHER_CTX_get_params(context, tag) == 1;
}

int gmac_compute(const struct gmac_key *key, uint64_t block, const void *bytes, size_t size,
                 uint8_t ret_tag[GMAC_TAG_BYTES], struct error *err)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t nonce[GMAC_NONCE_BYTES] = {0};
    bool done;

    for (size_t i = 0; i < sizeof block; i++)
        nonce[i] = (uint8_t)(block >> (8 * i));
    done = context != NULL && compute(context, key, nonce, bytes, size, ret_tag);
    EVP_CIPHER_CTX_free(context);
    if (!done)
        return error_set(err, ERROR_EXHAUSTED, "GMAC cannot be computed");
    return 0;
}
