/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that lie, stall, break off or lead astray, and callers that give up. */
#include "services/openstack/http.h"

#include "base/clock.h"
#include "glancefs/limits.h"
#include "http_bed.h"
#include "support/crypto_arena.h"
#include "support/delay.h"
#include "support/memory_sink.h"
#include "support/testing.h"

#include <pthread.h>
#include <stdio.h>

static int get(struct http_bed *bed, const char *path, struct http_response *response,
               struct error *err)
{
    const struct http_request request = {.url = http_bed_url(bed, path), .service = "Glance"};

    return http_perform(bed->client, &request, NULL, response, err);
}

/* --- answers that are none --- */

static void an_answer_that_is_cut_short_is_an_error(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n012",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200",
        ""};
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(answers); i++) {
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;

        http_bed_script(bed, &answers[i], 1);
        assert_fails(ERROR_UNAVAILABLE, get(bed, "/", &response, &err));
        assert_ptr_equal(strstr(err.message, "Glance: "), err.message);
    }
}

static void bytes_that_are_no_http_are_refused(void **state)
{
    static const char *const answers[] = {"SSH-2.0-OpenSSH_9.2\r\n", "<html>hello</html>\r\n"};
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(answers); i++) {
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;

        http_bed_script(bed, &answers[i], 1);
        assert_fails(ERROR_INVALID, get(bed, "/", &response, &err));
    }
}

static void a_body_over_its_cap_is_refused_and_one_at_it_is_not(void **state)
{
    static const char *const answer[] = {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n012345"};
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    for (unsigned i = 0; i < 4; i++) {
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
        const struct http_request request = {.url = http_bed_url(bed, "/"),
                                             .service = "Barbican",
                                             .has_secret_answer = i % 2 == 0,
                                             .answer_limit = i < 2 ? 5 : 6};

        http_bed_script(bed, answer, 1);
        if (i < 2) {
            assert_fails(ERROR_TOO_LARGE,
                         http_perform(bed->client, &request, NULL, &response, &err));
            assert_message_has("more than 5 bytes");
        } else {
            assert_succeeds(http_perform(bed->client, &request, NULL, &response, &err));
        }
    }
}

static void a_refusal_of_endless_words_is_still_a_refusal(void **state)
{
    static const char head[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 1000000\r\n\r\n";
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(memory_free) char *text = malloc(sizeof head - 1 + 1000000);
    struct error err = ERROR_INIT;

    assert_non_null(text);
    memcpy(text, head, sizeof head - 1);
    memset(text + sizeof head - 1, 'x', 1000000);
    const struct http_server_answer answer = {.text = text, .size = sizeof head - 1 + 1000000};
    http_server_script(bed->server, &answer, 1);
    assert_succeeds(get(bed, "/", &response, &err));
    assert_int_equal(response.status, 403);
    assert_true(response.body_size <= 64 * KIB);
    assert_fails(ERROR_DENIED, http_response_check(&response, "Glance", &err));
    http_response_clear(&response);
}

static void a_refusal_that_is_cut_short_is_still_a_refusal(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 413 Too Large\r\nContent-Length: 100\r\n\r\nThe image is"};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 1);
    assert_succeeds(get(bed, "/", &response, &err));
    assert_int_equal(response.status, 413);
    assert_fails(ERROR_TOO_LARGE, http_response_check(&response, "Glance", &err));
}

static void endless_headers_are_refused(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(memory_free) char *text = calloc(1, 200000);
    struct error err = ERROR_INIT;
    size_t size;

    assert_non_null(text);
    size = (size_t)snprintf(text, 200000, "HTTP/1.1 200 OK\r\n");
    while (size < 150000)
        size += (size_t)snprintf(text + size, 200000 - size, "X-Header: %0100d\r\n", 7);
    (void)snprintf(text + size, 200000 - size, "Content-Length: 0\r\n\r\n");
    http_bed_script(bed, (const char *const *)&text, 1);
    assert_fails(ERROR_TOO_LARGE, get(bed, "/", &response, &err));
    assert_message_has("endless headers");
}

/* libcurl takes any line that begins with a carriage return for the empty one. */
static void a_head_that_ends_oddly_ends_all_the_same(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\n\rodd\r\nhunter2",
                                          "HTTP/1.1 206 Partial Content\r\n\rodd\r\n456789"};
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&record, NULL);
    struct http_bed *bed = *state;
    const char *url = http_bed_url(bed, "/");
    const struct http_request secret = {
        .url = url, .service = "Barbican", .has_secret_answer = true};
    const struct http_request rest = {
        .url = url, .service = "Glance", .download = sink, .offset = 4};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 2);
    assert_succeeds(http_perform(bed->client, &secret, NULL, &response, &err));
    assert_int_equal(secure_buffer_size(response.secret), 7);
    assert_fails(ERROR_INVALID, http_perform(bed->client, &rest, NULL, &response, &err));
    assert_message_has("another range");
    assert_int_equal(record.size, 0);
}

