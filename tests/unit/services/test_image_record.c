/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/image_record.h"

#include "glancefs/limits.h"
#include "support/testing.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#define ID "7b97a3a7-3d5c-4b6f-9f4e-2f1f3a5d9c10"
#define VECTORS TEST_VECTORS "/image_records"
#define SOUND "sound_"

/* Every vector that must be refused, with what the message must name. */
static const struct refusal {
    const char *name;
    enum error_kind kind;
    const char *message;
} refusals[] = {
    {"empty", ERROR_INVALID, "ends too early"},
    {"only_white_space", ERROR_INVALID, "ends too early"},
    {"no_json", ERROR_INVALID, "not valid JSON"},
    {"truncated", ERROR_INVALID, "ends too early"},
    {"trailing_bytes", ERROR_INVALID, "not valid JSON"},
    {"two_documents", ERROR_INVALID, "not valid JSON"},
    {"list_at_top", ERROR_INVALID, "not an object"},
    {"string_at_top", ERROR_INVALID, "not an object"},
    {"number_at_top", ERROR_INVALID, "not an object"},
    {"null_at_top", ERROR_INVALID, "not an object"},
    {"single_quotes", ERROR_INVALID, "not valid JSON"},
    {"comment", ERROR_INVALID, "not valid JSON"},
    {"trailing_comma", ERROR_INVALID, "not valid JSON"},
    {"unquoted_name", ERROR_INVALID, "not valid JSON"},
    {"nested_too_deep", ERROR_INVALID, "nested deeper"},
    {"nul_byte", ERROR_INVALID, "NUL"},
    {"control_character_in_value", ERROR_INVALID, "control character"},
    {"line_feed_in_value", ERROR_INVALID, "control character"},
    {"control_character_in_name", ERROR_INVALID, "control character"},
    {"number_with_bare_point", ERROR_INVALID, "number"},
    {"number_with_bare_point_in_list", ERROR_INVALID, "number"},
    {"number_with_leading_zero", ERROR_INVALID, "number"},
    {"number_without_integer", ERROR_INVALID, "number"},
    {"not_a_number", ERROR_INVALID, "number"},
    {"infinity", ERROR_INVALID, "number"},
    {"infinity_negative", ERROR_INVALID, "number"},
    {"escaped_nul_in_name", ERROR_INVALID, "NUL"},
    {"escaped_nul_in_value", ERROR_INVALID, "NUL"},
    {"invalid_utf8", ERROR_INVALID, "not valid JSON"},
    {"duplicate_id", ERROR_INVALID, "twice"},
    {"duplicate_format", ERROR_INVALID, "twice"},
    {"duplicate_after_strings_with_colons", ERROR_INVALID, "twice"},
    {"id_missing", ERROR_INVALID, "id"},
    {"id_null", ERROR_INVALID, "id"},
    {"id_number", ERROR_INVALID, "id"},
    {"id_no_uuid", ERROR_INVALID, "id"},
    {"id_upper_case", ERROR_INVALID, "id"},
    {"id_with_path", ERROR_INVALID, "id"},
    {"id_too_long", ERROR_INVALID, "id"},
    {"status_missing", ERROR_INVALID, "status"},
    {"status_null", ERROR_INVALID, "status"},
    {"status_unknown", ERROR_INVALID, "status"},
    {"status_upper_case", ERROR_INVALID, "status"},
    {"status_number", ERROR_INVALID, "status"},
    {"name_number", ERROR_INVALID, "name"},
    {"name_list", ERROR_INVALID, "name"},
    {"owner_object", ERROR_INVALID, "owner"},
    {"visibility_boolean", ERROR_INVALID, "visibility"},
    {"checksum_number", ERROR_INVALID, "checksum"},
    {"os_hash_algo_list", ERROR_INVALID, "os_hash_algo"},
    {"os_hash_value_number", ERROR_INVALID, "os_hash_value"},
    {"disk_format_boolean", ERROR_INVALID, "disk_format"},
    {"container_format_number", ERROR_INVALID, "container_format"},
    {"updated_at_number", ERROR_INVALID, "updated_at"},
    {"created_at_object", ERROR_INVALID, "created_at"},
    {"size_negative", ERROR_INVALID, "size"},
    {"size_fraction", ERROR_INVALID, "size"},
    {"size_exponent", ERROR_INVALID, "size"},
    {"size_text", ERROR_INVALID, "size"},
    {"size_list", ERROR_INVALID, "size"},
    {"size_over_int64", ERROR_INVALID, "size"},
    {"size_over_uint64", ERROR_INVALID, "size"},
    {"virtual_size_text", ERROR_INVALID, "virtual_size"},
    {"min_disk_negative", ERROR_INVALID, "min_disk"},
    {"os_encrypt_format_list", ERROR_INVALID, "os_encrypt_format"},
    {"os_encrypt_key_id_object", ERROR_INVALID, "os_encrypt_key_id"},
    {"os_decrypt_size_list", ERROR_INVALID, "os_decrypt_size"},
    {"os_glance_encrypt_format_list", ERROR_INVALID, "os_glance_encrypt_format"},
    {"cinder_encryption_key_id_list", ERROR_INVALID, "cinder_encryption_key_id"},
    {"img_signature_object", ERROR_INVALID, "img_signature"},
    {"property_name_too_long", ERROR_TOO_LARGE, "property name"},
    {"too_many_properties", ERROR_TOO_LARGE, "properties"},
};

