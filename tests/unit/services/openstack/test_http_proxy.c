/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/http.h"

#include "http_bed.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <stdlib.h>

#define REFUSED "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

/* GET `url` with a token by a client that has `proxy`. */
static int ask(struct secure_arena *arena, const char *proxy, const char *url,
               struct error *ret_err)
{
    struct error err = ERROR_INIT;
    const struct http_options defaults = HTTP_BED_OPTIONS;
    struct http_options options = defaults;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(secure_buffer_free) struct secure_buffer *token = NULL;
    struct http_request request = {.url = url, .service = "Glance"};

    options.proxy = proxy;
    assert_succeeds(secure_buffer_copy_of(arena, "gAAA", 4, &token, &err));
    assert_succeeds(http_client_new(&options, arena, &client, &err));
    request.token = token;
    return http_perform(client, &request, NULL, &response, ret_err);
}

/* Its own refusal is an outage, and no word of the service that was not even asked. */
static void a_proxy_tunnels_https_and_sees_no_token(void **state)
{
    static const char *const answers[] = {REFUSED};
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_int_equal(setenv("no_proxy", "*", 1), 0);
    http_bed_script(bed, answers, 1);
    assert_fails(ERROR_UNAVAILABLE, ask(bed->arena, http_server_url(bed->server),
                                        "https://glance.invalid/v2/images", &err));
    assert_int_equal(unsetenv("no_proxy"), 0);
    assert_int_equal(http_server_request_count(bed->server), 1);
    assert_ptr_equal(strstr(http_server_request(bed->server, 0), "CONNECT glance.invalid:443 "),
                     http_server_request(bed->server, 0));
    assert_null(strstr(http_server_request(bed->server, 0), "gAAA"));
}

static void what_a_proxy_could_read_goes_around_it(void **state)
{
    static const char *const answers[] = {OK};
    CLEANUP(http_server_free) struct http_server *proxy = http_server_new();
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 1);
    assert_succeeds(ask(bed->arena, http_server_url(proxy), http_bed_url(bed, "/v2"), &err));
    assert_int_equal(http_server_connection_count(proxy), 0);
    assert_ptr_equal(strstr(http_server_request(bed->server, 0), "GET /v2 "),
                     http_server_request(bed->server, 0));
}

static void a_proxy_of_the_environment_is_not_used(void **state)
{
    static const char *const answers[] = {OK};
    CLEANUP(http_server_free) struct http_server *proxy = http_server_new();
    struct http_bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_int_equal(setenv("http_proxy", http_server_url(proxy), 1), 0);
    assert_int_equal(setenv("all_proxy", http_server_url(proxy), 1), 0);
    http_bed_script(bed, answers, 1);
    assert_succeeds(ask(bed->arena, NULL, http_bed_url(bed, "/v2"), &err));
    assert_int_equal(unsetenv("http_proxy"), 0);
    assert_int_equal(unsetenv("all_proxy"), 0);
    assert_int_equal(http_server_connection_count(proxy), 0);
}

#define proxy_test(name) cmocka_unit_test_setup_teardown(name, http_bed_open, http_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        proxy_test(a_proxy_tunnels_https_and_sees_no_token),
        proxy_test(what_a_proxy_could_read_goes_around_it),
        proxy_test(a_proxy_of_the_environment_is_not_used),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