static void a_token_that_is_none_is_refused(void **state)
{
    CLEANUP(memory_free) char *endless = calloc(1, LIMIT_TOKEN_BYTES + 128);
    const char *const values[] = {"", "two words", "\x01", endless};
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_non_null(endless);
    memset(endless, 'g', LIMIT_TOKEN_BYTES + 1);
    for (size_t i = 0; i < ELEMENTS_OF(values); i++) {
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
        CLEANUP(memory_free) char *text = NULL;

        assert_true(asprintf(&text,
                             "HTTP/1.1 201 Created\r\nX-Subject-Token: %s\r\n"
                             "Content-Length: 0\r\n\r\n",
                             values[i]) > 0);
        http_bed_script(bed, (const char *const *)&text, 1);
        assert_fails(ERROR_INVALID, get(bed, "/", &response, &err));
        assert_message_has("a token that is none");
        assert_null(strstr(err.message, "ggg"));
    }
}

/* --- stalls --- */

static void a_service_that_says_nothing_is_a_timeout(void **state)
{
    static const struct http_server_answer silent = {.text = "", .end = HTTP_SERVER_HANG};
    static const struct http_server_answer half = {
        .text = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", .end = HTTP_SERVER_HANG};
    const struct http_server_answer *const answers[] = {&silent, &half};
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(answers); i++) {
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
        const uint64_t start = clock_monotonic_ns();

        http_server_script(bed->server, answers[i], 1);
        assert_fails(ERROR_TIMEOUT, get(bed, "/", &response, &err));
        assert_true(http_bed_seconds_since(start) < 4.5);
    }
}

static void a_download_that_stalls_tells_what_was_delivered(void **state)
{
    static const struct http_server_answer half = {
        .text = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", .end = HTTP_SERVER_HANG};
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&record, NULL);
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct http_bed *bed = *state;
    const struct http_request request = {.url = http_bed_url(bed, "/"),
                                         .service = "Glance",
                                         .download = sink,
                                         .is_repeatable = true};
    struct error err = ERROR_INIT;

    http_server_script(bed->server, &half, 1);
    assert_fails(ERROR_TIMEOUT, http_perform(bed->client, &request, NULL, &response, &err));
    assert_int_equal(response.downloaded, 5);
    assert_int_equal(record.size, 5);
    assert_int_equal(http_server_request_count(bed->server), 1);
}

/* --- cancelling --- */

struct canceller {
    struct http_server *server;
    struct cancel *cancel;
    size_t requests; /* wait for so many first */
    uint64_t cancelled_ns;
};

static void *cancel_soon(void *context)
{
    struct canceller *canceller = context;
    struct error err = ERROR_INIT;

    http_server_wait(canceller->server, canceller->requests);
    (void)delay(300, NULL, &err); /* libcurl has timers of its own up to then */
    canceller->cancelled_ns = clock_monotonic_ns();
    cancel_request(canceller->cancel);
    return NULL;
}

