/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signature.h"

#include "signature_vectors.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <stdio.h>

static const struct {
    const char *name; /* as a property has it */
    const char *file;
} key_types[] = {
    {"RSA-PSS", "rsa"},
    {"DSA", "dsa"},
    {"ECC_SECT571K1", "ecc_sect571k1"},
    {"ECC_SECT409K1", "ecc_sect409k1"},
    {"ECC_SECT571R1", "ecc_sect571r1"},
    {"ECC_SECT409R1", "ecc_sect409r1"},
    {"ECC_SECP521R1", "ecc_secp521r1"},
    {"ECC_SECP384R1", "ecc_secp384r1"},
};

static const struct {
    const char *name;
    const char *file;
} hashes[] = {
    {"SHA-224", "sha224"}, {"SHA-256", "sha256"}, {"SHA-384", "sha384"}, {"SHA-512", "sha512"}};

/* One signature, ready to be verified, and to be spoilt before. */
struct subject {
    struct certificate *certificate;
    enum signature_key_type type;
    enum hash_algorithm hash;
    uint8_t digest[HASH_MAXIMUM_BYTES];
    uint8_t signature[SIGNATURE_MAXIMUM_BYTES];
    size_t size;
};

static void subject_free(struct subject *subject)
{
    certificate_free(subject->certificate);
    free(subject);
}
DEFINE_CLEANUP(struct subject, subject_free)

static struct subject *load(size_t type, size_t hash)
{
    struct subject *subject = calloc(1, sizeof *subject);
    char file[64];

    assert_non_null(subject);
    assert_true(signature_key_type_from_name(key_types[type].name, &subject->type));
    assert_true(signature_hash_from_name(hashes[hash].name, &subject->hash));
    (void)snprintf(file, sizeof file, "%s.pem", key_types[type].file);
    subject->certificate = signature_vector_certificate(file);
    (void)snprintf(file, sizeof file, "%s.%s.sig", key_types[type].file, hashes[hash].file);
    subject->size = signature_vector_signature(file, subject->signature);
    signature_vector_digest(subject->hash, subject->digest);
    return subject;
}

static int verify(const struct subject *subject, struct error *err)
{
    return signature_verify(subject->certificate, subject->type, subject->hash, subject->digest,
                            subject->signature, subject->size, err);
}

static void what_cursive_signs_is_right(void **state)
{
    struct error err;

    (void)state;
    for (size_t type = 0; type < ELEMENTS_OF(key_types); type++) {
        for (size_t hash = 0; hash < ELEMENTS_OF(hashes); hash++) {
            CLEANUP(subject_free) struct subject *subject = load(type, hash);

            assert_succeeds(verify(subject, &err));
        }
    }
}

static void a_flipped_bit_is_found(void **state)
{
    struct error err;

    (void)state;
    for (size_t type = 0; type < ELEMENTS_OF(key_types); type++) {
        CLEANUP(subject_free) struct subject *subject = load(type, 1);

        subject->digest[31] ^= 1;
        assert_fails(ERROR_CORRUPT, verify(subject, &err));
        subject->digest[31] ^= 1;
        subject->signature[subject->size - 1] ^= 1;
        assert_fails(ERROR_CORRUPT, verify(subject, &err));
        subject->signature[subject->size - 1] ^= 1;
        subject->size--;
        assert_fails(ERROR_CORRUPT, verify(subject, &err));
        subject->size = 0;
        assert_fails(ERROR_CORRUPT, verify(subject, &err));
    }
}

static void the_type_must_be_that_of_the_key(void **state)
{
    struct error err;

    (void)state;
    for (size_t type = 0; type < ELEMENTS_OF(key_types); type++) {
        for (size_t other = 0; other < ELEMENTS_OF(key_types); other++) {
            CLEANUP(subject_free) struct subject *subject = load(type, 3);

            if (other == type)
                continue;
            assert_true(signature_key_type_from_name(key_types[other].name, &subject->type));
            assert_fails(ERROR_CORRUPT, verify(subject, &err));
            assert_message_has(key_types[other].name);
        }
    }
}

static void the_hash_must_be_the_one_that_was_signed(void **state)
{
    CLEANUP(subject_free) struct subject *subject = load(0, 1);
    struct error err;

    (void)state;
    subject->hash = HASH_SHA384;
    signature_vector_digest(subject->hash, subject->digest);
    assert_fails(ERROR_CORRUPT, verify(subject, &err));
    subject->hash = HASH_SHA1;
    signature_vector_digest(subject->hash, subject->digest);
    assert_fails(ERROR_CORRUPT, verify(subject, &err));
}

static void the_salt_must_be_of_the_largest_length(void **state)
{
    CLEANUP(subject_free) struct subject *subject = load(0, 1);
    struct error err;

    (void)state;
    subject->size = signature_vector_signature("rsa.short_salt.sig", subject->signature);
    assert_fails(ERROR_CORRUPT, verify(subject, &err));
}

static void a_curve_of_no_name_signs_nothing(void **state)
{
    CLEANUP(subject_free) struct subject *subject = load(7, 1);
    struct error err;

    (void)state;
    certificate_free(subject->certificate);
    subject->certificate = signature_vector_certificate("p256.pem");
    assert_fails(ERROR_CORRUPT, verify(subject, &err));
    assert_message_has("makes no");
}

static void names_are_spelled_exactly(void **state)
{
    static const char *const wrong[] = {"", "rsa-pss", "RSA", "ECC_SECP256R1", "ecc_secp384r1"};
    enum signature_key_type type;
    enum hash_algorithm hash;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(wrong); i++)
        assert_false(signature_key_type_from_name(wrong[i], &type));
    assert_false(signature_hash_from_name("SHA-1", &hash));
    assert_false(signature_hash_from_name("sha-256", &hash));
    assert_false(signature_hash_from_name("SHA256", &hash));
    for (size_t i = 0; i < ELEMENTS_OF(key_types); i++) {
        assert_true(signature_key_type_from_name(key_types[i].name, &type));
        assert_string_equal(signature_key_type_name(type), key_types[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cursive_signs_is_right),
        cmocka_unit_test(a_flipped_bit_is_found),
        cmocka_unit_test(the_type_must_be_that_of_the_key),
        cmocka_unit_test(the_hash_must_be_the_one_that_was_signed),
        cmocka_unit_test(the_salt_must_be_of_the_largest_length),
        cmocka_unit_test(a_curve_of_no_name_signs_nothing),
        cmocka_unit_test(names_are_spelled_exactly),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
