/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/keystone.h"

#include "base/clock.h"
#include "keystone_bed.h"
#include "support/crypto_arena.h"
#include "support/delay.h"
#include "support/testing.h"

#include <pthread.h>

static struct keystone *keystone_of(struct http_bed *bed, struct credentials *credentials)
{
    struct keystone *keystone = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(keystone_new(bed->client, bed->arena, credentials, &keystone, &err));
    return keystone;
}

static struct keystone *demo(struct http_bed *bed)
{
    return keystone_of(bed, keystone_demo(bed->arena, http_bed_url(bed, "/v3")));
}

static void script_one(struct http_bed *bed, const char *text)
{
    http_bed_script(bed, &text, 1);
}

static bool is_value(const struct token *token, const char *expected)
{
    return secure_buffer_size(token->value) == strlen(expected) &&
           memcmp(secure_buffer_bytes(token->value), expected, strlen(expected)) == 0;
}

/* --- what is asked --- */

static void a_password_is_sent_scoped_to_the_project(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(keystone_free) struct keystone *keystone = demo(bed);
    CLEANUP(memory_free) char *granted = keystone_grants("http://127.0.0.1:9", "gAAA", 3600);
    CLEANUP(token_unref) struct token *token = NULL;
    struct error err = ERROR_INIT;
    const char *sent;

    script_one(bed, granted);
    assert_succeeds(keystone_token(keystone, NULL, NULL, &token, &err));
    assert_true(is_value(token, "gAAA"));
    assert_string_equal(token->identity.user, "demo");
    assert_string_equal(token->identity.project_id, "2970921843934c998380b5c9a96a7be4");
    assert_string_equal(token->image_url, "http://127.0.0.1:9");
    assert_string_equal(token->key_manager_url, "http://127.0.0.1:9");
    sent = http_server_request(bed->server, 0);
    assert_ptr_equal(strstr(sent, "POST /v3/auth/tokens HTTP/1.1\r\n"), sent);
    assert_non_null(strstr(sent, "\r\nContent-Type: application/json\r\n"));
    assert_string_equal(
        strstr(sent, "\r\n\r\n") + 4,
        "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{\"name\":"
        "\"demo\",\"domain\":{\"id\":\"default\"},\"password\":\"pass\\\"word\\\\\"}}},\"scope\":{"
        "\"project\":{\"name\":\"demo\",\"domain\":{\"id\":\"default\"}}}}}");
}

static void an_application_credential_is_sent_without_a_scope(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(keystone_free)
    struct keystone *keystone =
        keystone_of(bed, keystone_demo_application(bed->arena, http_bed_url(bed, "/")));
    CLEANUP(memory_free) char *granted = keystone_grants("http://127.0.0.1:9", "gAAA", 3600);
    CLEANUP(token_unref) struct token *token = NULL;
    struct error err = ERROR_INIT;

    script_one(bed, granted);
    assert_succeeds(keystone_token(keystone, NULL, NULL, &token, &err));
    assert_string_equal(
        strstr(http_server_request(bed->server, 0), "\r\n\r\n") + 4,
        "{\"auth\":{\"identity\":{\"methods\":[\"application_credential\"],"
        "\"application_credential\":{\"id\":\"cdc0ec63\",\"secret\":\"96KMh8x3\"}}}}");
}

static void an_auth_url_has_any_of_the_usual_forms(void **state)
{
    static const char *const forms[] = {"", "/", "/v3", "/v3/", "/identity", "/identity/v3"};
    static const char *const lines[] = {"POST /v3/auth/tokens ", "POST /identity/v3/auth/tokens "};
    struct http_bed *bed = *state;
    CLEANUP(memory_free) char *granted = keystone_grants("http://127.0.0.1:9", "gAAA", 3600);
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(forms); i++) {
        CLEANUP(keystone_free)
        struct keystone *keystone =
            keystone_of(bed, keystone_demo(bed->arena, http_bed_url(bed, forms[i])));
        CLEANUP(token_unref) struct token *token = NULL;
        const char *sent;

        script_one(bed, granted);
        assert_succeeds(keystone_token(keystone, NULL, NULL, &token, &err));
        sent = http_server_request(bed->server, i);
        assert_ptr_equal(strstr(sent, lines[i >= 4]), sent);
    }
}

static void the_second_version_is_refused(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(credentials_free)
    struct credentials *credentials =
        keystone_demo(bed->arena, "https://keystone.example.org/v2.0/");
    struct keystone *keystone = NULL;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_INVALID,
                 keystone_new(bed->client, bed->arena, credentials, &keystone, &err));
    assert_message_has("/v3");
}

/* --- refusals --- */

