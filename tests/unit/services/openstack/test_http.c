/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent and what comes back, when everybody behaves. */
#include "services/openstack/http.h"

#include "glancefs/limits.h"
#include "http_bed.h"
#include "support/crypto_arena.h"
#include "support/memory_sink.h"
#include "support/memory_source.h"
#include "support/testing.h"

#include <stdio.h>

#define OK(body_size) "HTTP/1.1 200 OK\r\nContent-Length: " #body_size "\r\n\r\n"

static struct secure_buffer *token_of(struct http_bed *bed, const char *text)
{
    struct secure_buffer *token = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(secure_buffer_copy_of(bed->arena, text, strlen(text), &token, &err));
    return token;
}

static void a_get_carries_token_and_headers_and_nothing_it_need_not(void **state)
{
    static const char *const answers[] = {OK(2) "{}"};
    const struct http_header headers[] = {{"OpenStack-API-Version", "key-manager 1.1"}};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(secure_buffer_free) struct secure_buffer *token = token_of(bed, "gAAAAABrBAgc");
    const struct http_request request = {.url = http_bed_url(bed, "/v1/secrets?limit=1"),
                                         .service = "Barbican",
                                         .token = token,
                                         .headers = headers,
                                         .header_count = 1};
    struct error err = ERROR_INIT;
    const char *sent;

    http_bed_script(bed, answers, 1);
    assert_succeeds(http_perform(bed->client, &request, NULL, &response, &err));
    assert_int_equal(response.status, 200);
    assert_string_equal(response.body, "{}");
    assert_int_equal(response.body_size, 2);
    sent = http_server_request(bed->server, 0);
    assert_ptr_equal(strstr(sent, "GET /v1/secrets?limit=1 HTTP/1.1\r\n"), sent);
    assert_non_null(strstr(sent, "\r\nX-Auth-Token: gAAAAABrBAgc\r\n"));
    assert_non_null(strstr(sent, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(sent, "\r\nOpenStack-API-Version: key-manager 1.1\r\n"));
    assert_null(strstr(sent, "Content-Type"));
    assert_null(strstr(sent, "Content-Length"));
    assert_null(strstr(sent, "Expect"));
    assert_null(strstr(sent, "Cookie"));
}

static void every_method_sends_its_body(void **state)
{
    static const struct {
        enum http_method method;
        const char *body, *line;
    } cases[] = {
        {HTTP_POST, "{\"name\":\"x\"}", "POST /v2/images HTTP/1.1\r\n"},
        {HTTP_PATCH, "[]", "PATCH /v2/images HTTP/1.1\r\n"},
        {HTTP_PUT, "plain", "PUT /v2/images HTTP/1.1\r\n"},
        {HTTP_DELETE, "{\"service\":\"image\"}", "DELETE /v2/images HTTP/1.1\r\n"},
        {HTTP_DELETE, NULL, "DELETE /v2/images HTTP/1.1\r\n"},
        {HTTP_POST, NULL, "POST /v2/images HTTP/1.1\r\n"},
    };
    const struct http_server_answer answer = {.text = "HTTP/1.1 204 No Content\r\n\r\n",
                                              .requests = ELEMENTS_OF(cases)};
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    http_server_script(bed->server, &answer, 1);
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
        const struct http_request request = {.method = cases[i].method,
                                             .url = http_bed_url(bed, "/v2/images"),
                                             .service = "Glance",
                                             .body = cases[i].body};
        const char *sent, *body;

        assert_succeeds(http_perform(bed->client, &request, NULL, &response, &err));
        assert_int_equal(response.status, 204);
        assert_null(response.body);
        sent = http_server_request(bed->server, i);
        assert_ptr_equal(strstr(sent, cases[i].line), sent);
        body = strstr(sent, "\r\n\r\n") + 4;
        assert_string_equal(body, cases[i].body == NULL ? "" : cases[i].body);
        assert_int_equal(strstr(sent, "\r\nContent-Type: application/json\r\n") != NULL,
                         cases[i].body != NULL);
    }
}

static void a_secret_answer_goes_to_locked_memory_and_not_to_the_body(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                               "Content-Length: 6\r\n\r\na\0b\0c\0";
    static const struct http_server_answer answer = {.text = text, .size = sizeof text - 1};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    const struct http_request request = {.url = http_bed_url(bed, "/v1/secrets/x/payload"),
                                         .service = "Barbican",
                                         .accept = "application/octet-stream",
                                         .has_secret_answer = true,
                                         .answer_limit = 6};
    struct error err = ERROR_INIT;

    http_server_script(bed->server, &answer, 1);
    assert_succeeds(http_perform(bed->client, &request, NULL, &response, &err));
    assert_null(response.body);
    assert_int_equal(secure_buffer_size(response.secret), 6);
    assert_memory_equal(secure_buffer_bytes(response.secret), "a\0b\0c", 6);
    assert_true(secure_arena_contains(bed->arena, secure_buffer_bytes(response.secret)));
    assert_string_equal(response.content_type, "application/octet-stream");
    assert_non_null(
        strstr(http_server_request(bed->server, 0), "\r\nAccept: application/octet-stream\r\n"));
}

