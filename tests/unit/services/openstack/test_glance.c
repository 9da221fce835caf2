/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/glance.h"

#include "glancefs/limits.h"
#include "service_bed.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>

static enum image_status status_of(struct service_bed *bed, const char *id)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;

    assert_succeeds(image_service_get(bed->images, id, NULL, &record, &err));
    return image_record_status(record);
}

static void a_record_is_what_glance_says(void **state)
{
    struct service_bed *bed = *state;

    SCRIPT(bed, ANSWER("200 OK", RECORD(IMAGE_ID, "active", ", \"size\": 5")));
    assert_int_equal(status_of(bed, IMAGE_ID), IMAGE_STATUS_ACTIVE);
    assert_asked(bed, 0, "GET /v2/images/" IMAGE_ID " HTTP/1.1\r\n");
    assert_asked_with(bed, 0, "Accept: application/json\r\n");
}

static void refusals_have_their_kinds(void **state)
{
    static const struct {
        const char *answer;
        enum error_kind kind;
    } refusals[] = {
        {ANSWER("404 Not Found", "{\"message\": \"No image found\", \"code\": \"404\"}"),
         ERROR_NOT_FOUND},
        {ANSWER("403 Forbidden", "{\"code\": 403, \"message\": \"no\"}"), ERROR_DENIED},
        {REFUSAL("400 Bad Request"), ERROR_INVALID},
        {REFUSAL("413 Too Large"), ERROR_TOO_LARGE},
        {ANSWER("200 OK", ""), ERROR_INVALID},
        {ANSWER("200 OK", "[]"), ERROR_INVALID},
        {ANSWER("200 OK", RECORD(OTHER_ID, "active", "")), ERROR_INVALID},
        {ANSWER("200 OK", RECORD(IMAGE_ID, "melted", "")), ERROR_INVALID},
    };
    struct service_bed *bed = *state;
    struct image_record *record = NULL;
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(refusals); i++) {
        SCRIPT(bed, refusals[i].answer);
        assert_fails(refusals[i].kind,
                     image_service_get(bed->images, IMAGE_ID, NULL, &record, &err));
        assert_message_has(IMAGE_ID);
    }
    assert_null(record);
}

/* A load balancer that lost its backend, a firewall: the image may be there all the same. */
static void the_words_of_others_are_an_outage(void **state)
{
    static const char *const answers[] = {
        ANSWER("404 Not Found", "<html>default backend - 404</html>"),
        ANSWER("404 Not Found", "{\"message\": \"no Route matched with those values\"}"),
        ANSWER("404 Not Found", ""),
        ANSWER("403 Forbidden", "<html>Blocked</html>"),
        ANSWER("400 Bad Request", "[]"),
    };
    struct service_bed *bed = *state;
    struct image_record *record = NULL;
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(answers); i++) {
        SCRIPT(bed, answers[i]);
        assert_fails(ERROR_UNAVAILABLE,
                     image_service_get(bed->images, IMAGE_ID, NULL, &record, &err));
        assert_message_has("something before Glance answered 40");
        assert_message_has(IMAGE_ID);
    }
    SCRIPT(bed, "HTTP/1.1 404 Not Found\r\nx-openstack-request-id: req-1\r\n"
                "Connection: close\r\n\r\n");
    assert_fails(ERROR_NOT_FOUND, image_service_get(bed->images, IMAGE_ID, NULL, &record, &err));
}

/* --- list --- */

size_t __wrap_image_record_memory(const struct image_record *record);

/* What each record is said to take. */
static size_t record_memory = 1;

size_t __wrap_image_record_memory(const struct image_record *record)
{
    (void)record;
    return record_memory;
}

static void pages_follow_each_other(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(image_list_free) struct image_list *list = NULL;
    struct error err;

    SCRIPT(bed,
           ANSWER("200 OK", "{\"images\": [" RECORD(OTHER_ID, "queued", "") ", " RECORD(
                                IMAGE_ID, "active", "") "], \"next\": \"http://evil/v2/images\"}"),
           ANSWER("200 OK", "{\"images\": [" RECORD(KEY_ID, "active", "") "]}"));
    assert_succeeds(image_service_list(bed->images, NULL, &list, &err));
    assert_int_equal(list->count, 3);
    assert_string_equal(image_record_id(list->records[1]), IMAGE_ID);
    assert_string_equal(image_record_id(list->records[2]), KEY_ID);
    assert_asked(bed, 0, "GET /v2/images?limit=200 HTTP");
    assert_asked(bed, 1, "GET /v2/images?limit=200&marker=" IMAGE_ID " HTTP");
    assert_request_count(bed, 2);
}

static void a_bad_record_is_left_out_and_still_leads_on(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(image_list_free) struct image_list *list = NULL;
    struct error err;

    SCRIPT(bed,
           ANSWER("200 OK", "{\"images\": [7, " RECORD(IMAGE_ID, "active", "") ", " RECORD(
                                OTHER_ID, "melted", "") "], \"next\": \"/v2/images?x\"}"),
           ANSWER("200 OK", "{\"images\": []}"));
    assert_succeeds(image_service_list(bed->images, NULL, &list, &err));
    assert_int_equal(list->count, 1);
    assert_asked_with(bed, 1, "marker=" OTHER_ID);
}

