/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signature_key.h"

#include "crypto/signature_context.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

struct signature_key {
    struct secure_buffer *pem;
    enum signature_key_type type;
};

DEFINE_CLEANUP(BIO, BIO_free_all)
DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)

/* Nobody can be asked for a passphrase: an encrypted key is refused. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return 0;
}

static EVP_PKEY *parse(const struct secure_buffer *pem)
{
    const size_t size = secure_buffer_size(pem);
    CLEANUP(BIO_free_all)
    BIO *bio = size > INT_MAX ? NULL : BIO_new_mem_buf(secure_buffer_bytes(pem), (int)size);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);

    ERR_clear_error();
    return key;
}

int signature_key_new(struct secure_buffer *pem, struct signature_key **ret, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *owned = pem;
    CLEANUP(EVP_PKEY_free) EVP_PKEY *parsed = parse(pem);
    struct signature_key *key;
    enum signature_key_type type;

    if (parsed == NULL)
        return error_set(err, ERROR_INVALID, "no unencrypted private key in PEM");
    if (!signature_key_type_of(parsed, &type) ||
        EVP_PKEY_get_size(parsed) > SIGNATURE_MAXIMUM_BYTES)
        return error_set(err, ERROR_INVALID, "a key of a kind that cannot sign images");
    key = calloc(1, sizeof *key);
    if (key == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    key->pem = steal(&owned);
    key->type = type;
    *ret = key;
    return 0;
}

void signature_key_free(struct signature_key *key)
{
    if (key == NULL)
        return;
    secure_buffer_free(key->pem);
    free(key);
}

enum signature_key_type signature_key_type(const struct signature_key *key)
{
    return key->type;
}

bool signature_key_matches(const struct signature_key *key, const struct certificate *certificate)
{
    CLEANUP(EVP_PKEY_free) EVP_PKEY *parsed = parse(key->pem);
    const bool matches =
        parsed != NULL && EVP_PKEY_eq(parsed, certificate_public_key(certificate)) == 1;

    ERR_clear_error();
    return matches;
}

int signature_key_sign(const struct signature_key *key, enum hash_algorithm hash,
                       const uint8_t *digest, uint8_t ret[SIGNATURE_MAXIMUM_BYTES],
                       size_t *ret_size, struct error *err)
{
    CLEANUP(EVP_PKEY_free) EVP_PKEY *parsed = parse(key->pem);
    CLEANUP(EVP_PKEY_CTX_free)
    EVP_PKEY_CTX *context = parsed == NULL ? NULL : EVP_PKEY_CTX_new(parsed, NULL);
    bool is_signed;

    if (context == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    *ret_size = SIGNATURE_MAXIMUM_BYTES;
    is_signed = EVP_PKEY_sign_init(context) == 1 &&
                signature_context_setup(context, key->type, hash) &&
                EVP_PKEY_sign(context, ret, ret_size, digest, hash_size(hash)) == 1;
    ERR_clear_error();
    return is_signed ? 0 : error_set(err, ERROR_SYSTEM, "the key cannot sign this hash");
}
