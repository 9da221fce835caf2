/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signature_key.h"

#include "signature_vectors.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>

static int load(struct secure_arena *arena, const char *file, struct signature_key **ret,
                struct error *err)
{
    size_t size;
    CLEANUP(memory_free) char *text = signature_vector_read(file, &size);
    struct secure_buffer *pem = NULL;

    assert_int_equal(secure_buffer_copy_of(arena, text, size, &pem, err), 0);
    return signature_key_new(pem, ret, err);
}

static void what_is_signed_verifies(void **state)
{
    static const struct {
        const char *name;
        const char *type;
    } keys[] = {{"rsa", "RSA-PSS"}, {"dsa", "DSA"}, {"ecc_secp384r1", "ECC_SECP384R1"}};
    static const enum hash_algorithm hashes[] = {HASH_SHA224, HASH_SHA256, HASH_SHA384,
                                                 HASH_SHA512};
    const size_t used = secure_arena_used(*state);

    for (size_t i = 0; i < ELEMENTS_OF(keys); i++) {
        char file[64];

        (void)snprintf(file, sizeof file, "%s.pem", keys[i].name);
        CLEANUP(certificate_free)
        struct certificate *certificate = signature_vector_certificate(file);
        CLEANUP(signature_key_free) struct signature_key *key = NULL;
        struct error err;

        (void)snprintf(file, sizeof file, "%s.key", keys[i].name);
        assert_succeeds(load(*state, file, &key, &err));
        assert_string_equal(signature_key_type_name(signature_key_type(key)), keys[i].type);
        assert_true(signature_key_matches(key, certificate));
        for (size_t j = 0; j < ELEMENTS_OF(hashes); j++) {
            uint8_t digest[HASH_MAXIMUM_BYTES];
            uint8_t signature[SIGNATURE_MAXIMUM_BYTES];
            size_t size;

            signature_vector_digest(hashes[j], digest);
            assert_succeeds(signature_key_sign(key, hashes[j], digest, signature, &size, &err));
            assert_succeeds(signature_verify(certificate, signature_key_type(key), hashes[j],
                                             digest, signature, size, &err));
        }
    }
    assert_int_equal(secure_arena_used(*state), used);
}

static void another_key_is_not_that_of_the_certificate(void **state)
{
    CLEANUP(certificate_free)
    struct certificate *certificate = signature_vector_certificate("dsa.pem");
    CLEANUP(signature_key_free) struct signature_key *key = NULL;
    struct error err;

    assert_succeeds(load(*state, "rsa.key", &key, &err));
    assert_false(signature_key_matches(key, certificate));
}

static void what_cannot_sign_images_is_refused(void **state)
{
    static const char *const files[] = {"p256.key", "encrypted.key", "rsa.pem", "message.bin"};
    const size_t used = secure_arena_used(*state);
    struct signature_key *key = NULL;
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(files); i++)
        assert_fails(ERROR_INVALID, load(*state, files[i], &key, &err));
    assert_null(key);
    assert_int_equal(secure_arena_used(*state), used);
}

static void a_hash_that_no_signature_names_is_refused(void **state)
{
    static const uint8_t digest[HASH_MAXIMUM_BYTES];
    CLEANUP(signature_key_free) struct signature_key *key = NULL;
    uint8_t signature[SIGNATURE_MAXIMUM_BYTES];
    struct error err;
    size_t size;

    assert_succeeds(load(*state, "rsa.key", &key, &err));
    assert_fails(ERROR_SYSTEM, signature_key_sign(key, HASH_MD5, digest, signature, &size, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_verifies),
        cmocka_unit_test(another_key_is_not_that_of_the_certificate),
        cmocka_unit_test(what_cannot_sign_images_is_refused),
        cmocka_unit_test(a_hash_that_no_signature_names_is_refused),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