static void a_list_that_leads_nowhere_is_refused(void **state)
{
    static const char *const pages[] = {
        "{\"images\": [], \"next\": \"/v2/images?marker=x\"}",
        "{\"images\": [{\"id\": \"../secrets\"}], \"next\": \"/v2/images\"}",
        "{\"next\": null}",
        "{\"images\": {}}",
    };
    struct service_bed *bed = *state;
    struct image_list *list = NULL;
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(pages); i++) {
        char answer[512];

        (void)snprintf(answer, sizeof answer, "%s%s", ANSWER("200 OK", ""), pages[i]);
        SCRIPT(bed, answer);
        assert_fails(ERROR_INVALID, image_service_list(bed->images, NULL, &list, &err));
    }
    SCRIPT(bed,
           ANSWER("200 OK", "{\"images\": [" RECORD(IMAGE_ID, "active", "") "], \"next\": \"/\"}"),
           ANSWER("200 OK", "{\"images\": [" RECORD(IMAGE_ID, "active", "") "], \"next\": \"/\"}"));
    assert_fails(ERROR_INVALID, image_service_list(bed->images, NULL, &list, &err));
    assert_null(list);
}

/* A page that goes on, with one image that is active and `filler` bytes of nothing. */
static char *page_with(const char *id, const char *more, size_t filler)
{
    char *text = NULL;

    assert_true(asprintf(&text,
                         ANSWER("200 OK", "{\"images\": [{\"id\": \"%s\", \"status\": \"active\"%s}"
                                          "], \"next\": \"/\"%*s}"),
                         id, more, (int)filler, "") > 0);
    return text;
}

#define LAST_PAGE ANSWER("200 OK", "{\"images\": []}")

static void a_page_that_is_too_large_is_asked_for_in_parts(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(image_list_free) struct image_list *list = NULL;
    CLEANUP(memory_free) char *large = page_with(OTHER_ID, "", LIMIT_LIST_PAGE_BYTES);
    CLEANUP(memory_free) char *first = page_with(IMAGE_ID, "", 0);
    CLEANUP(memory_free) char *second = page_with(KEY_ID, "", 0);
    struct error err;

    SCRIPT(bed, large, large, first, second, LAST_PAGE);
    assert_succeeds(image_service_list(bed->images, NULL, &list, &err));
    assert_int_equal(list->count, 2);
    assert_asked(bed, 1, "GET /v2/images?limit=100 HTTP");
    assert_asked(bed, 2, "GET /v2/images?limit=50 HTTP");
    assert_asked(bed, 3, "GET /v2/images?limit=100&marker=" IMAGE_ID " HTTP");
    assert_asked(bed, 4, "GET /v2/images?limit=200&marker=" KEY_ID " HTTP");
}

/* What would be refused when it is asked for alone must not hide the others. */
static void a_record_that_is_too_large_is_left_out(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(image_list_free) struct image_list *list = NULL;
    CLEANUP(memory_free) char *more = NULL;
    CLEANUP(memory_free) char *large = NULL;
    CLEANUP(memory_free) char *sound = page_with(OTHER_ID, "", 0);
    struct error err;

    assert_true(asprintf(&more, ", \"note\": \"%0*d\"", (int)LIMIT_RECORD_BYTES, 7) > 0);
    large = page_with(IMAGE_ID, more, 0);
    SCRIPT(bed, large, sound, LAST_PAGE);
    assert_succeeds(image_service_list(bed->images, NULL, &list, &err));
    assert_int_equal(list->count, 1);
    assert_string_equal(image_record_id(list->records[0]), OTHER_ID);
    assert_asked_with(bed, 1, "marker=" IMAGE_ID);
}

static void a_list_has_a_bound_in_memory(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(memory_free) char *first = page_with(IMAGE_ID, "", 0);
    CLEANUP(memory_free) char *second = page_with(OTHER_ID, "", 0);
    struct image_list *list = NULL;
    struct error err;

    SCRIPT(bed, first, second, LAST_PAGE, first, second, LAST_PAGE);
    record_memory = LIMIT_LIST_BYTES / 2;
    assert_succeeds(image_service_list(bed->images, NULL, &list, &err));
    image_list_free(steal(&list));
    record_memory++;
    assert_fails(ERROR_TOO_LARGE, image_service_list(bed->images, NULL, &list, &err));
    assert_null(list);
}

/* --- remove --- */

static void an_image_is_deleted(void **state)
{
    struct service_bed *bed = *state;
    struct error err;

    SCRIPT(bed, NO_CONTENT, REFUSAL("404 Not Found"), REFUSAL("403 Forbidden"));
    assert_succeeds(image_service_remove(bed->images, IMAGE_ID, NULL, &err));
    assert_asked(bed, 0, "DELETE /v2/images/" IMAGE_ID " HTTP");
    assert_fails(ERROR_NOT_FOUND, image_service_remove(bed->images, IMAGE_ID, NULL, &err));
    assert_fails(ERROR_DENIED, image_service_remove(bed->images, IMAGE_ID, NULL, &err));
}

#define glance_test(name) cmocka_unit_test_setup_teardown(name, service_bed_open, service_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        glance_test(a_record_is_what_glance_says),
        glance_test(refusals_have_their_kinds),
        glance_test(the_words_of_others_are_an_outage),
        glance_test(pages_follow_each_other),
        glance_test(a_bad_record_is_left_out_and_still_leads_on),
        glance_test(a_list_that_leads_nowhere_is_refused),
        glance_test(a_page_that_is_too_large_is_asked_for_in_parts),
        glance_test(a_record_that_is_too_large_is_left_out),
        glance_test(a_list_has_a_bound_in_memory),
        glance_test(an_image_is_deleted),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
