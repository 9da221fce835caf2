/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/http_retry.h"

#include "base/clock.h"
#include "glancefs/limits.h"
#include "http_bed.h"
#include "support/crypto_arena.h"
#include "support/memory_sink.h"
#include "support/memory_source.h"
#include "support/testing.h"

#include <stdio.h>

#define BUSY "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
#define FINE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* --- the pause --- */

static void the_pause_doubles_up_to_its_cap_within_its_jitter(void **state)
{
    uint64_t middle = HTTP_RETRY_FIRST_NS;

    (void)state;
    for (unsigned attempt = 0; attempt < 40; attempt++) {
        for (uint32_t random = 0; random < 4096; random += 511) {
            const uint64_t pause = http_retry_pause_ns(attempt, 0, random);

            assert_true(pause >= middle / 2);
            assert_true(pause <= middle / 2 * 3);
        }
        if (middle < HTTP_RETRY_LONGEST_NS)
            middle *= 2;
    }
    assert_true(http_retry_pause_ns(3, 0, 0) < http_retry_pause_ns(3, 0, 1023));
}

static void what_the_service_asks_for_counts_up_to_its_cap(void **state)
{
    (void)state;
    assert_int_equal(http_retry_pause_ns(0, 7, 99), 7 * NANOSECONDS_PER_SECOND);
    assert_int_equal(http_retry_pause_ns(5, LIMIT_RETRY_AFTER_SECONDS, 0),
                     LIMIT_RETRY_AFTER_SECONDS * NANOSECONDS_PER_SECOND);
    assert_int_equal(http_retry_pause_ns(0, 86400, 0),
                     LIMIT_RETRY_AFTER_SECONDS * NANOSECONDS_PER_SECOND);
    assert_int_equal(http_retry_pause_ns(0, UINT64_MAX, 0),
                     LIMIT_RETRY_AFTER_SECONDS * NANOSECONDS_PER_SECOND);
}

static void only_answers_that_may_change_are_worth_another_attempt(void **state)
{
    (void)state;
    for (int status = 100; status < 600; status++) {
        const bool expected = status == 408 || status == 429 || status == 500 || status == 502 ||
                              status == 503 || status == 504;

        assert_int_equal(http_retry_status(status), expected);
    }
}

/* --- attempts --- */

static int perform(struct http_bed *bed, bool is_repeatable, struct http_response *response,
                   struct error *err)
{
    const struct http_request request = {
        .url = http_bed_url(bed, "/"), .service = "Glance", .is_repeatable = is_repeatable};

    return http_perform(bed->client, &request, NULL, response, err);
}

static void a_repeatable_request_is_tried_again_after_every_kind_of_failure(void **state)
{
    static const char *const failures[] = {"", BUSY,
                                           "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                                           "HTTP/1.1 429 Slowly\r\nContent-Length: 0\r\n\r\n",
                                           "HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n"};
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(failures); i++) {
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
        const char *const answers[] = {failures[i], FINE};

        http_bed_script(bed, answers, 2);
        assert_succeeds(perform(bed, true, &response, &err));
        assert_int_equal(response.status, 200);
        assert_string_equal(response.body, "ok");
        assert_int_equal(http_server_request_count(bed->server), 2 * (i + 1));
    }
}

static void repetitions_are_counted(void **state)
{
    struct service_counters counters = {.retries = 0};
    struct http_options options = HTTP_BED_OPTIONS;
    const char *const answers[] = {BUSY, BUSY, FINE, FINE};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct error err = ERROR_INIT;

    options.counters = &counters;
    http_client_free(bed->client);
    bed->client = NULL;
    assert_succeeds(http_client_new(&options, bed->arena, &bed->client, &err));
    http_bed_script(bed, answers, 4);
    assert_succeeds(perform(bed, true, &response, &err));
    assert_int_equal(atomic_load(&counters.retries), 2);
    assert_succeeds(perform(bed, true, &response, &err));
    assert_int_equal(atomic_load(&counters.retries), 2);
}

/* "req-..." as the index-th request bears it. */
static const char *request_id(struct http_bed *bed, size_t index)
{
    const char *header =
        strstr(http_server_request(bed->server, index), "\r\nX-OpenStack-Request-ID: req-");

    assert_non_null(header);
    return strstr(header, "req-");
}

static void a_request_is_named_and_its_repetition_alike(void **state)
{
    static const char *const answers[] = {"", "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n"};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 3);
    assert_succeeds(perform(bed, true, &response, &err));
    assert_succeeds(perform(bed, true, &response, &err));
    assert_int_equal(http_server_request_count(bed->server), 3);
    assert_memory_equal(request_id(bed, 0), request_id(bed, 1), 40);
    assert_memory_not_equal(request_id(bed, 1), request_id(bed, 2), 40);
    assert_int_equal(strcspn(request_id(bed, 0), "\r"), 40);
}

static void the_number_of_attempts_is_bounded_and_the_last_answer_counts(void **state)
{
    static const struct http_server_answer busy = {.text = BUSY, .requests = 9};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct error err = ERROR_INIT;

    http_server_script(bed->server, &busy, 1);
    assert_succeeds(perform(bed, true, &response, &err));
    assert_int_equal(response.status, 503);
    assert_int_equal(http_server_request_count(bed->server), 3);
    assert_fails(ERROR_UNAVAILABLE, http_response_check(&response, "Glance", &err));
}