/* Performs `request` while another thread cancels it; seconds between that and the return. */
static double perform_cancelled(struct http_bed *bed, const struct http_request *request,
                                size_t requests)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct canceller canceller = {.server = bed->server, .requests = requests};
    struct error err = ERROR_INIT;
    pthread_t thread;
    int result;
    double seconds;

    assert_succeeds(cancel_new(&cancel, &err));
    canceller.cancel = cancel;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &canceller), 0);
    result = http_perform(bed->client, request, cancel, &response, &err);
    (void)pthread_join(thread, NULL);
    seconds = http_bed_seconds_since(canceller.cancelled_ns);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERROR_CANCELLED);
    assert_string_equal(err.message, "interrupted");
    return seconds;
}

static void cancelling_ends_a_silent_request_in_milliseconds(void **state)
{
    static const struct http_server_answer silent = {.text = "", .end = HTTP_SERVER_HANG};
    struct http_bed *bed = *state;
    const struct http_request request = {.url = http_bed_url(bed, "/"), .service = "Glance"};

    http_server_script(bed->server, &silent, 1);
    assert_true(perform_cancelled(bed, &request, 1) < 0.25);
}

static void cancelling_ends_the_pause_before_a_repetition(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 503 Busy\r\nRetry-After: 4\r\nContent-Length: 0\r\n\r\n"};
    struct http_bed *bed = *state;
    const struct http_request request = {
        .url = http_bed_url(bed, "/"), .service = "Glance", .is_repeatable = true};

    http_bed_script(bed, answers, 1);
    assert_true(perform_cancelled(bed, &request, 1) < 0.25);
    assert_int_equal(http_server_request_count(bed->server), 1);
}

static void nothing_is_sent_for_who_has_cancelled_already(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct http_bed *bed = *state;
    const struct http_request request = {.url = http_bed_url(bed, "/"), .service = "Glance"};
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, http_perform(bed->client, &request, cancel, &response, &err));
    assert_int_equal(http_server_connection_count(bed->server), 0);
}

/* --- redirects --- */

static void a_redirect_on_the_same_host_is_followed_with_the_token(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 302 Found\r\nLocation: /there?x=1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(secure_buffer_free) struct secure_buffer *token = NULL;
    struct http_request request = {.url = http_bed_url(bed, "/here"), .service = "Glance"};
    struct error err = ERROR_INIT;

    assert_succeeds(secure_buffer_copy_of(bed->arena, "gAAA", 4, &token, &err));
    request.token = token;
    http_bed_script(bed, answers, 2);
    assert_succeeds(http_perform(bed->client, &request, NULL, &response, &err));
    assert_string_equal(response.body, "ok");
    assert_non_null(strstr(http_server_request(bed->server, 1), "GET /there?x=1 "));
    assert_non_null(strstr(http_server_request(bed->server, 1), "X-Auth-Token: gAAA"));
}

/* Some explain at length where the page has gone. */
static void a_redirect_with_a_long_body_is_followed(void **state)
{
    static const char head[] = "HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n";
    const size_t size = sizeof head - 1 + 100 * KIB;
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(memory_free) char *text = malloc(size);
    struct error err = ERROR_INIT;

    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text, head, sizeof head - 1);
    const struct http_server_answer answers[] = {
        {.text = text, .size = size}, {.text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}};
    http_server_script(bed->server, answers, 2);
    assert_succeeds(get(bed, "/", &response, &err));
    assert_string_equal(response.body, "ok");
    assert_int_equal(http_server_request_count(bed->server), 2);
}

