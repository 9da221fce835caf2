/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/glance_upload.h"

#include "service_bed.h"
#include "support/crypto_arena.h"
#include "support/memory_source.h"
#include "support/testing.h"

#define BYTES "ciphertext"

/* --- create --- */

static const struct image_property properties[] = {
    {"name", "a \"disk\""}, {"os_decrypt_size", "1048576"}, {"id", IMAGE_ID}};

static void a_new_image_has_its_properties_as_strings(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;

    SCRIPT(bed, ANSWER("201 Created", RECORD(IMAGE_ID, "queued", "")));
    assert_succeeds(image_service_create(bed->images, properties, ELEMENTS_OF(properties), NULL,
                                         &record, &err));
    assert_string_equal(image_record_id(record), IMAGE_ID);
    assert_asked(bed, 0, "POST /v2/images HTTP");
    assert_asked_with(bed, 0, "Content-Type: application/json\r\n");
    assert_asked_with(bed, 0, "\"name\":\"a \\\"disk\\\"\"");
    assert_asked_with(bed, 0, "\"os_decrypt_size\":\"1048576\"");
    assert_asked_with(bed, 0, "\"id\":\"" IMAGE_ID "\"");
}

static void what_glance_says_of_a_bad_property_is_passed_on(void **state)
{
    struct service_bed *bed = *state;
    struct image_record *record = NULL;
    struct error err;

    SCRIPT(bed,
           ANSWER("400 Bad Request", "{\"message\": \"'encrypted' is not one of [None, "
                                     "'ami']\", \"code\": \"400 Bad Request\"}"),
           REFUSAL("409 Conflict"));
    assert_fails(ERROR_INVALID, image_service_create(bed->images, properties,
                                                     ELEMENTS_OF(properties), NULL, &record, &err));
    assert_message_has("'encrypted' is not one of");
    assert_fails(ERROR_EXISTS, image_service_create(bed->images, properties,
                                                    ELEMENTS_OF(properties), NULL, &record, &err));
    assert_null(record);
}

/* The answer to the POST is lost; the test finds the id that was chosen and answers for it. */
static void a_lost_answer_makes_no_second_image(void **state)
{
    struct service_bed *bed = *state;
    struct image_record *record = NULL;
    struct error err;

    SCRIPT(bed, "", REFUSAL("404 Not Found"));
    assert_fails(ERROR_UNAVAILABLE,
                 image_service_create(bed->images, properties, 2, NULL, &record, &err));
    assert_asked(bed, 0, "POST /v2/images HTTP");
    assert_asked(bed, 1, "GET /v2/images/");
    assert_asked_with(bed, 0, "\"id\":\"");
    assert_request_count(bed, 2);
    assert_null(record);
}

static void a_chosen_id_is_not_taken_for_ours_after_a_lost_answer(void **state)
{
    struct service_bed *bed = *state;
    struct image_record *record = NULL;
    struct error err;

    SCRIPT(bed, "");
    assert_fails(ERROR_UNAVAILABLE,
                 image_service_create(bed->images, properties, ELEMENTS_OF(properties), NULL,
                                      &record, &err));
    assert_request_count(bed, 1);
}

/* --- update --- */

static void properties_are_patched(void **state)
{
    const struct image_property changes[] = {{"os_decrypt_size", "5"}, {"a/b~c", "\"x\""}};
    struct service_bed *bed = *state;
    struct error err;

    SCRIPT(bed, ANSWER("200 OK", RECORD(IMAGE_ID, "queued", "")));
    assert_succeeds(image_service_update(bed->images, IMAGE_ID, changes, 2, NULL, &err));
    assert_asked(bed, 0, "PATCH /v2/images/" IMAGE_ID " HTTP");
    assert_asked_with(bed, 0, "Content-Type: application/openstack-images-v2.1-json-patch\r\n");
    assert_asked_with(bed, 0,
                      "[{\"op\":\"add\",\"path\":\"/os_decrypt_size\",\"value\":\"5\"},{\"op\":"
                      "\"add\",\"path\":\"/a~1b~0c\",\"value\":\"\\\"x\\\"\"}]");
}

static void a_change_during_an_upload_is_lost(void **state)
{
    const struct image_property change = {"a", "b"};
    struct service_bed *bed = *state;
    struct error err;

    SCRIPT(bed, ANSWER("200 OK", RECORD(IMAGE_ID, "saving", "")), REFUSAL("403 Forbidden"));
    assert_fails(ERROR_BUSY, image_service_update(bed->images, IMAGE_ID, &change, 1, NULL, &err));
    assert_fails(ERROR_DENIED, image_service_update(bed->images, IMAGE_ID, &change, 1, NULL, &err));
}

/* A login page says nothing about the change; the image's record will. */
static void a_page_that_is_no_record_is_no_refusal(void **state)
{
    const struct image_property change = {"a", "b"};
    struct service_bed *bed = *state;
    struct error err;

    SCRIPT(bed, ANSWER("200 OK", "<html>Please log in</html>"),
           ANSWER("200 OK", RECORD(OTHER_ID, "queued", "")));
    for (size_t i = 0; i < 2; i++)
        assert_fails(ERROR_UNAVAILABLE,
                     image_service_update(bed->images, IMAGE_ID, &change, 1, NULL, &err));
}

