/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/certificate.h"

#include "signature_vectors.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

static int add(struct trust_store *store, const char *file, struct error *err)
{
    size_t size;
    CLEANUP(memory_free) char *text = signature_vector_read(file, &size);

    return trust_store_add(store, text, size, err);
}

static struct trust_store *store_with(const char *file)
{
    struct trust_store *store = NULL;
    struct error err;

    assert_succeeds(trust_store_new(&store, &err));
    assert_succeeds(add(store, file, &err));
    return store;
}

static int check(const char *trusted, const char *file, struct error *err)
{
    CLEANUP(trust_store_free) struct trust_store *store = store_with(trusted);
    CLEANUP(certificate_free) struct certificate *certificate = signature_vector_certificate(file);

    return trust_store_check(store, certificate, err);
}

static void a_chain_to_the_root_is_trusted(void **state)
{
    struct error err;

    (void)state;
    assert_succeeds(check("bundle.pem", "rsa.pem", &err));
    assert_succeeds(check("bundle.pem", "ecc_sect571k1.pem", &err));
}

/* It may sign certificates, and only them. */
static void an_issuer_is_no_signer(void **state)
{
    struct error err;

    (void)state;
    assert_fails(ERROR_DENIED, check("bundle.pem", "issuer.pem", &err));
    assert_message_has("not for signatures");
}

static void every_link_must_be_in_the_store(void **state)
{
    struct error err;

    (void)state;
    assert_fails(ERROR_DENIED, check("root.pem", "rsa.pem", &err));
    assert_fails(ERROR_DENIED, check("issuer.pem", "rsa.pem", &err));
    assert_fails(ERROR_DENIED, check("stranger.pem", "rsa.pem", &err));
    assert_message_has("not trusted");
}

static void dates_count(void **state)
{
    struct error err;

    (void)state;
    assert_fails(ERROR_DENIED, check("bundle.pem", "expired.pem", &err));
    assert_message_has("expired");
    assert_fails(ERROR_DENIED, check("bundle.pem", "future.pem", &err));
    assert_message_has("not yet valid");
}

static void who_may_not_issue_is_no_issuer(void **state)
{
    static const char *const files[] = {"rsa.pem", "without_usage.pem"};
    CLEANUP(trust_store_free) struct trust_store *store = store_with("bundle.pem");
    struct error err;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(files); i++) {
        assert_fails(ERROR_INVALID, add(store, files[i], &err));
        assert_message_has("may not issue");
    }
    assert_fails(ERROR_DENIED, check("bundle.pem", "by_leaf.pem", &err));
}

/* --- what a certificate is for, and how strong --- */

/* What root.pem's key, which is p256.key, is to certify. */
struct leaf {
    unsigned rsa_bits; /* 0: an elliptic curve of 256 bits */
    const char *digest;
    const char *usage;    /* keyUsage; NULL: without */
    const char *purposes; /* extendedKeyUsage; NULL: without */
    bool is_good;
    const char *message;
};

static EVP_PKEY *root_key(void)
{
    size_t size;
    CLEANUP(memory_free) char *text = signature_vector_read("p256.key", &size);
    BIO *bio = BIO_new_mem_buf(text, (int)size);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    BIO_free_all(bio);
    assert_non_null(key);
    return key;
}

static void name_it(X509_NAME *name, const char *text)
{
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                                (const unsigned char *)text, -1, -1, 0),
                     1);
}

static void extend(X509 *x509, int extension, const char *value)
{
    X509_EXTENSION *made = value == NULL ? NULL : X509V3_EXT_conf_nid(NULL, NULL, extension, value);

    if (value == NULL)
        return;
    assert_int_equal(X509_add_ext(x509, made, -1), 1);
    X509_EXTENSION_free(made);
}

/* The leaf's certificate in PEM. */
static BIO *issue(const struct leaf *leaf)
{
    EVP_PKEY *issuer = root_key();
    EVP_PKEY *key = leaf->rsa_bits == 0 ? EVP_EC_gen("P-256") : EVP_RSA_gen(leaf->rsa_bits);
    X509 *x509 = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(X509_set_version(x509, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x509), 1), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x509), -3600));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x509), 3600));
    name_it(X509_get_subject_name(x509), "leaf");
    name_it(X509_get_issuer_name(x509), "root");
    assert_int_equal(X509_set_pubkey(x509, key), 1);
    extend(x509, NID_key_usage, leaf->usage);
    extend(x509, NID_ext_key_usage, leaf->purposes);
    assert_true(X509_sign(x509, issuer, EVP_get_digestbyname(leaf->digest)) > 0);
    assert_int_equal(PEM_write_bio_X509(bio, x509), 1);
    X509_free(x509);
    EVP_PKEY_free(key);
    EVP_PKEY_free(issuer);
    return bio;
}

