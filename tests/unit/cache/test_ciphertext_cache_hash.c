/* SPDX-License-Identifier: Apache-2.0 */
/* Which hashes prove an image, and which do not. */
#include "glancefs/ciphertext_cache.h"

#include "cache_fixture.h"
#include "support/crypto_arena.h"
#include "support/fake_image_service.h"
#include "support/memory_sink.h"
#include "support/testing.h"

#include <stdlib.h>

static void every_strong_hash_is_taken(void **state)
{
    static const char *const algorithms[] = {"sha256", "sha384", "sha512"};
    struct cache_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(algorithms); i++) {
        CLEANUP(image_record_unref)
        struct image_record *record =
            fake_image_record_hashed(IMAGE_ID, fixture->bytes, fixture->size, algorithms[i]);
        CLEANUP(byte_source_free) struct byte_source *source = NULL;
        struct error err = ERROR_INIT;

        assert_succeeds(ciphertext_cache_open(fixture->cache, record, NULL, NULL, &source, &err));
        assert_source_is(source, fixture->bytes, fixture->size);
    }
}

/* What proves nothing is refused before a byte is fetched. */
static void assert_hash_refused(struct cache_fixture *fixture, struct image_record *record)
{
    CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
    CLEANUP(byte_sink_free) struct byte_sink *observer = memory_sink_new(&observed, NULL);
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_UNSUPPORTED,
                 ciphertext_cache_open(fixture->cache, record, observer, NULL, &source, &err));
    assert_null(source);
    assert_int_equal(observed.aborts, 1);
    assert_int_equal(observed.size, 0);
    assert_int_equal(fake_image_service_downloads(fixture->images), 0);
    assert_int_equal(cache_fixture_files(fixture), 0);
}

static void a_weak_hash_is_refused_while_one_is_required(void **state)
{
    static const char *const algorithms[] = {"md5", "sha1", "sha224"};
    struct cache_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(algorithms); i++) {
        CLEANUP(image_record_unref)
        struct image_record *record =
            fake_image_record_hashed(IMAGE_ID, fixture->bytes, fixture->size, algorithms[i]);

        assert_hash_refused(fixture, record);
    }
}

static void a_missing_hash_is_refused_while_one_is_required(void **state)
{
    static const struct {
        const char *algorithm;
        const char *value;
    } hashes[] = {{NULL, NULL}, {"sha512", NULL}, {NULL, "00"}, {"blake2b", "00"}, {"", ""}};
    struct cache_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(hashes); i++) {
        CLEANUP(image_record_unref)
        struct image_record *record = fake_image_record(IMAGE_ID, fixture->bytes, fixture->size,
                                                        hashes[i].algorithm, hashes[i].value);

        assert_hash_refused(fixture, record);
    }
}

/* A value that is no digest is no usable value either, least of all one that is a path. */
static void an_unusable_hash_value_is_refused_while_one_is_required(void **state)
{
    static const char *const values[] = {
        "",
        "00",
        "zz00000000000000000000000000000000000000000000000000000000000000",
        "../../../../../../../../../../../../../../../../tmp/glancefs-x00",
        "/../../object",
    };
    struct cache_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(values); i++) {
        CLEANUP(image_record_unref)
        struct image_record *record =
            fake_image_record(IMAGE_ID, fixture->bytes, fixture->size, "sha256", values[i]);

        assert_hash_refused(fixture, record);
        assert_int_equal(temp_dir_count(fixture->dir), 1);
    }
}

static void without_the_requirement_any_image_is_served(void **state)
{
    static const struct {
        const char *algorithm;
        const char *value;
    } hashes[] = {{NULL, NULL}, {"sha512", NULL}, {"blake2b", "00"}};
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = temp_dir_join(fixture->dir, "lenient");

    for (size_t i = 0; i < ELEMENTS_OF(hashes); i++) {
        CLEANUP(image_record_unref)
        struct image_record *record = fake_image_record(IMAGE_ID, fixture->bytes, fixture->size,
                                                        hashes[i].algorithm, hashes[i].value);
        const struct ciphertext_cache_parts parts = {
            .path = path, .images = fixture->images, .arena = fixture->arena};
        CLEANUP(ciphertext_cache_free) struct ciphertext_cache *lenient = NULL;
        CLEANUP(byte_source_free) struct byte_source *source = NULL;
        struct error err = ERROR_INIT;

        assert_succeeds(ciphertext_cache_new(&parts, &lenient, &err));
        assert_succeeds(ciphertext_cache_open(lenient, record, NULL, NULL, &source, &err));
        assert_source_is(source, fixture->bytes, fixture->size);
        byte_source_free(steal(&source));
    }
}

/* Two records that share the first digits of the hash are two images all the same. */
static void the_whole_hash_must_match_also_when_the_image_is_known(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(image_record_unref) struct image_record *other = NULL;
    CLEANUP(memory_free) char *value = strdup(image_record_hash_value(fixture->record));
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    assert_non_null(value);
    value[strlen(value) - 1] = value[strlen(value) - 1] == '0' ? '1' : '0';
    other = fake_image_record(IMAGE_ID, fixture->bytes, fixture->size, "sha512", value);
    assert_opens_soundly(fixture);
    assert_fails(ERROR_CORRUPT,
                 ciphertext_cache_open(fixture->cache, other, NULL, NULL, &source, &err));
    assert_null(source);
}

#define with_cache(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, cache_fixture_open, cache_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_cache(every_strong_hash_is_taken),
        with_cache(a_weak_hash_is_refused_while_one_is_required),
        with_cache(a_missing_hash_is_refused_while_one_is_required),
        with_cache(an_unusable_hash_value_is_refused_while_one_is_required),
        with_cache(without_the_requirement_any_image_is_served),
        with_cache(the_whole_hash_must_match_also_when_the_image_is_known),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