/* --- upload --- */

static int upload(struct service_bed *bed, struct error *err)
{
    CLEANUP(byte_source_free)
    struct byte_source *data = memory_source_new(BYTES, strlen(BYTES), NULL);

    return image_service_upload(bed->images, IMAGE_ID, data, NULL, err);
}

static void data_go_as_octets_of_known_size(void **state)
{
    struct service_bed *bed = *state;
    struct error err;

    SCRIPT(bed, NO_CONTENT);
    assert_succeeds(upload(bed, &err));
    assert_asked(bed, 0, "PUT /v2/images/" IMAGE_ID "/file HTTP");
    assert_asked_with(bed, 0, "Content-Type: application/octet-stream\r\n");
    assert_asked_with(bed, 0, "Content-Length: 10\r\n");
    assert_asked_with(bed, 0, "x-openstack-image-size: 10\r\n");
    assert_asked_with(bed, 0, "\r\n\r\n" BYTES);
}

static void refused_data_are_refused_by_kind(void **state)
{
    static const struct {
        const char *answer;
        enum error_kind kind;
        const char *text;
    } refusals[] = {
        {ANSWER("400 Bad Request",
                "{\"code\": 400, \"message\": \"Signature verification failed\"}"),
         ERROR_INVALID, "Signature verification"},
        {REFUSAL("404 Not Found"), ERROR_NOT_FOUND, IMAGE_ID},
        {REFUSAL("410 Gone"), ERROR_NOT_FOUND, "deleted"},
        {ANSWER("413 Too Large", "{\"code\": 413, \"message\": \"quota\"}"), ERROR_TOO_LARGE,
         "quota"},
        {REFUSAL("415 Unsupported"), ERROR_INVALID, "container_format"},
        {ANSWER("500 Oops", "{}"), ERROR_UNAVAILABLE, IMAGE_ID},
        {ANSWER("503 Away", "{}"), ERROR_UNAVAILABLE, IMAGE_ID},
        {"", ERROR_UNAVAILABLE, "Glance"},
    };
    struct service_bed *bed = *state;
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(refusals); i++) {
        SCRIPT(bed, refusals[i].answer);
        assert_fails(refusals[i].kind, upload(bed, &err));
        assert_message_has(refusals[i].text);
    }
    assert_request_count(bed, ELEMENTS_OF(refusals));
}

static void what_is_not_http_is_no_refusal(void **state)
{
    const struct image_property change = {"a", "b"};
    struct service_bed *bed = *state;
    struct error err;

    SCRIPT(bed, "\x15\x03\x01\r\n\r\n", "\x15\x03\x01\r\n\r\n");
    assert_fails(ERROR_UNAVAILABLE, upload(bed, &err));
    assert_fails(ERROR_UNAVAILABLE,
                 image_service_update(bed->images, IMAGE_ID, &change, 1, NULL, &err));
    assert_request_count(bed, 2);
}

static void data_that_others_refuse_were_not_refused(void **state)
{
    static const char *const answers[] = {
        ANSWER("404 Not Found", "<html>default backend - 404</html>"), ANSWER("410 Gone", "<html>"),
        ANSWER("415 Unsupported", "<html>"), ANSWER("405 Method Not Allowed", "<html>")};
    struct service_bed *bed = *state;
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(answers); i++) {
        SCRIPT(bed, answers[i]);
        assert_fails(ERROR_UNAVAILABLE, upload(bed, &err));
    }
}

static void a_conflict_is_explained_by_the_record(void **state)
{
    struct service_bed *bed = *state;
    struct error err;

    SCRIPT(bed, REFUSAL("409 Conflict"), ANSWER("200 OK", RECORD(IMAGE_ID, "saving", "")),
           REFUSAL("409 Conflict"), ANSWER("200 OK", RECORD(IMAGE_ID, "active", "")),
           REFUSAL("409 Conflict"), REFUSAL("404 Not Found"));
    assert_fails(ERROR_BUSY, upload(bed, &err));
    assert_fails(ERROR_EXISTS, upload(bed, &err));
    assert_fails(ERROR_EXISTS, upload(bed, &err));
    assert_request_count(bed, 6);
}

#define upload_test(name) cmocka_unit_test_setup_teardown(name, service_bed_open, service_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        upload_test(a_new_image_has_its_properties_as_strings),
        upload_test(what_glance_says_of_a_bad_property_is_passed_on),
        upload_test(a_lost_answer_makes_no_second_image),
        upload_test(a_chosen_id_is_not_taken_for_ours_after_a_lost_answer),
        upload_test(properties_are_patched),
        upload_test(a_change_during_an_upload_is_lost),
        upload_test(a_page_that_is_no_record_is_no_refusal),
        upload_test(data_go_as_octets_of_known_size),
        upload_test(refused_data_are_refused_by_kind),
        upload_test(what_is_not_http_is_no_refusal),
        upload_test(data_that_others_refuse_were_not_refused),
        upload_test(a_conflict_is_explained_by_the_record),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