/* Exactly as many heap bytes as the file has, so that a read past the end shows. */
static char *read_vector(const char *name, size_t *ret_size)
{
    char path[4096];
    struct stat status = {0};
    FILE *file;
    char *text;

    (void)snprintf(path, sizeof path, VECTORS "/%s.json", name);
    file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &status) < 0)
        fail_msg("%s cannot be read", path);
    *ret_size = (size_t)status.st_size;
    text = malloc(*ret_size > 0 ? *ret_size : 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, *ret_size, file), *ret_size);
    (void)fclose(file);
    return text;
}

static struct image_record *parse_vector(const char *name)
{
    struct image_record *record = NULL;
    struct error err;
    size_t size;
    char *text = read_vector(name, &size);

    assert_succeeds(image_record_parse(text, size, &record, &err));
    free(text);
    return record;
}

static struct image_record *parse_text(const char *text)
{
    struct image_record *record = NULL;
    struct error err;

    assert_succeeds(image_record_parse(text, strlen(text), &record, &err));
    return record;
}

/* A record with these further members ("\"a\":1"). */
static struct image_record *parse_members(const char *members)
{
    char text[4096];

    (void)snprintf(text, sizeof text, "{\"id\":\"" ID "\",\"status\":\"active\",%s}", members);
    return parse_text(text);
}

static void refuses_every_bad_vector_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(refusals); i++) {
        struct image_record *record = NULL;
        struct error err = ERROR_INIT;
        size_t size;
        char *text = read_vector(refusals[i].name, &size);

        if (image_record_parse(text, size, &record, &err) == 0)
            fail_msg("%s was accepted", refusals[i].name);
        if (err.kind != refusals[i].kind || strstr(err.message, refusals[i].message) == NULL)
            fail_msg("%s: %s: %s", refusals[i].name, error_kind_name(err.kind), err.message);
        assert_null(record);
        free(text);
    }
}

static bool is_refusal(const char *file_name)
{
    for (size_t i = 0; i < ELEMENTS_OF(refusals); i++) {
        size_t length = strlen(refusals[i].name);

        if (strncmp(file_name, refusals[i].name, length) == 0 &&
            strcmp(file_name + length, ".json") == 0)
            return true;
    }
    return false;
}

static void every_vector_is_judged(void **state)
{
    DIR *vectors = opendir(VECTORS);
    const struct dirent *entry;

    (void)state;
    assert_non_null(vectors);
    while ((entry = readdir(vectors)) != NULL)
        if (entry->d_name[0] != '.' && strncmp(entry->d_name, SOUND, strlen(SOUND)) != 0 &&
            !is_refusal(entry->d_name))
            fail_msg("%s is in no test", entry->d_name);
    (void)closedir(vectors);
}