static void an_empty_secret_is_a_buffer_of_size_zero(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 204 No Content\r\n\r\n"};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    const struct http_request request = {
        .url = http_bed_url(bed, "/"), .service = "Barbican", .has_secret_answer = true};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 1);
    assert_succeeds(http_perform(bed->client, &request, NULL, &response, &err));
    assert_non_null(response.secret);
    assert_int_equal(secure_buffer_size(response.secret), 0);
}

static void a_refusal_of_a_secret_is_no_secret(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 404 Not Found\r\nContent-Length: 39\r\n\r\n"
                                          "{\"code\":404,\"title\":\"Secret not found\"}"};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    const struct http_request request = {
        .url = http_bed_url(bed, "/"), .service = "Barbican", .has_secret_answer = true};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 1);
    assert_succeeds(http_perform(bed->client, &request, NULL, &response, &err));
    assert_null(response.secret);
    assert_fails(ERROR_NOT_FOUND, http_response_check(&response, "Barbican", &err));
    assert_message_has("Barbican answered 404: Secret not found");
}

static void the_headers_that_matter_are_kept(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 201 Created\r\nX-SUBJECT-token:  gAAA \r\n"
        "x-openstack-request-id: req-1\r\n"
        "Content-Type: application/json; charset=UTF-8\r\nContent-Length: 0\r\n\r\n"};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    const struct http_request request = {
        .method = HTTP_POST, .url = http_bed_url(bed, "/"), .service = "Glance", .body = "{}"};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 1);
    assert_succeeds(http_perform(bed->client, &request, NULL, &response, &err));
    assert_int_equal(secure_buffer_size(response.subject_token), 4);
    assert_memory_equal(secure_buffer_bytes(response.subject_token), "gAAA", 4);
    assert_string_equal(response.request_id, "req-1");
    assert_string_equal(response.content_type, "application/json");
}

static void interim_answers_and_trailers_change_nothing(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 103 Early Hints\r\nx-openstack-request-id: req-0\r\n\r\n"
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-After: 1\r\n\r\n"};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    const struct http_request request = {.url = http_bed_url(bed, "/"), .service = "Glance"};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 1);
    assert_succeeds(http_perform(bed->client, &request, NULL, &response, &err));
    assert_int_equal(response.status, 200);
    assert_string_equal(response.body, "{}");
    assert_string_equal(response.request_id, "");
}

/* --- image data --- */

static int download(struct http_bed *bed, const char *answer, uint64_t offset,
                    struct memory_sink_record *record, struct http_response *response,
                    struct error *err)
{
    const char *const answers[] = {answer};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(record, NULL);
    const struct http_request request = {.url = http_bed_url(bed, "/v2/images/7/file"),
                                         .service = "Glance",
                                         .accept = "*/*",
                                         .download = sink,
                                         .offset = offset};

    http_bed_script(bed, answers, 1);
    return http_perform(bed->client, &request, NULL, response, err);
}

static void a_download_goes_to_the_sink_from_the_offset(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(download(bed,
                             "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-9/10\r\n"
                             "Content-Length: 6\r\n\r\n456789",
                             4, &record, &response, &err));
    assert_non_null(strstr(http_server_request(bed->server, 0), "\r\nRange: bytes=4-\r\n"));
    assert_int_equal(response.downloaded, 6);
    assert_int_equal(record.size, 6);
    assert_memory_equal(record.bytes, "456789", 6);
    assert_int_equal(record.commits, 0);
    assert_null(response.body);
}

static void a_server_that_ignores_the_offset_has_its_start_left_out(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct error err = ERROR_INIT;

    assert_succeeds(download(*state, OK(10) "0123456789", 4, &record, &response, &err));
    assert_int_equal(response.status, 200);
    assert_memory_equal(record.bytes, "456789", 6);
    assert_int_equal(record.size, 6);
}

static void another_range_than_asked_for_is_refused(void **state)
{
    static const char *const ranges[] = {"Content-Range: bytes 0-5/10\r\n",
                                         "Content-Range: bytes 5-9/10\r\n",
                                         "Content-Range: bytes */10\r\n",
                                         "Content-Range: lines 4-9/10\r\n",
                                         "Content-Range: bytes 4-x/10\r\n",
                                         "Content-Range: bytes 9-4/10\r\n",
                                         "Content-Range: bytes 4-99999999999999999999999/10\r\n",
                                         ""};
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(ranges); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
        char answer[256];

        (void)snprintf(answer, sizeof answer,
                       "HTTP/1.1 206 Partial Content\r\n%sContent-Length: 6\r\n\r\n456789",
                       ranges[i]);
        assert_fails(ERROR_INVALID, download(*state, answer, 4, &record, &response, &err));
        assert_message_has("another range");
        assert_int_equal(record.size, 0);
    }
}

static void no_data_and_refusals_do_not_reach_the_sink(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 204 No Content\r\n\r\n",
                                          "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone",
                                          "HTTP/1.1 416 Range\r\nContent-Length: 3\r\n\r\nend"};
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(answers); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;

        assert_succeeds(download(*state, answers[i], 0, &record, &response, &err));
        assert_int_equal(record.writes, 0);
        assert_int_equal(response.downloaded, 0);
    }
}