static void a_refusal_is_explained_and_names_the_request(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(keystone_free) struct keystone *keystone = demo(bed);
    struct token *token = NULL;
    struct error err = ERROR_INIT;

    script_one(bed, keystone_refuses);
    assert_fails(ERROR_LOGIN, keystone_token(keystone, NULL, NULL, &token, &err));
    assert_message_has("user demo in project demo");
    assert_message_has("without a role");
    assert_message_has("(request req-401)");
    assert_null(strstr(err.message, "pass\"word"));
    assert_int_equal(http_server_request_count(bed->server), 1);
}

static void an_application_credential_is_wrong_by_401_and_unknown_by_404(void **state)
{
    static const char *const answers[] = {keystone_refuses, keystone_knows_no_such_credential};
    struct http_bed *bed = *state;
    CLEANUP(keystone_free)
    struct keystone *keystone =
        keystone_of(bed, keystone_demo_application(bed->arena, http_bed_url(bed, "/v3")));
    struct token *token = NULL;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(answers); i++) {
        script_one(bed, answers[i]);
        assert_fails(ERROR_LOGIN, keystone_token(keystone, NULL, NULL, &token, &err));
        assert_message_has("application credential cdc0ec63");
        assert_null(strstr(err.message, "96KMh8x3"));
    }
}

static void something_that_is_no_keystone_is_told(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope",
        "HTTP/1.1 300 Multiple Choices\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>",
        "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 201 Created\r\nX-Subject-Token: g\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 201 Created\r\nX-Subject-Token: g\r\nContent-Length: 2\r\n\r\n[]",
        "HTTP/1.1 201 Created\r\nX-Subject-Token: g\r\nContent-Length: 12\r\n\r\n{\"token\":[]}",
    };
    struct http_bed *bed = *state;
    CLEANUP(keystone_free) struct keystone *keystone = demo(bed);
    struct token *token = NULL;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(answers); i++) {
        script_one(bed, answers[i]);
        assert_fails(ERROR_INVALID, keystone_token(keystone, NULL, NULL, &token, &err));
    }
}

static void a_keystone_that_is_away_is_unavailable(void **state)
{
    static const struct http_server_answer busy = {
        .text = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", .requests = 9};
    struct http_bed *bed = *state;
    CLEANUP(keystone_free) struct keystone *keystone = demo(bed);
    struct token *token = NULL;
    struct error err = ERROR_INIT;

    http_server_script(bed->server, &busy, 1);
    assert_fails(ERROR_UNAVAILABLE, keystone_token(keystone, NULL, NULL, &token, &err));
    assert_int_equal(http_server_request_count(bed->server), 3);
}

/* --- the one token --- */

static void a_token_is_kept_until_it_is_about_to_end_or_was_refused(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(keystone_free) struct keystone *keystone = demo(bed);
    CLEANUP(memory_free) char *first = keystone_grants("http://127.0.0.1:9", "first", 3600);
    CLEANUP(memory_free) char *second = keystone_grants("http://127.0.0.1:9", "second", 1);
    CLEANUP(memory_free) char *third = keystone_grants("http://127.0.0.1:9", "third", 3600);
    CLEANUP(token_unref) struct token *one = NULL;
    CLEANUP(token_unref) struct token *again = NULL;
    CLEANUP(token_unref) struct token *two = NULL;
    CLEANUP(token_unref) struct token *three = NULL;
    CLEANUP(token_unref) struct token *stale = NULL;
    const char *const answers[] = {first, second, third};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 3);
    assert_succeeds(keystone_token(keystone, NULL, NULL, &one, &err));
    assert_succeeds(keystone_token(keystone, NULL, NULL, &again, &err));
    assert_ptr_equal(one, again);
    assert_succeeds(keystone_token(keystone, one, NULL, &two, &err));
    assert_true(is_value(two, "second"));
    assert_succeeds(delay(1100, NULL, &err));
    assert_succeeds(keystone_token(keystone, NULL, NULL, &three, &err));
    assert_true(is_value(three, "third"));
    assert_succeeds(keystone_token(keystone, one, NULL, &stale, &err));
    assert_ptr_equal(stale, three);
    assert_int_equal(http_server_request_count(bed->server), 3);
}

struct caller {
    pthread_t thread;
    struct keystone *keystone;
    struct cancel *cancel;
    int result;
    struct token *token;
    struct error err;
};

static void *call(void *context)
{
    struct caller *caller = context;

    caller->result =
        keystone_token(caller->keystone, NULL, caller->cancel, &caller->token, &caller->err);
    return NULL;
}

