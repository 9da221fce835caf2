/* SPDX-License-Identifier: Apache-2.0 */
#include "services/json_document.h"

#include "support/testing.h"

/* tests/vectors/image_records and test_image_record.c hold the documents that are refused. */

static struct json_object *parse(const char *text)
{
    struct json_object *document = NULL;
    struct error err;

    assert_succeeds(json_document_parse(text, strlen(text), &document, &err));
    return document;
}

static void text_members_are_borrowed_or_absent(void **state)
{
    CLEANUP(json_object_put)
    struct json_object *document = parse("{\"a\":\"x\",\"b\":null,\"c\":7,\"d\":[]}");
    struct error err;
    const char *text = "";

    (void)state;
    assert_succeeds(json_document_text(document, "a", &text, &err));
    assert_string_equal(text, "x");
    assert_succeeds(json_document_text(document, "b", &text, &err));
    assert_null(text);
    assert_succeeds(json_document_text(document, "absent", &text, &err));
    assert_null(text);
    assert_fails(ERROR_INVALID, json_document_text(document, "c", &text, &err));
    assert_message_has("c is not a string");
    assert_fails(ERROR_INVALID, json_document_text(document, "d", &text, &err));
}

static void what_is_no_text_member_is_not_found(void **state)
{
    CLEANUP(json_object_put)
    struct json_object *document = parse("{\"a\":\"x\",\"b\":null,\"c\":7,\"d\":[]}");
    static const char *const names[] = {"b", "c", "d", "absent"};

    (void)state;
    assert_string_equal(json_document_find_text(document, "a"), "x");
    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        assert_null(json_document_find_text(document, names[i]));
    assert_null(json_document_find_text(json_object_object_get(document, "d"), "a"));
    assert_null(json_document_find_text(NULL, "a"));
}

static void larger_documents_have_a_limit_of_their_own(void **state)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;
    struct error err;

    (void)state;
    assert_fails(ERROR_TOO_LARGE, json_document_parse_within("{ }", 3, 2, &document, &err));
    assert_succeeds(json_document_parse_within("{ }", 3, 3, &document, &err));
}

static void what_is_set_is_printed_and_parsed_again(void **state)
{
    CLEANUP(json_object_put) struct json_object *document = parse("{\"old\":true}");
    struct error err;
    size_t size;

    (void)state;
    assert_succeeds(json_document_set_text(document, "text", "a/\"b\"", &err));
    assert_succeeds(json_document_set_text(document, "nothing", NULL, &err));
    assert_succeeds(json_document_set_number(document, "number", UINT64_MAX, &err));
    assert_succeeds(json_document_set_text(document, "old", "new", &err));
    assert_string_equal(json_document_print(document, &size),
                        "{\"old\":\"new\",\"text\":\"a/\\\"b\\\"\",\"nothing\":null,\"number\":"
                        "18446744073709551615}");
    assert_int_equal(size, strlen(json_document_print(document, NULL)));
}

static void one_name_at_two_levels_is_no_duplicate(void **state)
{
    (void)state;
    (void)json_object_put(parse("{\"a\":{\"a\":1,\"b\":{\"a\":2}},\"b\":[{\"a\":1},{\"a\":1}]}"));
}

static void escapes_do_not_confuse_the_count_of_members(void **state)
{
    (void)state;
    (void)json_object_put(parse("{\"a\\\":\\\"\":\"\\\\\",\"b\":\"\\u0041:{\\\"\"}"));
    (void)json_object_put(parse("{}"));
}

/* The walk over the members sees a slash before u0000, not an escape. */
static void an_escaped_backslash_is_no_escaped_nul(void **state)
{
    CLEANUP(json_object_put) struct json_object *document = parse("{\"a\":\"\\\\u0000\"}");
    struct error err;
    const char *text;

    (void)state;
    assert_succeeds(json_document_text(document, "a", &text, &err));
    assert_string_equal(text, "\\u0000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_members_are_borrowed_or_absent),
        cmocka_unit_test(what_is_no_text_member_is_not_found),
        cmocka_unit_test(larger_documents_have_a_limit_of_their_own),
        cmocka_unit_test(what_is_set_is_printed_and_parsed_again),
        cmocka_unit_test(one_name_at_two_levels_is_no_duplicate),
        cmocka_unit_test(escapes_do_not_confuse_the_count_of_members),
        cmocka_unit_test(an_escaped_backslash_is_no_escaped_nul),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
