/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/upload_signature.h"

#include "../crypto/signature_vectors.h"
#include "crypto/encoding.h"
#include "staging_fixture.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <stdlib.h>

#define CERTIFICATE_ID "cccccccc-bbbb-4ccc-8ddd-eeeeeeeeeeee"

static struct signature_key *load_key(struct secure_arena *arena, const char *file)
{
    size_t size;
    CLEANUP(memory_free) char *text = signature_vector_read(file, &size);
    struct secure_buffer *pem = NULL;
    struct signature_key *key = NULL;
    struct error err;

    assert_succeeds(secure_buffer_copy_of(arena, text, size, &pem, &err));
    assert_succeeds(signature_key_new(pem, &key, &err));
    return key;
}

static const char *property(const struct upload_journal *journal, const char *name)
{
    for (size_t i = 0; i < journal->property_count; i++)
        if (strcmp(journal->properties[i].name, name) == 0)
            return journal->properties[i].value;
    return NULL;
}

static struct upload_journal *new_journal(const uint8_t *digest)
{
    struct upload_journal *journal = NULL;
    struct error err;

    assert_succeeds(upload_journal_new(IMAGE_ID, CLOUD, PROJECT, &journal, &err));
    encode_hex(digest, hash_size(HASH_SHA512), journal->sha512);
    return journal;
}

static void the_signature_is_of_what_was_staged(void **state)
{
    static const struct {
        const char *key, *certificate, *type;
    } keys[] = {{"rsa.key", "rsa.pem", "RSA-PSS"},
                {"ecc_secp384r1.key", "ecc_secp384r1.pem", "ECC_SECP384R1"}};

    for (size_t i = 0; i < ELEMENTS_OF(keys); i++) {
        CLEANUP(signature_key_free) struct signature_key *key = load_key(*state, keys[i].key);
        CLEANUP(certificate_free)
        struct certificate *certificate = signature_vector_certificate(keys[i].certificate);
        const struct staging_owner owner = {.signing_key = key,
                                            .signing_certificate = CERTIFICATE_ID};
        uint8_t digest[HASH_MAXIMUM_BYTES];
        uint8_t signature[SIGNATURE_MAXIMUM_BYTES];
        struct error err;
        size_t size;

        signature_vector_digest(HASH_SHA512, digest);
        CLEANUP(upload_journal_free) struct upload_journal *journal = new_journal(digest);

        assert_succeeds(upload_signature_add(&owner, journal, &err));
        assert_string_equal(property(journal, "img_signature_hash_method"), "SHA-512");
        assert_string_equal(property(journal, "img_signature_key_type"), keys[i].type);
        assert_string_equal(property(journal, "img_signature_certificate_uuid"), CERTIFICATE_ID);
        assert_true(
            decode_base64(property(journal, "img_signature"), signature, sizeof signature, &size));
        assert_succeeds(signature_verify(certificate, signature_key_type(key), HASH_SHA512, digest,
                                         signature, size, &err));
    }
}

static void without_a_key_nothing_is_signed(void **state)
{
    static const uint8_t digest[HASH_MAXIMUM_BYTES];
    CLEANUP(upload_journal_free) struct upload_journal *journal = new_journal(digest);
    const struct staging_owner owner = {.dir_fd = -1};
    struct error err;

    (void)state;
    assert_succeeds(upload_signature_add(&owner, journal, &err));
    assert_int_equal(journal->property_count, 0);
}

static void what_is_sealed_is_signed_before_it_is_sent(void **state)
{
    struct secure_arena *arena = *state;
    CLEANUP(signature_key_free) struct signature_key *key = load_key(arena, "rsa.key");
    void *fixture_state = arena;
    struct staging_fixture *fixture;
    struct upload_staging *staging = NULL;
    struct error err;

    assert_int_equal(staging_fixture_open(&fixture_state), 0);
    fixture = fixture_state;
    const struct upload_staging_parts parts = {.cache_path = fixture->path,
                                               .cloud = CLOUD,
                                               .project_id = PROJECT,
                                               .images = fixture->images,
                                               .signing_key = key,
                                               .signing_certificate = CERTIFICATE_ID,
                                               .first_retry_ms = 1,
                                               .last_retry_ms = 1,
                                               .max_uploads = 2};
    upload_staging_free(fixture->staging);
    assert_succeeds(upload_staging_new(&parts, &staging, &err));
    fixture->staging = staging;
    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_succeeds(upload_staging_send(staging, IMAGE_ID, NULL, NULL, &err));
    assert_true(scripted_image_service_has_property(
        fixture->images, IMAGE_ID, "img_signature_certificate_uuid", CERTIFICATE_ID));
    assert_int_equal(staging_fixture_close(&fixture_state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_signature_is_of_what_was_staged),
        cmocka_unit_test(without_a_key_nothing_is_signed),
        cmocka_unit_test(what_is_sealed_is_signed_before_it_is_sent),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
