/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/upload_journal.h"

#include "glancefs/limits.h"
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define CLOUD "local:/srv/cloud"
#define PROJECT "5f0c3a7e9d1b4c6f8a2e4d6c8b0a1f3e"

/* Any digests. */
#define SHA512                                                                                     \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"                             \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MD5 "fedcba9876543210fedcba9876543210"

static struct upload_journal *new_journal(void)
{
    struct upload_journal *journal = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(upload_journal_new(IMAGE_ID, CLOUD, PROJECT, &journal, &err));
    journal->stored_bytes = 300017;
    journal->plaintext_bytes = 299917;
    journal->sealed_at = 1795430400;
    memcpy(journal->sha512, SHA512, sizeof journal->sha512);
    memcpy(journal->md5, MD5, sizeof journal->md5);
    assert_succeeds(upload_journal_set_property(journal, "os_decrypt_size", "299917", &err));
    assert_succeeds(upload_journal_set_property(journal, "os_encrypt_format", "GPG", &err));
    return journal;
}

static char *read_vector(const char *name, size_t *ret_size)
{
    CLEANUP(memory_free) char *path = NULL;
    CLEANUP(file_close) FILE *file = NULL;
    char *text = malloc(LIMIT_RECORD_BYTES);

    assert_non_null(text);
    assert_true(asprintf(&path, "%s/upload_journals/%s.json", TEST_VECTORS, name) > 0);
    file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("no vector %s", path);
    *ret_size = fread(text, 1, LIMIT_RECORD_BYTES - 1, file);
    text[*ret_size] = '\0';
    return text;
}

static struct upload_journal *parse_vector(const char *name)
{
    size_t size = 0;
    CLEANUP(memory_free) char *text = read_vector(name, &size);
    struct upload_journal *journal = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(upload_journal_parse(IMAGE_ID, text, size, &journal, &err));
    return journal;
}

/* --- the format --- */

static void prints_the_format_of_version_2(void **state)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = new_journal();
    size_t expected_size = 0;
    CLEANUP(memory_free) char *expected = read_vector("good-sealed-2", &expected_size);
    CLEANUP(memory_free) char *text = NULL;
    struct error err = ERROR_INIT;
    size_t size = 0;

    (void)state;
    assert_succeeds(upload_journal_print(journal, &text, &size, &err));
    assert_string_equal(text, expected);
    assert_int_equal(size, expected_size);
}

static void reads_what_it_printed(void **state)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = parse_vector("good-failed");

    (void)state;
    assert_string_equal(journal->image_id, IMAGE_ID);
    assert_string_equal(journal->cloud, CLOUD);
    assert_string_equal(journal->project_id, PROJECT);
    assert_int_equal(journal->stored_bytes, 300017);
    assert_int_equal(journal->plaintext_bytes, 299917);
    assert_string_equal(journal->sha512, SHA512);
    assert_string_equal(journal->md5, MD5);
    assert_int_equal(journal->sealed_at, 1795430400);
    assert_int_equal(journal->attempts, 3);
    assert_true(journal->failed);
    assert_int_equal(journal->last_error.kind, ERROR_TOO_LARGE);
    assert_int_equal(journal->last_error.errnum, error_kind_errno(ERROR_TOO_LARGE));
    assert_string_equal(journal->last_error.message, "image " IMAGE_ID ": quota exceeded");
    assert_int_equal(journal->property_count, 2);
    assert_string_equal(journal->properties[0].name, "os_decrypt_size");
    assert_string_equal(journal->properties[0].value, "299917");
    assert_string_equal(journal->properties[1].value, "GPG");
}

static void reads_since_when_an_image_is_being_saved(void **state)
{
    CLEANUP(upload_journal_free) struct upload_journal *now = parse_vector("good-saving-2");
    CLEANUP(upload_journal_free) struct upload_journal *older = parse_vector("good-sealed");

    (void)state;
    assert_int_equal(now->saving_since, 1795430500);
    assert_int_equal(older->saving_since, 0);
}

static void a_single_tenant_and_no_property_are_fine(void **state)
{
    CLEANUP(upload_journal_free)
    struct upload_journal *journal = parse_vector("good-no-properties");

    (void)state;
    assert_string_equal(journal->project_id, "");
    assert_int_equal(journal->property_count, 0);
    assert_false(journal->failed);
    assert_int_equal(journal->last_error.kind, ERROR_NONE);
}