static struct certificate *certificate_of(const struct leaf *leaf)
{
    struct certificate *certificate = NULL;
    struct error err;
    BIO *bio = issue(leaf);
    char *pem = NULL;
    const long size = BIO_get_mem_data(bio, &pem);

    assert_succeeds(certificate_parse(pem, (size_t)size, &certificate, &err));
    BIO_free_all(bio);
    return certificate;
}

static void a_signer_is_one_by_use_and_strength(void **state)
{
    static const struct leaf leaves[] = {
        {0, "SHA256", NULL, NULL, true, NULL},
        {2048, "SHA256", "digitalSignature", "codeSigning", true, NULL},
        {0, "SHA256", "digitalSignature,keyEncipherment", "anyExtendedKeyUsage", true, NULL},
        {0, "SHA256", "digitalSignature", "serverAuth,codeSigning", true, NULL},
        {0, "SHA256", "keyEncipherment", NULL, false, "not for signatures"},
        {0, "SHA256", NULL, "serverAuth", false, "not for signatures"},
        {512, "SHA256", NULL, NULL, false, "too weak"},
        {1024, "SHA256", "digitalSignature", NULL, false, "too weak"},
        {0, "SHA1", "digitalSignature", NULL, false, "too weak"},
    };
    CLEANUP(trust_store_free) struct trust_store *store = store_with("root.pem");
    struct error err;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(leaves); i++) {
        CLEANUP(certificate_free) struct certificate *certificate = certificate_of(&leaves[i]);

        if (leaves[i].is_good) {
            assert_succeeds(trust_store_check(store, certificate, &err));
            continue;
        }
        assert_fails(ERROR_DENIED, trust_store_check(store, certificate, &err));
        assert_message_has(leaves[i].message);
    }
}

static void an_empty_store_trusts_nobody(void **state)
{
    CLEANUP(trust_store_free) struct trust_store *store = NULL;
    CLEANUP(certificate_free)
    struct certificate *certificate = signature_vector_certificate("root.pem");
    struct error err;

    (void)state;
    assert_succeeds(trust_store_new(&store, &err));
    assert_fails(ERROR_DENIED, trust_store_check(store, certificate, &err));
}

static void what_is_no_certificate_is_refused(void **state)
{
    static const char *const texts[] = {
        "", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n"};
    CLEANUP(trust_store_free) struct trust_store *store = store_with("bundle.pem");
    struct certificate *certificate = NULL;
    struct error err;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        assert_fails(ERROR_INVALID,
                     certificate_parse(texts[i], strlen(texts[i]), &certificate, &err));
        assert_fails(ERROR_INVALID, trust_store_add(store, texts[i], strlen(texts[i]), &err));
    }
    assert_fails(ERROR_INVALID, add(store, "rsa.key", &err));
    assert_null(certificate);
}

static void a_bundle_with_a_damaged_certificate_is_refused(void **state)
{
    size_t size;
    CLEANUP(memory_free) char *text = signature_vector_read("bundle.pem", &size);
    CLEANUP(trust_store_free) struct trust_store *store = NULL;
    struct error err;

    (void)state;
    assert_succeeds(trust_store_new(&store, &err));
    assert_fails(ERROR_INVALID, trust_store_add(store, text, size - 40, &err));
    assert_message_has("certificate 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_to_the_root_is_trusted),
        cmocka_unit_test(every_link_must_be_in_the_store),
        cmocka_unit_test(dates_count),
        cmocka_unit_test(who_may_not_issue_is_no_issuer),
        cmocka_unit_test(an_issuer_is_no_signer),
        cmocka_unit_test(a_signer_is_one_by_use_and_strength),
        cmocka_unit_test(an_empty_store_trusts_nobody),
        cmocka_unit_test(what_is_no_certificate_is_refused),
        cmocka_unit_test(a_bundle_with_a_damaged_certificate_is_refused),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
