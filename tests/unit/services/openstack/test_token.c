/* SPDX-License-Identifier: Apache-2.0 */
/* tests/vectors/keystone: bodies that Keystone 22 gave. */
#include "services/openstack/token.h"

#include "base/clock.h"
#include "base/file_source.h"
#include "keystone_bed.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <fcntl.h>
#include <stdio.h>

#define ASKED_AT_NS (100 * NANOSECONDS_PER_SECOND)

/* The answer with this body and a token. */
static void answer(struct secure_arena *arena, const char *body, struct http_response *response)
{
    struct error err = ERROR_INIT;

    response->status = 201;
    response->body = strdup(body);
    response->body_size = strlen(body);
    assert_succeeds(secure_buffer_copy_of(arena, "gAAA", 4, &response->subject_token, &err));
}

static int read_token(struct secure_arena *arena, const char *body, struct token **ret,
                      struct error *err)
{
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(credentials_free) struct credentials *credentials = keystone_demo(arena, "https://x");

    answer(arena, body, &response);
    return token_read(&response, credentials, ASKED_AT_NS, ret, err);
}

static char *vector(const char *name)
{
    char path[512];
    char *text = NULL;
    size_t size;
    struct error err = ERROR_INIT;

    (void)snprintf(path, sizeof path, TEST_VECTORS "/keystone/%s", name);
    assert_succeeds(file_read_all(AT_FDCWD, path, 1 << 20, &text, &size, &err));
    return text;
}

static void recorded_tokens_are_understood(void **state)
{
    static const struct {
        const char *name;
        uint64_t seconds; /* of use: an hour without its margin, a minute without a fifth */
    } cases[] = {{"password.json", 3600 - 60}, {"application_credential.json", 60 - 12}};
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        CLEANUP(memory_free) char *body = vector(cases[i].name);
        CLEANUP(token_unref) struct token *token = NULL;

        assert_succeeds(read_token(*state, body, &token, &err));
        assert_string_equal(token->identity.user, "demo");
        assert_string_equal(token->identity.project_id, "2970921843934c998380b5c9a96a7be4");
        assert_string_equal(token->image_url, "http://127.0.0.1:15001");
        assert_string_equal(token->key_manager_url, "http://127.0.0.1:15002");
        assert_int_equal(token->renew_at_ns,
                         ASKED_AT_NS + cases[i].seconds * NANOSECONDS_PER_SECOND);
        assert_int_equal(secure_buffer_size(token->value), 4);
    }
}

static void a_token_that_makes_no_sense_is_refused(void **state)
{
#define USER "\"user\":{\"name\":\"demo\"}"
#define PROJECT "\"project\":{\"id\":\"29\"}"
#define DATES "\"expires_at\":\"2026-11-23T10:32:12Z\",\"issued_at\":\"2026-11-23T09:32:12Z\""
    static const struct {
        enum error_kind kind;
        const char *body;
    } cases[] = {
        {ERROR_INVALID, ""},
        {ERROR_INVALID, "<html>"},
        {ERROR_INVALID, "{}"},
        {ERROR_INVALID, "{\"token\":7}"},
        {ERROR_INVALID, "{\"token\":{" PROJECT "," DATES "}}"},
        {ERROR_INVALID, "{\"token\":{\"user\":7," PROJECT "," DATES "}}"},
        {ERROR_INVALID, "{\"token\":{\"user\":{\"name\":7}," PROJECT "," DATES "}}"},
        {ERROR_INVALID, "{\"token\":{" USER ",\"project\":7," DATES "}}"},
        {ERROR_INVALID, "{\"token\":{" USER ",\"project\":{}," DATES "}}"},
        {ERROR_INVALID, "{\"token\":{" USER "," PROJECT "}}"},
        {ERROR_INVALID, "{\"token\":{" USER "," PROJECT ",\"expires_at\":7}}"},
        {ERROR_INVALID, "{\"token\":{" USER "," PROJECT ",\"expires_at\":\"tomorrow\"}}"},
        {ERROR_DENIED, "{\"token\":{" USER "," DATES "}}"},
    };
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct token *token = NULL;

        assert_fails(cases[i].kind, read_token(*state, cases[i].body, &token, &err));
        assert_null(token);
    }
}

static void a_token_that_has_ended_is_to_be_renewed_at_once(void **state)
{
    static const char body[] =
        "{\"token\":{" USER "," PROJECT
        ",\"expires_at\":\"2026-11-23T09:32:12\",\"issued_at\":\"2026-11-23T09:32:12Z\"}}";
    CLEANUP(token_unref) struct token *token = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(read_token(*state, body, &token, &err));
    assert_int_equal(token->renew_at_ns, ASKED_AT_NS);
    assert_null(token->image_url);
}

static void a_token_without_an_end_is_renewed_after_a_day(void **state)
{
    static const char body[] =
        "{\"token\":{" USER "," PROJECT
        ",\"expires_at\":\"9999-12-31T23:59:59Z\",\"issued_at\":\"2026-11-23T09:32:12Z\"}}";
    CLEANUP(token_unref) struct token *token = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(read_token(*state, body, &token, &err));
    assert_int_equal(token->renew_at_ns, ASKED_AT_NS + 86400 * NANOSECONDS_PER_SECOND);
}

static void overrides_count_whatever_the_catalog_says(void **state)
{
    CLEANUP(memory_free) char *body = vector("password.json");
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(credentials_free) struct credentials *credentials = keystone_demo(*state, "https://x");
    CLEANUP(token_unref) struct token *token = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(credentials_set(credentials, "image_endpoint_override",
                                    "https://glance.example.org/v2", *state, &err));
    answer(*state, body, &response);
    assert_succeeds(token_read(&response, credentials, 0, &token, &err));
    assert_string_equal(token->image_url, "https://glance.example.org");
    assert_string_equal(token->identity.place, "https://glance.example.org");
    assert_string_equal(token->identity.image_url, "https://glance.example.org");
    assert_string_equal(token->key_manager_url, "http://127.0.0.1:15002");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_tokens_are_understood),
        cmocka_unit_test(a_token_that_makes_no_sense_is_refused),
        cmocka_unit_test(a_token_that_has_ended_is_to_be_renewed_at_once),
        cmocka_unit_test(a_token_without_an_end_is_renewed_after_a_day),
        cmocka_unit_test(overrides_count_whatever_the_catalog_says),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
