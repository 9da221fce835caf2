/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/certificate.h"

#include "signature_vectors.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

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
    assert_succeeds(check("bundle.pem", "issuer.pem", &err));
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
        cmocka_unit_test(an_empty_store_trusts_nobody),
        cmocka_unit_test(what_is_no_certificate_is_refused),
        cmocka_unit_test(a_bundle_with_a_damaged_certificate_is_refused),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