static void reads_what_glance_answers(void **state)
{
    CLEANUP(image_record_unref) struct image_record *record = parse_vector(SOUND "glance_active");
    struct error err;
    char key_id[37];
    const char *format;
    uint64_t size;
    bool present;

    (void)state;
    assert_string_equal(image_record_id(record), ID);
    assert_string_equal(image_record_name(record), "debian-12-encrypted");
    assert_int_equal(image_record_status(record), IMAGE_STATUS_ACTIVE);
    assert_string_equal(image_record_owner(record), "b2a6cfbb1c2f4dd8a5a0f8d6c6a9e2d1");
    assert_true(image_record_size(record, &size));
    assert_int_equal(size, 3000000);
    assert_string_equal(image_record_checksum(record), "30f5123d6a06e121329f171e14bd1a73");
    assert_string_equal(image_record_hash_algo(record), "sha512");
    assert_int_equal(strlen(image_record_hash_value(record)), 128);
    assert_int_equal(image_record_updated_at(record), 1795426854);
    assert_int_equal(image_record_encryption(record, &format), IMAGE_ENCRYPTION_GPG);
    assert_string_equal(format, "GPG");
    assert_succeeds(image_record_encrypt_key_id(record, key_id, &err));
    assert_string_equal(key_id, "c2fb7546-e548-4e8b-9a3b-78ee2a3dd3d1");
    assert_succeeds(image_record_decrypt_size(record, &present, &size, &err));
    assert_true(present);
    assert_int_equal(size, 10485760);
}

static void a_minimal_record_has_nothing_else(void **state)
{
    CLEANUP(image_record_unref) struct image_record *record = parse_vector(SOUND "minimal");
    struct error err;
    uint64_t size = 77;
    bool present = true;

    (void)state;
    assert_null(image_record_name(record));
    assert_null(image_record_owner(record));
    assert_null(image_record_checksum(record));
    assert_null(image_record_hash_algo(record));
    assert_null(image_record_hash_value(record));
    assert_null(image_record_property(record, "os_encrypt_format"));
    assert_false(image_record_size(record, &size));
    assert_int_equal(size, 77);
    assert_int_equal(image_record_updated_at(record), 0);
    assert_int_equal(image_record_property_count(record), 2);
    assert_int_equal(image_record_encryption(record, NULL), IMAGE_ENCRYPTION_NONE);
    assert_succeeds(image_record_decrypt_size(record, &present, &size, &err));
    assert_false(present);
}

static void null_means_absent(void **state)
{
    CLEANUP(image_record_unref) struct image_record *record = parse_vector(SOUND "nulls");
    uint64_t size;

    (void)state;
    assert_int_equal(image_record_property_count(record), 2);
    assert_null(image_record_name(record));
    assert_false(image_record_size(record, &size));
}

static void lists_scalar_properties_in_order_as_text(void **state)
{
    static const struct image_property expected[] = {
        {"id", ID},        {"status", "queued"}, {"count", "12"},
        {"ratio", "1.50"}, {"flag", "true"},     {"os_decrypt_size", "1048576"},
    };
    CLEANUP(image_record_unref)
    struct image_record *record = parse_vector(SOUND "additional_numbers_and_lists");

    (void)state;
    assert_int_equal(image_record_property_count(record), ELEMENTS_OF(expected));
    for (size_t i = 0; i < ELEMENTS_OF(expected); i++) {
        struct image_property property = image_record_property_at(record, i);

        assert_string_equal(property.name, expected[i].name);
        assert_string_equal(property.value, expected[i].value);
        assert_string_equal(image_record_property(record, expected[i].name), expected[i].value);
    }
    assert_null(image_record_property(record, "list"));
    assert_null(image_record_property(record, "object"));
    assert_null(image_record_property(record, "nothing"));
}

static void base_numbers_are_properties_too(void **state)
{
    CLEANUP(image_record_unref) struct image_record *record = parse_vector(SOUND "glance_active");

    (void)state;
    assert_string_equal(image_record_property(record, "size"), "3000000");
    assert_string_equal(image_record_property(record, "min_disk"), "1");
    assert_string_equal(image_record_property(record, "protected"), "false");
    assert_string_equal(image_record_property(record, "self"), "/v2/images/" ID);
    assert_null(image_record_property(record, "tags"));
}

