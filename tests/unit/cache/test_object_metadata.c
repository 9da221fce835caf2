/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/object_metadata.h"

#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define KEY_ID "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define TEXT_LIMIT 8192

/* Any digests. */
#define SHA512                                                                                     \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"                             \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MD5 "fedcba9876543210fedcba9876543210"
#define NAME IMAGE_ID "." SHA512

static const struct object_metadata good = {.image_id = IMAGE_ID,
                                            .key_id = KEY_ID,
                                            .size = 300017,
                                            .hash_algo = "sha512",
                                            .hash_value = SHA512,
                                            .checksum = MD5,
                                            .fetched_at = 1795430400};

static char *read_vector(const char *name, size_t *ret_size)
{
    CLEANUP(memory_free) char *path = NULL;
    CLEANUP(file_close) FILE *file = NULL;
    char *text = malloc(TEXT_LIMIT);

    assert_non_null(text);
    assert_true(asprintf(&path, "%s/object_metadata/%s.json", TEST_VECTORS, name) > 0);
    file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("no vector %s", path);
    *ret_size = fread(text, 1, TEXT_LIMIT - 1, file);
    text[*ret_size] = '\0';
    return text;
}

static void assert_reads_back(const struct object_metadata *metadata, const char *name)
{
    char text[OBJECT_METADATA_TEXT_BYTES];
    const size_t size = object_metadata_print(metadata, text);
    struct object_metadata copy;
    struct error err = ERROR_INIT;

    assert_int_equal(size, strlen(text));
    assert_succeeds(object_metadata_parse(name, text, size, &copy, &err));
    assert_true(object_metadata_is_same(metadata, &copy));
    assert_string_equal(copy.key_id, metadata->key_id);
    assert_int_equal(copy.fetched_at, metadata->fetched_at);
}

/* A record with these members more, as JSON text. */
static struct image_record *record_with(const char *members)
{
    CLEANUP(memory_free) char *text = NULL;
    struct image_record *record = NULL;
    struct error err = ERROR_INIT;

    assert_true(asprintf(&text, "{\"id\": \"" IMAGE_ID "\", \"status\": \"active\"%s}", members) >
                0);
    assert_succeeds(image_record_parse(text, strlen(text), &record, &err));
    return record;
}

static void metadata_of(const char *members, struct object_metadata *ret)
{
    CLEANUP(image_record_unref) struct image_record *record = record_with(members);

    object_metadata_of(record, ret);
}

/* --- the format --- */

static void prints_the_format_of_version_1(void **state)
{
    size_t expected_size = 0;
    CLEANUP(memory_free) char *expected = read_vector("good", &expected_size);
    char text[OBJECT_METADATA_TEXT_BYTES];

    (void)state;
    assert_int_equal(object_metadata_print(&good, text), expected_size);
    assert_string_equal(text, expected);
}

static void reads_what_it_printed(void **state)
{
    size_t size = 0;
    CLEANUP(memory_free) char *text = read_vector("good", &size);
    struct object_metadata metadata;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(object_metadata_parse(NAME, text, size, &metadata, &err));
    assert_string_equal(metadata.image_id, IMAGE_ID);
    assert_string_equal(metadata.key_id, KEY_ID);
    assert_int_equal(metadata.size, 300017);
    assert_string_equal(metadata.hash_algo, "sha512");
    assert_string_equal(metadata.hash_value, SHA512);
    assert_string_equal(metadata.checksum, MD5);
    assert_int_equal(metadata.fetched_at, 1795430400);
}

static void each_good_vector_is_printed_as_it_was(void **state)
{
    static const struct {
        const char *vector;
        const char *name;
    } vectors[] = {
        {"good", NAME},
        {"good-download", NAME},
        {"good-download-of-unknown-size", NAME},
        {"good-no-key", NAME},
        {"good-no-checksum", NAME},
        {"good-unknown-algorithm", NAME},
        {"good-largest", NAME},
        {"good-empty-object", NAME},
        {"good-checksum-only", IMAGE_ID "." MD5},
        {"good-nothing-to-prove-it", IMAGE_ID},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(vectors); i++) {
        size_t size = 0;
        CLEANUP(memory_free) char *text = read_vector(vectors[i].vector, &size);
        char ours[OBJECT_METADATA_TEXT_BYTES];
        struct object_metadata metadata;
        struct error err = ERROR_INIT;

        assert_succeeds(object_metadata_parse(vectors[i].name, text, size, &metadata, &err));
        assert_int_equal(object_metadata_print(&metadata, ours), size);
        assert_string_equal(ours, text);
    }
}

static void the_longest_members_fit(void **state)
{
    struct object_metadata metadata = good;

    (void)state;
    metadata.size = INT64_MAX;
    metadata.fetched_at = INT64_MAX;
    memset(metadata.hash_algo, 'x', sizeof metadata.hash_algo - 1);
    assert_reads_back(&metadata, NAME);
}

/* --- what is refused --- */