/* libcurl has them 16 KiB at a time. */
static void image_data_reach_the_sink_in_few_pieces(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 2097155\r\n\r\n";
    enum { SIZE = 2 * MIB + 3 };
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(memory_free) char *answer = malloc(sizeof head + SIZE);
    struct error err = ERROR_INIT;

    assert_non_null(answer);
    memcpy(answer, head, sizeof head - 1);
    for (size_t i = 0; i < SIZE; i++)
        answer[sizeof head - 1 + i] = (char)('a' + i % 23);
    answer[sizeof head - 1 + SIZE] = '\0';
    assert_succeeds(download(*state, answer, 0, &record, &response, &err));
    assert_int_equal(response.downloaded, SIZE);
    assert_int_equal(record.size, SIZE);
    assert_memory_equal(record.bytes, answer + sizeof head - 1, SIZE);
    assert_true(record.writes < SIZE / (16 * KIB));
}

static void a_sink_that_fails_says_why(void **state)
{
    static const struct memory_sink_options full = {.fails = true, .fail_at = 2};
    static const char *const answers[] = {OK(6) "012345"};
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&record, &full);
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct http_bed *bed = *state;
    const struct http_request request = {.url = http_bed_url(bed, "/"),
                                         .service = "Glance",
                                         .download = sink,
                                         .is_repeatable = true};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 1);
    assert_fails(ERROR_NO_SPACE, http_perform(bed->client, &request, NULL, &response, &err));
    assert_null(strstr(err.message, "Glance"));
    assert_int_equal(http_server_request_count(bed->server), 1);
}

static int upload(struct http_bed *bed, struct byte_source *source, struct http_response *response,
                  struct error *err)
{
    static const char *const answers[] = {"HTTP/1.1 204 No Content\r\n\r\n"};
    const struct http_request request = {.method = HTTP_PUT,
                                         .url = http_bed_url(bed, "/v2/images/7/file"),
                                         .service = "Glance",
                                         .content_type = "application/octet-stream",
                                         .upload = source};

    http_bed_script(bed, answers, 1);
    return http_perform(bed->client, &request, NULL, response, err);
}

static void an_upload_announces_its_size_and_waits_for_no_continue(void **state)
{
    static const size_t sizes[] = {0, 1, 3 * 1024 * 1024 + 17};
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
        CLEANUP(memory_free) char *bytes = malloc(sizes[i] + 1);
        CLEANUP(byte_source_free) struct byte_source *source = NULL;
        const char *sent;
        char length[64];

        assert_non_null(bytes);
        memset(bytes, 'x', sizes[i]);
        source = memory_source_new(bytes, sizes[i], NULL);
        assert_succeeds(upload(bed, source, &response, &err));
        assert_int_equal(response.status, 204);
        sent = http_server_request(bed->server, i);
        (void)snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", sizes[i]);
        assert_non_null(strstr(sent, length));
        assert_non_null(strstr(sent, "\r\nContent-Type: application/octet-stream\r\n"));
        assert_null(strstr(sent, "Expect"));
        assert_int_equal(strlen(strstr(sent, "\r\n\r\n") + 4), sizes[i]);
    }
}

static void an_upload_that_cannot_be_read_says_why(void **state)
{
    static const struct memory_source_options fails = {
        .fails = true, .fail_at = 3, .fail_kind = ERROR_CORRUPT};
    static const struct memory_source_options hides = {.hides_size = true};
    struct error err = ERROR_INIT;

    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(byte_source_free) struct byte_source *failing = memory_source_new("01234", 5, &fails);
    CLEANUP(byte_source_free) struct byte_source *hiding = memory_source_new("01234", 5, &hides);
    assert_fails(ERROR_CORRUPT, upload(*state, failing, &response, &err));
    assert_fails(ERROR_INVALID, upload(*state, hiding, &response, &err));
}

#define with_bed(test) cmocka_unit_test_setup_teardown(test, http_bed_open, http_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_bed(a_get_carries_token_and_headers_and_nothing_it_need_not),
        with_bed(every_method_sends_its_body),
        with_bed(a_secret_answer_goes_to_locked_memory_and_not_to_the_body),
        with_bed(an_empty_secret_is_a_buffer_of_size_zero),
        with_bed(a_refusal_of_a_secret_is_no_secret),
        with_bed(the_headers_that_matter_are_kept),
        with_bed(interim_answers_and_trailers_change_nothing),
        with_bed(a_download_goes_to_the_sink_from_the_offset),
        with_bed(a_server_that_ignores_the_offset_has_its_start_left_out),
        with_bed(another_range_than_asked_for_is_refused),
        with_bed(no_data_and_refusals_do_not_reach_the_sink),
        with_bed(image_data_reach_the_sink_in_few_pieces),
        with_bed(a_sink_that_fails_says_why),
        with_bed(an_upload_announces_its_size_and_waits_for_no_continue),
        with_bed(an_upload_that_cannot_be_read_says_why),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