static void what_is_not_repeatable_is_sent_once_also_on_a_connection_that_was_kept(void **state)
{
    static const struct http_server_answer answers[] = {
        {.text = FINE, .end = HTTP_SERVER_KEEP}, {.text = ""}, {.text = BUSY}};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct error err = ERROR_INIT;

    http_server_script(bed->server, answers, ELEMENTS_OF(answers));
    assert_succeeds(perform(bed, true, &response, &err));
    assert_fails(ERROR_UNAVAILABLE, perform(bed, false, &response, &err));
    assert_int_equal(http_server_request_count(bed->server), 2);
    assert_int_equal(http_server_connection_count(bed->server), 2);
    assert_succeeds(perform(bed, false, &response, &err));
    assert_int_equal(response.status, 503);
    assert_int_equal(http_server_request_count(bed->server), 3);
}

static void connections_are_kept_for_the_next_request(void **state)
{
    static const struct http_server_answer fine = {
        .text = FINE, .end = HTTP_SERVER_KEEP, .requests = 5};
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    http_server_script(bed->server, &fine, 1);
    for (unsigned i = 0; i < 5; i++) {
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;

        assert_succeeds(perform(bed, true, &response, &err));
    }
    assert_int_equal(http_server_connection_count(bed->server), 1);
}

static void a_connection_that_carried_a_secret_is_not_kept(void **state)
{
    static const struct http_server_answer fine = {
        .text = FINE, .end = HTTP_SERVER_KEEP, .requests = 3};
    struct http_bed *bed = *state;
    const struct http_request request = {.url = http_bed_url(bed, "/"),
                                         .service = "Barbican",
                                         .has_secret_answer = true,
                                         .is_repeatable = true};
    struct error err = ERROR_INIT;

    http_server_script(bed->server, &fine, 1);
    for (unsigned i = 0; i < 3; i++) {
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;

        assert_succeeds(http_perform(bed->client, &request, NULL, &response, &err));
    }
    assert_int_equal(http_server_connection_count(bed->server), 3);
}

static void retry_after_is_kept(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", FINE};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    const uint64_t start = clock_monotonic_ns();
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 2);
    assert_succeeds(perform(bed, true, &response, &err));
    assert_int_equal(response.status, 200);
    assert_true(http_bed_seconds_since(start) >= 1.0);
}

static void a_pause_beyond_the_time_limit_is_not_begun(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 503 Busy\r\nRetry-After: 20\r\nContent-Length: 0\r\n\r\n", FINE};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    const uint64_t start = clock_monotonic_ns();
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 2);
    assert_succeeds(perform(bed, true, &response, &err));
    assert_int_equal(response.status, 503);
    assert_true(http_bed_seconds_since(start) < 2.0);
}

static void the_time_limit_covers_all_attempts(void **state)
{
    static const struct http_options options = {.connect_timeout_seconds = 5,
                                                .stall_timeout_seconds = 30,
                                                .request_timeout_seconds = 1,
                                                .retries = 9};
    static const struct http_server_answer silent = {
        .text = "", .end = HTTP_SERVER_HANG, .requests = 9};
    struct http_bed *bed = *state;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    const struct http_request request = {
        .url = http_bed_url(bed, "/"), .service = "Glance", .is_repeatable = true};
    const uint64_t start = clock_monotonic_ns();
    struct error err = ERROR_INIT;

    assert_succeeds(http_client_new(&options, bed->arena, &client, &err));
    http_server_script(bed->server, &silent, 1);
    assert_fails(ERROR_TIMEOUT, http_perform(client, &request, NULL, &response, &err));
    assert_true(http_bed_seconds_since(start) < 3.0);
    assert_int_equal(http_server_request_count(bed->server), 1);
}

static void a_download_is_not_begun_again_once_bytes_were_delivered(void **state)
{
    static const char *const answers[] = {BUSY, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                                          FINE};
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&record, NULL);
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct http_bed *bed = *state;
    const struct http_request request = {.url = http_bed_url(bed, "/"),
                                         .service = "Glance",
                                         .download = sink,
                                         .is_repeatable = true};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 3);
    assert_fails(ERROR_UNAVAILABLE, http_perform(bed->client, &request, NULL, &response, &err));
    assert_int_equal(http_server_request_count(bed->server), 2);
    assert_int_equal(response.downloaded, 4);
}

static void an_upload_that_is_repeated_starts_anew(void **state)
{
    static const char *const answers[] = {BUSY, FINE};
    CLEANUP(byte_source_free) struct byte_source *source = memory_source_new("01234", 5, NULL);
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct http_bed *bed = *state;
    const struct http_request request = {.method = HTTP_PUT,
                                         .url = http_bed_url(bed, "/"),
                                         .service = "Glance",
                                         .upload = source,
                                         .is_repeatable = true};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 2);
    assert_succeeds(http_perform(bed->client, &request, NULL, &response, &err));
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(strstr(http_server_request(bed->server, i), "\r\n\r\n") + 4, "01234");
}

#define with_bed(test) cmocka_unit_test_setup_teardown(test, http_bed_open, http_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pause_doubles_up_to_its_cap_within_its_jitter),
        cmocka_unit_test(what_the_service_asks_for_counts_up_to_its_cap),
        cmocka_unit_test(only_answers_that_may_change_are_worth_another_attempt),
        with_bed(a_repeatable_request_is_tried_again_after_every_kind_of_failure),
        with_bed(repetitions_are_counted),
        with_bed(a_request_is_named_and_its_repetition_alike),
        with_bed(the_number_of_attempts_is_bounded_and_the_last_answer_counts),
        with_bed(what_is_not_repeatable_is_sent_once_also_on_a_connection_that_was_kept),
        with_bed(connections_are_kept_for_the_next_request),
        with_bed(a_connection_that_carried_a_secret_is_not_kept),
        with_bed(retry_after_is_kept),
        with_bed(a_pause_beyond_the_time_limit_is_not_begun),
        with_bed(the_time_limit_covers_all_attempts),
        with_bed(a_download_is_not_begun_again_once_bytes_were_delivered),
        with_bed(an_upload_that_is_repeated_starts_anew),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