static void any_text_survives(void **state)
{
    static const char *const texts[] = {
        "",         "\"\\/", "line\nfeed\ttab\x7f", "\x01", "Gr\xc3\xbc\xc3\x9f \xf0\x9f\x94\x92",
        "</script>"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        CLEANUP(upload_journal_free) struct upload_journal *journal = new_journal();
        CLEANUP(upload_journal_free) struct upload_journal *copy = NULL;
        CLEANUP(memory_free) char *text = NULL;
        struct error err = ERROR_INIT;
        size_t size = 0;

        assert_succeeds(upload_journal_set_property(journal, "note", texts[i], &err));
        assert_succeeds(upload_journal_print(journal, &text, &size, &err));
        assert_succeeds(upload_journal_parse(IMAGE_ID, text, size, &copy, &err));
        assert_string_equal(copy->properties[2].value, texts[i]);
    }
}

/* --- what is refused --- */

static void refuses_each_bad_vector(void **state)
{
    static const char *const names[] = {
        "empty",
        "not-json",
        "array",
        "null",
        "cut-off",
        "no-line-feed",
        "trailing-byte",
        "second-object",
        "white-space",
        "comment",
        "nul-byte",
        "nul-in-a-string",
        "not-utf8",
        "member-twice",
        "unknown-member",
        "other-order",
        "no-md5",
        "no-version",
        "version-0",
        "version-text",
        "no-image-id",
        "another-image",
        "number-as-text",
        "fraction",
        "negative-size",
        "size-too-large",
        "size-over-int64",
        "leading-zero",
        "hash-too-short",
        "hash-too-long",
        "hash-upper-case",
        "hash-not-hex",
        "unknown-state",
        "failed-without-reason",
        "unknown-error-kind",
        "error-without-kind",
        "error-too-long",
        "attempts-too-many",
        "properties-list",
        "property-number",
        "property-null",
        "property-without-name",
        "property-name-too-long",
        "too-many-properties",
        "too-deep",
        "no-saving-since-2",
        "saving-since-in-1",
        "saving-since-negative-2",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        size_t size = 0;
        CLEANUP(memory_free) char *text = read_vector(names[i], &size);
        struct upload_journal *journal = NULL;
        struct error err = ERROR_INIT;

        if (upload_journal_parse(IMAGE_ID, text, size, &journal, &err) == 0)
            fail_msg("%s was read", names[i]);
        if (err.kind != ERROR_CORRUPT || strstr(err.message, "damaged") == NULL)
            fail_msg("%s: %s", names[i], err.message);
        assert_null(journal);
    }
}

static void names_a_newer_version(void **state)
{
    static const char *const names[] = {"newer-version", "newer-version-other-members"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        size_t size = 0;
        CLEANUP(memory_free) char *text = read_vector(names[i], &size);
        struct upload_journal *journal = NULL;
        struct error err = ERROR_INIT;

        assert_fails(ERROR_UNSUPPORTED, upload_journal_parse(IMAGE_ID, text, size, &journal, &err));
        assert_message_has("version");
    }
}

/* Every byte matters: changed anywhere, a journal is damaged or says something else, and what it
 * says then is what it would print. */
static void a_changed_byte_is_never_overlooked(void **state)
{
    size_t size = 0;
    CLEANUP(memory_free) char *text = read_vector("good-sealed-2", &size);

    (void)state;
    for (size_t i = 0; i < size; i++) {
        CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
        CLEANUP(memory_free) char *printed = NULL;
        struct error err = ERROR_INIT;
        size_t printed_size = 0;

        text[i] ^= 1;
        if (upload_journal_parse(IMAGE_ID, text, size, &journal, &err) == 0) {
            assert_succeeds(upload_journal_print(journal, &printed, &printed_size, &err));
            assert_string_equal(printed, text);
        }
        text[i] ^= 1;
    }
}

static void every_cut_is_refused(void **state)
{
    size_t size = 0;
    CLEANUP(memory_free) char *text = read_vector("good-sealed-2", &size);

    (void)state;
    for (size_t cut = 0; cut < size; cut++) {
        struct upload_journal *journal = NULL;
        struct error err = ERROR_INIT;

        assert_fails(ERROR_CORRUPT, upload_journal_parse(IMAGE_ID, text, cut, &journal, &err));
    }
}

static void does_not_print_what_it_could_not_read(void **state)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = new_journal();
    struct error err = ERROR_INIT;
    char *text = NULL;
    size_t size;

    (void)state;
    assert_succeeds(upload_journal_set_property(journal, "name", "\xff", &err));
    assert_fails(ERROR_INVALID, upload_journal_print(journal, &text, &size, &err));
    assert_null(text);
}

/* --- properties and errors --- */