static void start(struct caller *callers, size_t count, struct keystone *keystone)
{
    for (size_t i = 0; i < count; i++) {
        callers[i] = (struct caller){.keystone = keystone, .err = ERROR_INIT};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
}

static void many_callers_share_one_asking(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(keystone_free) struct keystone *keystone = demo(bed);
    CLEANUP(memory_free) char *granted = keystone_grants("http://127.0.0.1:9", "gAAA", 3600);
    const struct http_server_answer answer = {.text = granted, .delay_ms = 300};
    struct caller callers[8];

    http_server_script(bed->server, &answer, 1);
    start(callers, 8, keystone);
    for (size_t i = 0; i < 8; i++) {
        (void)pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].result, 0);
        assert_ptr_equal(callers[i].token, callers[0].token);
    }
    for (size_t i = 0; i < 8; i++)
        token_unref(callers[i].token);
    assert_int_equal(http_server_request_count(bed->server), 1);
}

static void who_waits_shares_the_failure(void **state)
{
    const struct http_server_answer answer = {.text = keystone_refuses, .delay_ms = 500};
    struct http_bed *bed = *state;
    CLEANUP(keystone_free) struct keystone *keystone = demo(bed);
    struct caller callers[4];
    struct error err = ERROR_INIT;

    http_server_script(bed->server, &answer, 1);
    start(&callers[0], 1, keystone);
    http_server_wait(bed->server, 1);
    start(&callers[1], 3, keystone);
    assert_succeeds(delay(100, NULL, &err));
    for (size_t i = 0; i < 4; i++) {
        (void)pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].result, -1);
        assert_int_equal(callers[i].err.kind, ERROR_LOGIN);
    }
    assert_int_equal(http_server_request_count(bed->server), 1);
}

static void who_gives_up_does_not_fail_the_others(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(keystone_free) struct keystone *keystone = demo(bed);
    CLEANUP(memory_free) char *granted = keystone_grants("http://127.0.0.1:9", "gAAA", 3600);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    const struct http_server_answer answers[] = {{.text = "", .end = HTTP_SERVER_HANG},
                                                 {.text = granted}};
    struct caller first = {.keystone = keystone, .err = ERROR_INIT};
    struct caller second = {.keystone = keystone, .err = ERROR_INIT};
    struct error err = ERROR_INIT;

    http_server_script(bed->server, answers, 2);
    assert_succeeds(cancel_new(&cancel, &err));
    first.cancel = cancel;
    assert_int_equal(pthread_create(&first.thread, NULL, call, &first), 0);
    http_server_wait(bed->server, 1);
    assert_int_equal(pthread_create(&second.thread, NULL, call, &second), 0);
    assert_succeeds(delay(100, NULL, &err));
    cancel_request(cancel);
    (void)pthread_join(first.thread, NULL);
    (void)pthread_join(second.thread, NULL);
    assert_int_equal(first.err.kind, ERROR_CANCELLED);
    assert_int_equal(second.result, 0);
    token_unref(second.token);
}

static void who_waits_can_give_up_alone(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(keystone_free) struct keystone *keystone = demo(bed);
    CLEANUP(memory_free) char *granted = keystone_grants("http://127.0.0.1:9", "gAAA", 3600);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    const struct http_server_answer answer = {.text = granted, .delay_ms = 600};
    struct caller first = {.keystone = keystone, .err = ERROR_INIT};
    struct caller second = {.keystone = keystone, .err = ERROR_INIT};
    struct error err = ERROR_INIT;

    http_server_script(bed->server, &answer, 1);
    assert_succeeds(cancel_new(&cancel, &err));
    second.cancel = cancel;
    assert_int_equal(pthread_create(&first.thread, NULL, call, &first), 0);
    http_server_wait(bed->server, 1);
    assert_int_equal(pthread_create(&second.thread, NULL, call, &second), 0);
    assert_succeeds(delay(100, NULL, &err));
    cancel_request(cancel);
    (void)pthread_join(second.thread, NULL);
    assert_int_equal(second.err.kind, ERROR_CANCELLED);
    (void)pthread_join(first.thread, NULL);
    assert_int_equal(first.result, 0);
    token_unref(first.token);
}

#define with_bed(test) cmocka_unit_test_setup_teardown(test, http_bed_open, http_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_bed(a_password_is_sent_scoped_to_the_project),
        with_bed(an_application_credential_is_sent_without_a_scope),
        with_bed(an_auth_url_has_any_of_the_usual_forms),
        with_bed(the_second_version_is_refused),
        with_bed(a_refusal_is_explained_and_names_the_request),
        with_bed(an_application_credential_is_wrong_by_401_and_unknown_by_404),
        with_bed(something_that_is_no_keystone_is_told),
        with_bed(a_keystone_that_is_away_is_unavailable),
        with_bed(a_token_is_kept_until_it_is_about_to_end_or_was_refused),
        with_bed(many_callers_share_one_asking),
        with_bed(who_waits_shares_the_failure),
        with_bed(who_gives_up_does_not_fail_the_others),
        with_bed(who_waits_can_give_up_alone),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