static void refuses_each_bad_vector(void **state)
{
    static const char *const names[] = {
        "array",
        "byte-order-mark",
        "checksum-list",
        "checksum-not-hex",
        "checksum-too-long",
        "checksum-upper-case",
        "comment",
        "crlf",
        "cut-in-a-number",
        "cut-off",
        "empty",
        "escaped-letter",
        "fetched-at-as-text",
        "fetched-at-negative",
        "fetched-at-null",
        "fetched-at-over-int64",
        "hash-algo-null",
        "hash-algo-too-long",
        "hash-algo-with-a-quote",
        "hash-algo-without-value",
        "hash-value-cut",
        "hash-value-not-hex",
        "hash-value-number",
        "hash-value-of-another",
        "hash-value-too-long",
        "hash-value-upper-case",
        "image-id-a-path",
        "image-id-empty",
        "image-id-number",
        "image-id-of-another",
        "image-id-too-long",
        "image-id-upper-case",
        "key-id-no-uuid",
        "key-id-null",
        "key-id-upper-case",
        "leading-space",
        "member-twice",
        "no-brace",
        "no-checksum",
        "no-fetched-at",
        "no-hash-algo",
        "no-hash-value",
        "no-image-id",
        "no-key-id",
        "no-line-feed",
        "no-size",
        "no-size-of-a-download",
        "no-version",
        "not-json",
        "not-utf8",
        "nul-byte",
        "nul-in-a-string",
        "null",
        "one-line",
        "other-order",
        "second-object",
        "size-as-text",
        "size-exponent",
        "size-fraction",
        "size-huge",
        "size-leading-zero",
        "size-negative",
        "size-over-int64",
        "size-over-uint64",
        "size-true",
        "size-twice",
        "size-unknown-of-a-complete-one",
        "text",
        "too-deep",
        "too-large",
        "trailing-byte",
        "trailing-line-feed",
        "trailing-nul",
        "unknown-member",
        "version-0",
        "version-fraction",
        "version-negative",
        "version-text",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        size_t size = 0;
        CLEANUP(memory_free) char *text = read_vector(names[i], &size);
        struct object_metadata metadata;
        struct error err = ERROR_INIT;

        if (object_metadata_parse(NAME, text, size, &metadata, &err) == 0)
            fail_msg("%s was read", names[i]);
        if (err.kind != ERROR_CORRUPT || strstr(err.message, "damaged") == NULL)
            fail_msg("%s: %s", names[i], err.message);
    }
}

static void refuses_another_objects_metadata(void **state)
{
    static const char *const names[] = {IMAGE_ID, IMAGE_ID "." MD5, NAME "0", "",
                                        "11111111-2222-4333-8444-555555555556." SHA512};
    char text[OBJECT_METADATA_TEXT_BYTES];
    const size_t size = object_metadata_print(&good, text);
    struct object_metadata metadata;
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        assert_fails(ERROR_CORRUPT, object_metadata_parse(names[i], text, size, &metadata, &err));
        assert_message_has("another object");
    }
}

static void names_a_newer_version(void **state)
{
    static const char *const names[] = {"newer-version", "newer-version-other-members",
                                        "newest-version"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        size_t size = 0;
        CLEANUP(memory_free) char *text = read_vector(names[i], &size);
        struct object_metadata metadata;
        struct error err = ERROR_INIT;

        assert_fails(ERROR_UNSUPPORTED, object_metadata_parse(NAME, text, size, &metadata, &err));
        assert_message_has("version");
    }
}

static void refuses_every_beginning(void **state)
{
    char text[OBJECT_METADATA_TEXT_BYTES];
    const size_t size = object_metadata_print(&good, text);
    struct object_metadata metadata;
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < size; i++)
        assert_fails(ERROR_CORRUPT, object_metadata_parse(NAME, text, i, &metadata, &err));
}

/* A byte that changed is damage, or changes what is said about the object's bytes: only the key's id
 * and the time say nothing about them. */
static void no_changed_byte_goes_unnoticed(void **state)
{
    char text[OBJECT_METADATA_TEXT_BYTES];
    const size_t size = object_metadata_print(&good, text);
    struct object_metadata metadata;
    struct error err = ERROR_INIT;
    unsigned accepted = 0;

    (void)state;
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ (1 << bit));
            if (object_metadata_parse(NAME, text, size, &metadata, &err) == 0) {
                accepted++;
                assert_false(object_metadata_is_same(&metadata, &good) &&
                             strcmp(metadata.key_id, KEY_ID) == 0 &&
                             metadata.fetched_at == good.fetched_at);
            }
            text[i] = (char)(text[i] ^ (1 << bit));
        }
    }
    assert_true(accepted > 0);
}

/* --- records --- */