static void a_redirect_to_another_address_is_not_followed(void **state)
{
    CLEANUP(http_server_free) struct http_server *other = http_server_new();
    const char *const targets[] = {http_server_url(other), "https://127.0.0.1", "//evil.invalid",
                                   "file:///etc/passwd"};
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(targets); i++) {
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
        char text[256];
        const char *const answer = text;

        (void)snprintf(text, sizeof text,
                       "HTTP/1.1 307 Away\r\nLocation: %s/x?secret=1\r\nContent-Length: 0\r\n\r\n",
                       targets[i]);
        http_bed_script(bed, &answer, 1);
        assert_fails(ERROR_INVALID, get(bed, "/", &response, &err));
        assert_message_has("another address");
        assert_null(strstr(err.message, "secret=1"));
    }
    assert_int_equal(http_server_connection_count(other), 0);
}

static void redirects_in_a_circle_end(void **state)
{
    static const struct http_server_answer circle = {
        .text = "HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", .requests = 30};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct error err = ERROR_INIT;

    http_server_script(bed->server, &circle, 1);
    assert_fails(ERROR_INVALID, get(bed, "/", &response, &err));
    assert_int_equal(http_server_request_count(bed->server), LIMIT_HTTP_REDIRECTS + 1);
}

static void only_a_get_is_redirected(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 307 Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"};
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    const struct http_request request = {
        .method = HTTP_POST, .url = http_bed_url(bed, "/"), .service = "Glance", .body = "{}"};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 1);
    assert_succeeds(http_perform(bed->client, &request, NULL, &response, &err));
    assert_int_equal(http_server_request_count(bed->server), 1);
    assert_fails(ERROR_INVALID, http_response_check(&response, "Glance", &err));
}

/* --- addresses --- */

static void a_url_without_tls_is_refused_before_anything_is_sent(void **state)
{
    static const char *const urls[] = {"http://192.0.2.1/",     "http://localhost.invalid/",
                                       "ftp://127.0.0.1/",      "http://u:p@127.0.0.1/",
                                       "http://127.0.0.1/\r\n", "127.0.0.1",
                                       "http://[::2]/",         ""};
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(urls); i++) {
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
        const struct http_request request = {.url = urls[i], .service = "Glance"};

        assert_fails(ERROR_INVALID, http_perform(bed->client, &request, NULL, &response, &err));
    }
}

static void who_does_not_listen_is_unavailable(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct error err = ERROR_INIT;
    const char *url;

    url = http_bed_url(bed, "/");
    http_server_free(steal(&bed->server));
    const struct http_request request = {.url = url, .service = "Glance"};
    assert_fails(ERROR_UNAVAILABLE, http_perform(bed->client, &request, NULL, &response, &err));
}

#define with_bed(test) cmocka_unit_test_setup_teardown(test, http_bed_open, http_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_bed(an_answer_that_is_cut_short_is_an_error),
        with_bed(bytes_that_are_no_http_are_refused),
        with_bed(a_body_over_its_cap_is_refused_and_one_at_it_is_not),
        with_bed(a_refusal_of_endless_words_is_still_a_refusal),
        with_bed(a_refusal_that_is_cut_short_is_still_a_refusal),
        with_bed(endless_headers_are_refused),
        with_bed(a_head_that_ends_oddly_ends_all_the_same),
        with_bed(a_token_that_is_none_is_refused),
        with_bed(a_service_that_says_nothing_is_a_timeout),
        with_bed(a_download_that_stalls_tells_what_was_delivered),
        with_bed(cancelling_ends_a_silent_request_in_milliseconds),
        with_bed(cancelling_ends_the_pause_before_a_repetition),
        with_bed(nothing_is_sent_for_who_has_cancelled_already),
        with_bed(a_redirect_on_the_same_host_is_followed_with_the_token),
        with_bed(a_redirect_with_a_long_body_is_followed),
        with_bed(a_redirect_to_another_address_is_not_followed),
        with_bed(redirects_in_a_circle_end),
        with_bed(only_a_get_is_redirected),
        with_bed(a_url_without_tls_is_refused_before_anything_is_sent),
        with_bed(who_does_not_listen_is_unavailable),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
