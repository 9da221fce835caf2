/* SPDX-License-Identifier: Apache-2.0 */
#include "view/write_target.h"

#include "glancefs/byte_source.h"
#include "support/test_codecs.h"
#include "support/testing.h"

#include <stdio.h>

#define ID "11111111-2222-4333-8444-555555555555"
#define KEY_ID "abcdefab-0000-4000-8000-000000000001"
#define FORMAT "\"os_encrypt_format\": \"GPG\""
#define KEY "\"os_encrypt_key_id\": \"" KEY_ID "\""
#define OURS "\"owner\": \"us\""

/* `owner` and `more` are members of the record. */
static int judge(const char *status, const char *owner, const char *more,
                 const char *foreign_owners, struct write_target *ret, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    const struct identity identity = {.project_id = "us"};
    char json[512];
    const int length = snprintf(
        json, sizeof json, "{\"id\": \"" ID "\", \"status\": \"%s\", %s, %s}", status, owner, more);

    if (image_record_parse(json, (size_t)length, &record, err) < 0)
        fail_msg("%s: %s", json, err->message);
    return write_target_judge(record, &identity, foreign_owners, test_codecs(), ret, err);
}

static void takes_a_queued_image_of_ours_with_a_key(void **state)
{
    struct write_target target;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(judge("queued", OURS, KEY ", " FORMAT, NULL, &target, &err));
    assert_string_equal(target.key_id, KEY_ID);
    assert_string_equal(target.codec->format, "GPG");
    assert_true(target.declared_size == BYTE_SOURCE_SIZE_UNKNOWN);
    assert_false(target.names_container_format);
}

static void takes_over_what_the_record_declares(void **state)
{
    struct write_target target;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(judge("queued", OURS,
                          KEY ", " FORMAT ", \"os_decrypt_size\": \"4096\", "
                              "\"os_decrypt_container_format\": \"bare\"",
                          NULL, &target, &err));
    assert_int_equal(target.declared_size, 4096);
    assert_true(target.names_container_format);
}

static void takes_a_foreign_image_only_when_configured(void **state)
{
    static const char theirs[] = "\"owner\": \"them\"";
    struct write_target target;
    struct error err = ERROR_INIT;

    (void)state;
    assert_fails(ERROR_DENIED, judge("queued", theirs, KEY ", " FORMAT, NULL, &target, &err));
    assert_succeeds(judge("queued", theirs, KEY ", " FORMAT, "them", &target, &err));
}

static void refuses_what_cannot_be_written(void **state)
{
    static const struct {
        const char *status;
        const char *more;
        enum error_kind kind;
    } records[] = {
        {"active", KEY ", " FORMAT, ERROR_EXISTS},
        {"deactivated", KEY ", " FORMAT, ERROR_EXISTS},
        {"saving", KEY ", " FORMAT, ERROR_BUSY},
        {"uploading", KEY ", " FORMAT, ERROR_BUSY},
        {"importing", KEY ", " FORMAT, ERROR_BUSY},
        {"killed", KEY ", " FORMAT, ERROR_NOT_FOUND},
        {"deleted", KEY ", " FORMAT, ERROR_NOT_FOUND},
        {"pending_delete", KEY ", " FORMAT, ERROR_NOT_FOUND},
        {"queued", FORMAT, ERROR_NO_KEY},
        {"queued", "\"name\": \"plain\"", ERROR_NO_KEY},
        {"queued", "\"os_encrypt_key_id\": \"x\", " FORMAT, ERROR_NO_KEY},
        {"queued", KEY, ERROR_UNSUPPORTED},
        {"queued", KEY ", \"os_encrypt_format\": \"LUKS\"", ERROR_UNSUPPORTED},
        {"queued", KEY ", " FORMAT ", \"os_decrypt_size\": \"-1\"", ERROR_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(records); i++) {
        struct write_target target;
        struct error err = ERROR_INIT;

        assert_fails(records[i].kind,
                     judge(records[i].status, OURS, records[i].more, NULL, &target, &err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_queued_image_of_ours_with_a_key),
        cmocka_unit_test(takes_over_what_the_record_declares),
        cmocka_unit_test(takes_a_foreign_image_only_when_configured),
        cmocka_unit_test(refuses_what_cannot_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