static void takes_what_a_record_says(void **state)
{
    struct object_metadata metadata;

    (void)state;
    metadata_of(", \"size\": 300017, \"checksum\": \"" MD5 "\", \"os_hash_algo\": \"sha512\","
                "\"os_hash_value\": \"" SHA512 "\", \"os_encrypt_key_id\": \"" KEY_ID "\"",
                &metadata);
    assert_true(object_metadata_is_same(&metadata, &good));
    assert_string_equal(metadata.key_id, KEY_ID);
    assert_int_equal(metadata.fetched_at, 0);
    assert_reads_back(&metadata, NAME);
}

static void takes_a_record_that_says_nothing(void **state)
{
    struct object_metadata metadata;

    (void)state;
    metadata_of("", &metadata);
    assert_string_equal(metadata.image_id, IMAGE_ID);
    assert_string_equal(metadata.key_id, "");
    assert_true(metadata.size == OBJECT_SIZE_UNKNOWN);
    assert_string_equal(metadata.hash_algo, "");
    assert_string_equal(metadata.hash_value, "");
    assert_string_equal(metadata.checksum, "");
    assert_reads_back(&metadata, IMAGE_ID);
}

static void digests_count_in_either_case(void **state)
{
    struct object_metadata metadata;

    (void)state;
    metadata_of(", \"checksum\": \"FEDCBA9876543210FEDCBA9876543210\"", &metadata);
    assert_string_equal(metadata.checksum, MD5);
}

/* Whatever a service says, what is written can be read back. */
static void leaves_out_what_is_no_digest_and_no_algorithm(void **state)
{
    static const char *const members[] = {
        ", \"os_hash_value\": \"../../etc/passwd\", \"os_hash_algo\": \"sha512\"",
        ", \"os_hash_value\": \"xyz\", \"os_hash_algo\": \"sha512\"",
        ", \"os_hash_value\": \"\", \"os_hash_algo\": \"sha512\"",
        ", \"os_hash_value\": \"" SHA512 "0\", \"os_hash_algo\": \"sha512\"",
        ", \"os_hash_algo\": \"sha512\"",
        ", \"checksum\": \"" MD5 "0\"",
        ", \"checksum\": \"an apple\"",
        ", \"os_encrypt_key_id\": \"no id\"",
    };
    struct object_metadata empty;

    (void)state;
    metadata_of("", &empty);
    for (size_t i = 0; i < ELEMENTS_OF(members); i++) {
        struct object_metadata metadata;

        metadata_of(members[i], &metadata);
        assert_true(object_metadata_is_same(&metadata, &empty));
        assert_reads_back(&metadata, IMAGE_ID);
    }
}

static void leaves_out_an_algorithm_that_has_to_be_quoted(void **state)
{
    static const char *const algorithms[] = {"sha\\\"512", "sha 512", "\\u0007",
                                             "sixteen-letters-"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(algorithms); i++) {
        CLEANUP(memory_free) char *members = NULL;
        struct object_metadata metadata;

        assert_true(asprintf(&members,
                             ", \"os_hash_value\": \"" SHA512 "\", \"os_hash_algo\": \"%s\"",
                             algorithms[i]) > 0);
        metadata_of(members, &metadata);
        assert_string_equal(metadata.hash_algo, "");
        assert_string_equal(metadata.hash_value, SHA512);
        assert_reads_back(&metadata, NAME);
    }
}

static void other_bytes_are_not_the_same(void **state)
{
    struct object_metadata others[] = {good, good, good, good, good};

    (void)state;
    others[0].image_id[0] = '2';
    others[1].size++;
    others[2].hash_algo[3] = '2';
    others[3].hash_value[127] = '0';
    others[4].checksum[0] = '\0';
    for (size_t i = 0; i < ELEMENTS_OF(others); i++) {
        assert_false(object_metadata_is_same(&others[i], &good));
        assert_false(object_metadata_is_same(&good, &others[i]));
    }
}

static void time_and_key_do_not_make_other_bytes(void **state)
{
    struct object_metadata other = good;

    (void)state;
    other.fetched_at = 0;
    other.key_id[0] = '\0';
    assert_true(object_metadata_is_same(&other, &good));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_the_format_of_version_1),
        cmocka_unit_test(reads_what_it_printed),
        cmocka_unit_test(each_good_vector_is_printed_as_it_was),
        cmocka_unit_test(the_longest_members_fit),
        cmocka_unit_test(refuses_each_bad_vector),
        cmocka_unit_test(refuses_another_objects_metadata),
        cmocka_unit_test(names_a_newer_version),
        cmocka_unit_test(refuses_every_beginning),
        cmocka_unit_test(no_changed_byte_goes_unnoticed),
        cmocka_unit_test(takes_what_a_record_says),
        cmocka_unit_test(takes_a_record_that_says_nothing),
        cmocka_unit_test(digests_count_in_either_case),
        cmocka_unit_test(leaves_out_what_is_no_digest_and_no_algorithm),
        cmocka_unit_test(leaves_out_an_algorithm_that_has_to_be_quoted),
        cmocka_unit_test(other_bytes_are_not_the_same),
        cmocka_unit_test(time_and_key_do_not_make_other_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