static void the_last_value_of_a_property_counts(void **state)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = new_journal();
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(upload_journal_set_property(journal, "os_decrypt_size", "1", &err));
    assert_int_equal(journal->property_count, 2);
    assert_string_equal(journal->properties[0].value, "1");
}

static void caps_on_properties_hold(void **state)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = new_journal();
    CLEANUP(memory_free) char *huge = calloc(1, LIMIT_RECORD_BYTES + 2);
    char name[LIMIT_PROPERTY_NAME_BYTES + 2];
    struct error err = ERROR_INIT;
    char *text = NULL;
    size_t size;

    (void)state;
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_fails(ERROR_TOO_LARGE, upload_journal_set_property(journal, name, "", &err));
    assert_fails(ERROR_TOO_LARGE, upload_journal_set_property(journal, "", "", &err));
    name[sizeof name - 2] = '\0';
    assert_succeeds(upload_journal_set_property(journal, name, "", &err));
    assert_non_null(huge);
    memset(huge, 'v', LIMIT_RECORD_BYTES + 1);
    assert_fails(ERROR_TOO_LARGE, upload_journal_set_property(journal, "v", huge, &err));
    huge[LIMIT_RECORD_BYTES] = '\0';
    assert_succeeds(upload_journal_set_property(journal, "v", huge, &err));
    assert_fails(ERROR_TOO_LARGE, upload_journal_print(journal, &text, &size, &err));
}

static void there_are_at_most_1024_properties(void **state)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = new_journal();
    struct error err = ERROR_INIT;
    char name[16];

    (void)state;
    for (int i = 2; i < LIMIT_IMAGE_PROPERTIES; i++) {
        (void)snprintf(name, sizeof name, "p%d", i);
        assert_succeeds(upload_journal_set_property(journal, name, "", &err));
    }
    assert_fails(ERROR_TOO_LARGE, upload_journal_set_property(journal, "more", "", &err));
    assert_succeeds(upload_journal_set_property(journal, "p2", "again", &err));
}

static void an_error_is_kept_as_printable_ascii(void **state)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = new_journal();
    CLEANUP(upload_journal_free) struct upload_journal *copy = NULL;
    CLEANUP(memory_free) char *text = NULL;
    struct error reason = ERROR_INIT;
    struct error err = ERROR_INIT;
    size_t size = 0;

    (void)state;
    (void)error_set(&reason, ERROR_DENIED, "a\nb\xc3(\x1b[31m");
    upload_journal_set_error(journal, &reason, true);
    assert_succeeds(upload_journal_print(journal, &text, &size, &err));
    assert_succeeds(upload_journal_parse(IMAGE_ID, text, size, &copy, &err));
    assert_true(copy->failed);
    assert_int_equal(copy->last_error.kind, ERROR_DENIED);
    assert_string_equal(copy->last_error.message, "a?b?(?[31m");
}

static void every_kind_of_error_survives(void **state)
{
    (void)state;
    for (int kind = ERROR_NOT_FOUND; kind <= ERROR_SYSTEM; kind++) {
        CLEANUP(upload_journal_free) struct upload_journal *journal = new_journal();
        CLEANUP(upload_journal_free) struct upload_journal *copy = NULL;
        CLEANUP(memory_free) char *text = NULL;
        struct error reason = ERROR_INIT;
        struct error err = ERROR_INIT;
        size_t size = 0;

        (void)error_set(&reason, (enum error_kind)kind, "why");
        upload_journal_set_error(journal, &reason, false);
        assert_succeeds(upload_journal_print(journal, &text, &size, &err));
        assert_succeeds(upload_journal_parse(IMAGE_ID, text, size, &copy, &err));
        assert_int_equal(copy->last_error.kind, kind);
        assert_false(copy->failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_the_format_of_version_2),
        cmocka_unit_test(reads_what_it_printed),
        cmocka_unit_test(reads_since_when_an_image_is_being_saved),
        cmocka_unit_test(a_single_tenant_and_no_property_are_fine),
        cmocka_unit_test(any_text_survives),
        cmocka_unit_test(refuses_each_bad_vector),
        cmocka_unit_test(names_a_newer_version),
        cmocka_unit_test(a_changed_byte_is_never_overlooked),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(does_not_print_what_it_could_not_read),
        cmocka_unit_test(the_last_value_of_a_property_counts),
        cmocka_unit_test(caps_on_properties_hold),
        cmocka_unit_test(there_are_at_most_1024_properties),
        cmocka_unit_test(an_error_is_kept_as_printable_ascii),
        cmocka_unit_test(every_kind_of_error_survives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
