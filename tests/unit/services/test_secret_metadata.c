/* SPDX-License-Identifier: Apache-2.0 */
#include "services/secret_metadata.h"

#include "support/testing.h"

#include <stdio.h>

#define ID "c2fb7546-e548-4e8b-9a3b-78ee2a3dd3d1"

static int read_text(const char *text, struct secret_metadata *ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;

    assert_int_equal(json_document_parse(text, strlen(text), &document, err), 0);
    return secret_metadata_from_json(document, ID, ret, err);
}

static void what_is_left_out_has_barbicans_defaults(void **state)
{
    struct secret_metadata metadata = {0};
    struct error err;

    (void)state;
    assert_succeeds(read_text("{}", &metadata, &err));
    assert_string_equal(metadata.secret_type, "opaque");
    assert_string_equal(metadata.name, "");
}

static void a_long_name_is_cut_between_characters(void **state)
{
    struct secret_metadata metadata = {0};
    char name[1 + 2 * 200 + 1] = "x";
    char text[sizeof name + 16];
    struct error err;

    (void)state;
    for (size_t i = 1; i + 2 < sizeof name; i += 2)
        memcpy(name + i, "\xc3\xa4", 2);
    (void)snprintf(text, sizeof text, "{\"name\":\"%s\"}", name);
    assert_succeeds(read_text(text, &metadata, &err));
    assert_int_equal(strlen(metadata.name), 255);
    assert_string_equal(metadata.name + 253, "\xc3\xa4");
}

static void a_secret_that_cannot_be_used_says_why(void **state)
{
    static const struct {
        const char *text;
        enum error_kind kind;
        const char *reason;
    } secrets[] = {
        {"{\"status\":\"PENDING\"}", ERROR_KEY_REJECTED, "PENDING"},
        {"{\"status\":\"ERROR\"}", ERROR_KEY_REJECTED, "ERROR"},
        {"{\"status\":7}", ERROR_KEY_REJECTED, "status"},
        {"{\"expiration\":\"2020-01-01T00:00:00\"}", ERROR_NO_KEY, "expired"},
        {"{\"expiration\":\"soon\"}", ERROR_KEY_REJECTED, "date"},
        {"{\"expiration\":1}", ERROR_KEY_REJECTED, "expiration"},
        {"{\"secret_type\":1}", ERROR_KEY_REJECTED, "secret_type"},
        {"{\"name\":{}}", ERROR_KEY_REJECTED, "name"},
        {"{\"secret_type\":\"a type that is longer than any of Barbican's\"}", ERROR_KEY_REJECTED,
         "longer"},
    };
    struct secret_metadata metadata;
    struct error err;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(secrets); i++) {
        assert_fails(secrets[i].kind, read_text(secrets[i].text, &metadata, &err));
        assert_message_has(secrets[i].reason);
        assert_message_has(ID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_barbicans_defaults),
        cmocka_unit_test(a_long_name_is_cut_between_characters),
        cmocka_unit_test(a_secret_that_cannot_be_used_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
