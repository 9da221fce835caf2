/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/glance_download.h"

#include "service_bed.h"
#include "support/crypto_arena.h"
#include "support/memory_sink.h"
#include "support/testing.h"

#include <stdio.h>

#define DIGEST ", \"checksum\": \"781e5e245d69b566979b86e28d23f2c7\""
#define ACTIVE RECORD(IMAGE_ID, "active", ", \"size\": 10" DIGEST)
#define FILE_LINE "GET /v2/images/" IMAGE_ID "/file HTTP"

/* The first five of ten bytes, then the connection ends. */
#define CUT "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"
#define REST                                                                                       \
    "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nContent-Range: bytes 5-9/10\r\n"         \
    "Connection: close\r\n\r\n56789"
#define WHOLE "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789"

static int download_record(struct service_bed *bed, const char *json, uint64_t offset,
                           struct memory_sink_record *bytes, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(bytes, NULL);

    assert_int_equal(image_record_parse(json, strlen(json), &record, err), 0);
    return image_service_download(bed->images, record, offset, sink, NULL, err);
}

static int download(struct service_bed *bed, uint64_t offset, struct memory_sink_record *bytes,
                    struct error *err)
{
    return download_record(bed, ACTIVE, offset, bytes, err);
}

static void assert_bytes(const struct memory_sink_record *bytes, const char *expected)
{
    assert_int_equal(bytes->size, strlen(expected));
    assert_memory_equal(bytes->bytes, expected, bytes->size);
    assert_int_equal(bytes->commits, 0);
}

static void the_data_come_in_order(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record bytes = {0};
    struct error err;

    SCRIPT(bed, WHOLE);
    assert_succeeds(download(bed, 0, &bytes, &err));
    assert_bytes(&bytes, "0123456789");
    assert_asked(bed, 0, FILE_LINE);
    assert_request_count(bed, 1);
}

static void an_offset_asks_for_the_rest(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record bytes = {0};
    struct error err;

    SCRIPT(bed, REST);
    assert_succeeds(download(bed, 5, &bytes, &err));
    assert_bytes(&bytes, "56789");
    assert_asked_with(bed, 0, "Range: bytes=5-\r\n");
}

static void a_service_without_ranges_is_read_from_its_start(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record bytes = {0};
    struct error err;

    SCRIPT(bed, WHOLE);
    assert_succeeds(download(bed, 5, &bytes, &err));
    assert_bytes(&bytes, "56789");
}

static void nothing_is_asked_for_past_the_end(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record bytes = {0};
    struct error err;

    assert_succeeds(download(bed, 10, &bytes, &err));
    assert_succeeds(
        download_record(bed, RECORD(IMAGE_ID, "active", ", \"size\": 0"), 0, &bytes, &err));
    assert_int_equal(bytes.size, 0);
    assert_request_count(bed, 0);
}

static void a_cut_download_goes_on_where_it_ended(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record bytes = {0};
    struct error err;

    SCRIPT(bed, CUT, ANSWER("200 OK", ACTIVE), REST);
    assert_succeeds(download(bed, 0, &bytes, &err));
    assert_bytes(&bytes, "0123456789");
    assert_asked(bed, 1, "GET /v2/images/" IMAGE_ID " HTTP");
    assert_asked_with(bed, 2, "Range: bytes=5-\r\n");
}

static void two_images_are_never_mixed(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record bytes = {0};
    struct error err;

    SCRIPT(bed, CUT, ANSWER("200 OK", RECORD(IMAGE_ID, "active", ", \"size\": 10")));
    assert_fails(ERROR_CORRUPT, download(bed, 0, &bytes, &err));
    assert_message_has("replaced");
    assert_bytes(&bytes, "01234");
    assert_request_count(bed, 2);
}

static void an_image_deleted_meanwhile_is_gone(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record bytes = {0};
    struct error err;

    SCRIPT(bed, CUT, REFUSAL("404 Not Found"));
    assert_fails(ERROR_NOT_FOUND, download(bed, 0, &bytes, &err));
}

