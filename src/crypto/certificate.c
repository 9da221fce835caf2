/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/certificate.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>

/* OpenSSL's security level 2 (RFC 3766's 112 bits): no RSA under 2048 bits, no signature with MD5 or
 * SHA-1. */
#define SECURITY_LEVEL 2
#define SECURITY_BITS 112

struct certificate {
    X509 *x509;
};

struct trust_store {
    X509_STORE *store;
};

DEFINE_CLEANUP(BIO, BIO_free_all)
DEFINE_CLEANUP(X509, X509_free)
DEFINE_CLEANUP(X509_STORE_CTX, X509_STORE_CTX_free)

static int out_of_memory(struct error *err)
{
    ERR_clear_error();
    return error_set(err, ERROR_EXHAUSTED, "out of memory");
}

/* Nobody is asked for a passphrase: a certificate needs none. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return 0;
}

static BIO *open_pem(const void *pem, size_t size)
{
    return size > INT_MAX ? NULL : BIO_new_mem_buf(pem, (int)size);
}

int certificate_parse(const void *pem, size_t size, struct certificate **ret, struct error *err)
{
    CLEANUP(certificate_free) struct certificate *certificate = calloc(1, sizeof *certificate);
    CLEANUP(BIO_free_all) BIO *bio = open_pem(pem, size);

    if (certificate == NULL || bio == NULL)
        return out_of_memory(err);
    certificate->x509 = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    ERR_clear_error();
    if (certificate->x509 == NULL || X509_get0_pubkey(certificate->x509) == NULL)
        return error_set(err, ERROR_INVALID, "no X.509 certificate in PEM");
    *ret = steal(&certificate);
    return 0;
}

void certificate_free(struct certificate *certificate)
{
    if (certificate == NULL)
        return;
    X509_free(certificate->x509);
    free(certificate);
}

struct evp_pkey_st *certificate_public_key(const struct certificate *certificate)
{
    return X509_get0_pubkey(certificate->x509);
}

/* The extensions that limit what a key is for; without them it is for anything. */
static bool is_for_signing(X509 *x509)
{
    const uint32_t flags = X509_get_extension_flags(x509);
    const uint32_t purposes = XKU_CODE_SIGN | XKU_ANYEKU;

    return ((flags & EXFLAG_KUSAGE) == 0 ||
            (X509_get_key_usage(x509) & KU_DIGITAL_SIGNATURE) != 0) &&
           ((flags & EXFLAG_XKUSAGE) == 0 || (X509_get_extended_key_usage(x509) & purposes) != 0);
}

int certificate_check_signer(const struct certificate *certificate, struct error *err)
{
    const int bits = EVP_PKEY_get_security_bits(certificate_public_key(certificate));

    if (!is_for_signing(certificate->x509))
        return error_set(err, ERROR_DENIED,
                         "the certificate is not for signatures (keyUsage digitalSignature, "
                         "extendedKeyUsage codeSigning)");
    if (bits < SECURITY_BITS)
        return error_set(err, ERROR_DENIED, "the certificate's key is too weak: %d bits, not %d",
                         bits, SECURITY_BITS);
    return 0;
}

/* --- trust --- */

int trust_store_new(struct trust_store **ret, struct error *err)
{
    CLEANUP(trust_store_free) struct trust_store *store = calloc(1, sizeof *store);

    if (store == NULL || (store->store = X509_STORE_new()) == NULL)
        return out_of_memory(err);
    *ret = steal(&store);
    return 0;
}

void trust_store_free(struct trust_store *store)
{
    if (store == NULL)
        return;
    X509_STORE_free(store->store);
    free(store);
}

/* Older kinds of certificates say nothing about it: only an explicit permission counts. */
static bool may_issue(X509 *x509)
{
    return X509_check_ca(x509) == 1 && (X509_get_extension_flags(x509) & EXFLAG_KUSAGE) != 0 &&
           (X509_get_key_usage(x509) & KU_KEY_CERT_SIGN) != 0;
}

static int add_one(struct trust_store *store, X509 *x509, struct error *err)
{
    char subject[128] = "";

    (void)X509_NAME_oneline(X509_get_subject_name(x509), subject, sizeof subject);
    if (!may_issue(x509))
        return error_set(err, ERROR_INVALID,
                         "certificate '%s' may not issue others (CA flag, keyCertSign)", subject);
    return X509_STORE_add_cert(store->store, x509) == 1 ? 0 : out_of_memory(err);
}

/* True when reading stopped only because nothing was left. */
static bool is_at_end(void)
{
    const unsigned long reason = ERR_peek_last_error();

    return ERR_GET_LIB(reason) == ERR_LIB_PEM && ERR_GET_REASON(reason) == PEM_R_NO_START_LINE;
}

int trust_store_add(struct trust_store *store, const void *pem, size_t size, struct error *err)
{
    CLEANUP(BIO_free_all) BIO *bio = open_pem(pem, size);
    size_t count = 0;
    bool ended;

    if (bio == NULL)
        return out_of_memory(err);
    ERR_clear_error();
    for (;;) {
        CLEANUP(X509_free) X509 *x509 = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);

        if (x509 == NULL)
            break;
        if (add_one(store, x509, err) < 0)
            return -1;
        count++;
    }
    ended = is_at_end();
    ERR_clear_error();
    if (!ended)
        return error_set(err, ERROR_INVALID, "certificate %zu in PEM is damaged", count + 1);
    return count > 0 ? 0 : error_set(err, ERROR_INVALID, "no X.509 certificate in PEM");
}

int trust_store_check(const struct trust_store *store, const struct certificate *certificate,
                      struct error *err)
{
    CLEANUP(X509_STORE_CTX_free) X509_STORE_CTX *context = X509_STORE_CTX_new();
    int result;

    if (certificate_check_signer(certificate, err) < 0)
        return -1;
    if (context == NULL || X509_STORE_CTX_init(context, store->store, certificate->x509, NULL) != 1)
        return out_of_memory(err);
    X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(context), SECURITY_LEVEL);
    result = X509_verify_cert(context);
    ERR_clear_error();
    if (result == 1)
        return 0;
    return error_set(err, ERROR_DENIED, "the certificate is not trusted: %s",
                     X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
}
