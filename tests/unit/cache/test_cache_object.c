/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_object.h"

#include "support/crypto_arena.h"
#include "support/fake_image_service.h"
#include "support/testing.h"

#define ID "11111111-2222-4333-8444-555555555555"
#define DIGEST "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define DIGEST_REST "a7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a"
#define OTHER_ID "11111111-2222-4333-8444-555555555556"

static void name_of(const char *id, const char *algorithm, const char *value,
                    char ret[CACHE_OBJECT_NAME_BYTES])
{
    CLEANUP(image_record_unref)
    struct image_record *record = fake_image_record(id, "abc", 3, algorithm, value);

    memset(ret, 'x', CACHE_OBJECT_NAME_BYTES);
    cache_object_name(record, ret);
    assert_non_null(memchr(ret, '\0', CACHE_OBJECT_NAME_BYTES));
}

static void a_name_is_the_image_id_and_the_digest(void **state)
{
    char name[CACHE_OBJECT_NAME_BYTES];

    (void)state;
    name_of(ID, "sha256", DIGEST, name);
    assert_string_equal(name, ID "." DIGEST);
    /* Without a hash, by the checksum: the MD5 of "abc". */
    name_of(ID, NULL, NULL, name);
    assert_string_equal(name, ID ".900150983cd24fb0d6963f7d28e17f72");
}

static void other_images_and_other_hashes_have_other_names(void **state)
{
    char names[5][CACHE_OBJECT_NAME_BYTES];

    (void)state;
    name_of(ID, "sha256", DIGEST, names[0]);
    name_of(ID, "sha256", "0" DIGEST_REST "d", names[1]);
    name_of(ID, "sha256", "b" DIGEST_REST "e", names[2]);
    name_of(OTHER_ID, "sha256", DIGEST, names[3]);
    name_of(ID, NULL, NULL, names[4]);
    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(names[i], names[j]);
}

/* Who compares digests takes both cases: an image that was replaced must not keep the old name. */
static void a_digest_counts_in_either_case(void **state)
{
    char name[CACHE_OBJECT_NAME_BYTES];

    (void)state;
    name_of(ID, "sha256", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", name);
    assert_string_equal(name, ID "." DIGEST);
}

/* A digest comes from outside: one that is none counts for nothing, and names no directory. */
static void a_name_is_never_a_path(void **state)
{
    static const char *const values[] = {"/../../etc/passwd", "../x", "a/b", "/", "xyz", "0 0"};
    char name[CACHE_OBJECT_NAME_BYTES];

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(values); i++) {
        name_of(ID, "sha256", values[i], name);
        assert_string_equal(name, ID ".900150983cd24fb0d6963f7d28e17f72");
    }
}

static void the_last_reference_frees_the_tags(void **state)
{
    const size_t used = secure_arena_used(*state);
    struct gmac_table *tags = NULL;
    struct cache_object *object = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(gmac_table_new(*state, &tags, &err));
    assert_succeeds(cache_object_new("a name", 77, tags, &object, &err));
    assert_string_equal(object->name, "a name");
    assert_int_equal(object->size, 77);
    assert_ptr_equal(cache_object_ref(object), object);
    cache_object_unref(object);
    assert_true(secure_arena_used(*state) > used);
    cache_object_unref(object);
    assert_int_equal(secure_arena_used(*state), used);
    cache_object_unref(NULL);
}

static int open_and_warm_up(void **state)
{
    struct gmac_table *tags = NULL;
    struct error err = ERROR_INIT;

    /* libgcrypt's generator takes memory of the arena with its first key and keeps it. */
    if (crypto_arena_open(state) < 0 || gmac_table_new(*state, &tags, &err) < 0)
        return -1;
    gmac_table_free(tags);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_the_image_id_and_the_digest),
        cmocka_unit_test(other_images_and_other_hashes_have_other_names),
        cmocka_unit_test(a_digest_counts_in_either_case),
        cmocka_unit_test(a_name_is_never_a_path),
        cmocka_unit_test(the_last_reference_frees_the_tags),
    };

    return cmocka_run_group_tests(tests, open_and_warm_up, crypto_arena_close);
}