static void a_store_that_cannot_go_on_ends_it(void **state)
{
    static const char *const refusals[] = {REFUSAL("400 Bad Request"),
                                           REFUSAL("416 Range Not Satisfiable")};
    struct service_bed *bed = *state;

    for (size_t i = 0; i < ELEMENTS_OF(refusals); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record bytes = {0};
        struct http_server_answer answers[11] = {{.text = CUT}};
        struct error err;

        for (size_t j = 1; j < ELEMENTS_OF(answers); j++)
            answers[j].text = j % 2 == 1 ? ANSWER("200 OK", ACTIVE) : refusals[i];
        http_server_script(bed->http->server, answers, ELEMENTS_OF(answers));
        assert_fails(ERROR_UNAVAILABLE, download(bed, 0, &bytes, &err));
        assert_message_has("byte 5");
        assert_bytes(&bytes, "01234");
    }
}

static void a_store_without_ranges_is_asked_for_all_of_it(void **state)
{
    static const char *const refusals[] = {REFUSAL("400 Bad Request"),
                                           REFUSAL("416 Range Not Satisfiable")};
    struct service_bed *bed = *state;
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(refusals); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record cut = {0};
        CLEANUP(memory_sink_record) struct memory_sink_record rest = {0};
        const size_t before = http_server_request_count(bed->http->server);

        SCRIPT(bed, CUT, ANSWER("200 OK", ACTIVE), refusals[i], ANSWER("200 OK", ACTIVE), WHOLE,
               refusals[i], WHOLE);
        assert_succeeds(download(bed, 0, &cut, &err));
        assert_bytes(&cut, "0123456789");
        assert_null(strstr(http_server_request(bed->http->server, before + 4), "Range:"));
        assert_succeeds(download(bed, 5, &rest, &err));
        assert_bytes(&rest, "56789");
    }
}

static void no_data_is_explained_by_the_record(void **state)
{
    static const struct {
        const char *record;
        enum error_kind kind;
    } records[] = {
        {RECORD(IMAGE_ID, "queued", ""), ERROR_BUSY},
        {RECORD(IMAGE_ID, "saving", ""), ERROR_BUSY},
        {RECORD(IMAGE_ID, "deactivated", ""), ERROR_DENIED},
        {RECORD(IMAGE_ID, "deleted", ""), ERROR_NOT_FOUND},
        {ACTIVE, ERROR_UNAVAILABLE},
    };
    struct service_bed *bed = *state;

    for (size_t i = 0; i < ELEMENTS_OF(records); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record bytes = {0};
        char answer[1024];
        struct error err;

        (void)snprintf(answer, sizeof answer, "%s%s", ANSWER("200 OK", ""), records[i].record);
        SCRIPT(bed, NO_CONTENT, answer);
        assert_fails(records[i].kind, download(bed, 0, &bytes, &err));
        assert_message_has(IMAGE_ID);
    }
}

static void refusals_have_their_kinds(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record bytes = {0};
    struct error err;

    SCRIPT(bed, ANSWER("403 Forbidden", "{\"code\": 403, \"message\": \"deactivated\"}"),
           REFUSAL("404 Not Found"));
    assert_fails(ERROR_DENIED, download(bed, 0, &bytes, &err));
    assert_fails(ERROR_NOT_FOUND, download(bed, 0, &bytes, &err));
    assert_int_equal(bytes.size, 0);
}

/* The sink's own failure is nobody's outage. */
static void a_full_disk_is_not_tried_again(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record bytes = {0};
    const struct memory_sink_options options = {.fails = true, .fail_kind = ERROR_UNAVAILABLE};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&bytes, &options);
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;

    SCRIPT(bed, WHOLE);
    assert_succeeds(image_record_parse(ACTIVE, strlen(ACTIVE), &record, &err));
    assert_fails(ERROR_UNAVAILABLE,
                 image_service_download(bed->images, record, 0, sink, NULL, &err));
    assert_request_count(bed, 1);
}

#define download_test(name)                                                                        \
    cmocka_unit_test_setup_teardown(name, service_bed_open, service_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        download_test(the_data_come_in_order),
        download_test(an_offset_asks_for_the_rest),
        download_test(a_service_without_ranges_is_read_from_its_start),
        download_test(nothing_is_asked_for_past_the_end),
        download_test(a_cut_download_goes_on_where_it_ended),
        download_test(two_images_are_never_mixed),
        download_test(an_image_deleted_meanwhile_is_gone),
        download_test(a_store_that_cannot_go_on_ends_it),
        download_test(a_store_without_ranges_is_asked_for_all_of_it),
        download_test(no_data_is_explained_by_the_record),
        download_test(refusals_have_their_kinds),
        download_test(a_full_disk_is_not_tried_again),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
