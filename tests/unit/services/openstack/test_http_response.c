/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/http_response.h"

#include "support/testing.h"

#include <stdio.h>

/* The message of a refusal with this body. */
static void refuse(int status, const char *body, struct error *err)
{
    struct http_response response = {.status = status,
                                     .body = (char *)(uintptr_t)body,
                                     .body_size = body == NULL ? 0 : strlen(body)};

    (void)snprintf(response.request_id, sizeof response.request_id, "req-7");
    assert_int_equal(http_response_error(&response, "Glance", err), -1);
}

static void a_refusal_is_told_in_the_services_own_words(void **state)
{
    static const struct {
        const char *body, *message;
    } cases[] = {
        {"{\"error\":{\"code\":404,\"message\":\"Keystone's words\"}}", ": Keystone's words"},
        {"{\"message\":\"Glance's<br /><br />\\nwords  \",\"code\":\"404 Not Found\"}",
         ": Glance's words"},
        {"{\"code\":404,\"title\":\"Not Found\",\"description\":\"Barbican's words\"}",
         ": Barbican's words"},
        {"{\"title\":\"A title\"}", ": A title"},
        {"{\"message\":7}", ""},
        {"{\"error\":7}", ""},
        {"<html>no words</html>", ""},
        {NULL, ""},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct error err = ERROR_INIT;
        char expected[128];

        refuse(404, cases[i].body, &err);
        (void)snprintf(expected, sizeof expected, "Glance answered 404 (request req-7)%s",
                       cases[i].message);
        assert_string_equal(err.message, expected);
        assert_int_equal(err.kind, ERROR_NOT_FOUND);
    }
}

static void endless_words_are_cut_between_characters_and_the_request_stays(void **state)
{
    char body[1024] = "{\"message\":\"";
    struct error err = ERROR_INIT;
    size_t length = strlen(body);

    (void)state;
    while (length < 900)
        length += (size_t)snprintf(body + length, sizeof body - length, "\xc3\xa4");
    (void)snprintf(body + length, sizeof body - length, "\"}");
    refuse(503, body, &err);
    assert_message_has("(request req-7)");
    for (const char *byte = err.message; *byte != '\0'; byte++)
        if ((unsigned char)*byte == 0xc3)
            assert_int_equal((unsigned char)byte[1], 0xa4);
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
}

static void a_quiet_answer_is_not_quoted(void **state)
{
    static char body[] = "{\"message\":\"'hunter2' is not valid\"}";
    const struct http_response response = {
        .status = 400, .body = body, .body_size = sizeof body - 1, .is_quiet = true};
    struct error err = ERROR_INIT;

    (void)state;
    assert_fails(ERROR_INVALID, http_response_error(&response, "Barbican", &err));
    assert_string_equal(err.message, "Barbican answered 400");
}

static void every_success_is_one(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    for (int status = 100; status < 600; status++) {
        const struct http_response response = {.status = status};

        if (status >= 200 && status < 300)
            assert_succeeds(http_response_check(&response, "Glance", &err));
        else
            assert_int_equal(http_response_check(&response, "Glance", &err), -1);
    }
}

static void a_status_line_without_a_status_is_refused(void **state)
{
    static const char *const lines[] = {"HTTP/ .11301\r\n", "HTTP/1.1  200 OK\r\n",
                                        "HTTP/1.1 099 No\r\n", "HTTP/1.1 20\r\n", "HTTP/1.1\r\n"};
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct http_head head = {0};
    struct error err;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(lines); i++) {
        assert_fails(ERROR_INVALID, http_response_take_line(&response, &head, NULL, lines[i],
                                                            strlen(lines[i]), &err));
        assert_message_has("without a status");
    }
    assert_succeeds(http_response_take_line(&response, &head, NULL, "HTTP/1.1 100 \r\n", 15, &err));
    assert_int_equal(response.status, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_line_without_a_status_is_refused),
        cmocka_unit_test(a_refusal_is_told_in_the_services_own_words),
        cmocka_unit_test(endless_words_are_cut_between_characters_and_the_request_stays),
        cmocka_unit_test(a_quiet_answer_is_not_quoted),
        cmocka_unit_test(every_success_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