static void takes_what_strict_json_allows(void **state)
{
    static const char *const names[] = {SOUND "white_space_behind", SOUND "unicode_name",
                                        SOUND "nested_within_limit"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        image_record_unref(parse_vector(names[i]));
}

static void refuses_more_text_than_the_limit(void **state)
{
    const size_t size = LIMIT_RECORD_BYTES + 1;
    struct image_record *record = NULL;
    char *text = malloc(size);
    struct error err;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', size);
    memcpy(text, "{\"id\":\"" ID "\",\"status\":\"active\"}", strlen(ID) + 27);
    assert_fails(ERROR_TOO_LARGE, image_record_parse(text, size, &record, &err));
    assert_succeeds(image_record_parse(text, size - 1, &record, &err));
    image_record_unref(record);
    free(text);
}

static void names_every_status_as_glance_does(void **state)
{
    static const char *const names[] = {"queued",    "saving",         "uploading",
                                        "importing", "active",         "killed",
                                        "deleted",   "pending_delete", "deactivated"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        char text[256];
        struct image_record *record;

        (void)snprintf(text, sizeof text, "{\"id\":\"" ID "\",\"status\":\"%s\"}", names[i]);
        record = parse_text(text);
        assert_int_equal(image_record_status(record), i);
        assert_string_equal(image_status_name(image_record_status(record)), names[i]);
        image_record_unref(record);
    }
}

static void assert_updated_at(const char *members, int64_t expected)
{
    CLEANUP(image_record_unref) struct image_record *record = parse_members(members);

    assert_int_equal(image_record_updated_at(record), expected);
}

static void dates_fall_back_to_created_at(void **state)
{
    (void)state;
    assert_updated_at("\"updated_at\":\"1970-01-01T00:01:00Z\"", 60);
    assert_updated_at("\"updated_at\":\"1970-01-01T00:01:00.5\",\"created_at\":\"1970-01-01T00:00:"
                      "01Z\"",
                      60);
    assert_updated_at("\"created_at\":\"1970-01-01T00:00:09Z\"", 9);
    assert_updated_at("\"updated_at\":\"yesterday\",\"created_at\":\"1970-01-01T00:00:09Z\"", 9);
    assert_updated_at("\"updated_at\":\"yesterday\"", 0);
}

static void accepts_the_largest_size(void **state)
{
    CLEANUP(image_record_unref)
    struct image_record *record = parse_members("\"size\":9223372036854775806");
    CLEANUP(image_record_unref) struct image_record *empty = parse_members("\"size\":0");
    uint64_t size;

    (void)state;
    assert_true(image_record_size(record, &size));
    assert_int_equal(size, INT64_MAX - 1);
    assert_true(image_record_size(empty, &size));
    assert_int_equal(size, 0);
}

static void *take_and_give_back(void *context)
{
    for (size_t i = 0; i < 10000; i++)
        image_record_unref(image_record_ref(context));
    return NULL;
}

static void references_are_counted_across_threads(void **state)
{
    struct image_record *record = parse_vector(SOUND "minimal");
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give_back, record), 0);
    for (size_t i = 0; i < ELEMENTS_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_string_equal(image_record_id(record), ID);
    image_record_unref(record);
    image_record_unref(NULL);
}

/* A record cut anywhere is refused, never read past its end. */
static void refuses_every_prefix(void **state)
{
    size_t size;
    char *text = read_vector(SOUND "glance_active", &size);

    (void)state;
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '}'))
        size--;
    for (size_t length = 0; length <= size; length++) {
        char *exact = malloc(length > 0 ? length : 1);
        struct image_record *record = NULL;
        struct error err;

        assert_non_null(exact);
        memcpy(exact, text, length);
        assert_fails(ERROR_INVALID, image_record_parse(exact, length, &record, &err));
        free(exact);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_every_bad_vector_by_name),
        cmocka_unit_test(every_vector_is_judged),
        cmocka_unit_test(reads_what_glance_answers),
        cmocka_unit_test(a_minimal_record_has_nothing_else),
        cmocka_unit_test(null_means_absent),
        cmocka_unit_test(lists_scalar_properties_in_order_as_text),
        cmocka_unit_test(base_numbers_are_properties_too),
        cmocka_unit_test(takes_what_strict_json_allows),
        cmocka_unit_test(refuses_more_text_than_the_limit),
        cmocka_unit_test(names_every_status_as_glance_does),
        cmocka_unit_test(dates_fall_back_to_created_at),
        cmocka_unit_test(accepts_the_largest_size),
        cmocka_unit_test(references_are_counted_across_threads),
        cmocka_unit_test(refuses_every_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
