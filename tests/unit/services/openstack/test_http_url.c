/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/http_url.h"

#include "glancefs/cleanup.h"
#include "glancefs/limits.h"
#include "support/testing.h"

static void https_goes_anywhere_and_http_to_loopback(void **state)
{
    static const char *const urls[] = {"https://glance.example.org/v2",
                                       "https://192.0.2.1:9292",
                                       "http://127.0.0.1:9292/v2",
                                       "http://127.255.0.9",
                                       "http://localhost/",
                                       "http://LOCALHOST:80",
                                       "http://[::1]:9292/v2/images?a=b",
                                       "HTTPS://a"};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(urls); i++)
        assert_succeeds(http_url_check(urls[i], false, &err));
}

static void http_elsewhere_needs_consent(void **state)
{
    static const char *const urls[] = {"http://glance.example.org/v2?x",
                                       "http://192.0.2.1",
                                       "http://127.0.0.1.example.org",
                                       "http://localhost.example.org",
                                       "http://[::127.0.0.1]/",
                                       "http://[fe80::1]/",
                                       "http://1270.0.0.1",
                                       "http://notlocalhost:9292"};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(urls); i++) {
        assert_fails(ERROR_INVALID, http_url_check(urls[i], false, &err));
        assert_message_has("allow_http");
        assert_null(strchr(err.message, '?'));
        assert_succeeds(http_url_check(urls[i], true, &err));
    }
}

static void nothing_else_is_an_address(void **state)
{
    static const char *const urls[] = {"",
                                       "a",
                                       "/v2",
                                       "ftp://a",
                                       "file:///etc/passwd",
                                       "https://",
                                       "https://user@a/",
                                       "https://user:word@a/",
                                       "https://a b/",
                                       "https://a/\n",
                                       "https://a:99999/",
                                       "gopher://a"};
    CLEANUP(memory_free) char *endless = calloc(1, LIMIT_URL_BYTES + 2);
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(urls); i++) {
        assert_fails(ERROR_INVALID, http_url_check(urls[i], true, &err));
        assert_null(strstr(err.message, "word"));
    }
    assert_non_null(endless);
    memset(endless, 'a', LIMIT_URL_BYTES + 1);
    memcpy(endless, "https://a/", 10);
    assert_fails(ERROR_INVALID, http_url_check(endless, true, &err));
    endless[LIMIT_URL_BYTES] = '\0';
    assert_succeeds(http_url_check(endless, true, &err));
}

static void a_proxy_is_for_https_to_other_machines(void **state)
{
    static const char *const direct[] = {"http://a",          "http://127.0.0.1",
                                         "https://localhost", "https://127.0.0.1:5000/v3",
                                         "https://[::1]/",    "nonsense"};

    (void)state;
    assert_true(http_url_is_for_proxy("https://glance.example.org/v2"));
    assert_true(http_url_is_for_proxy("HTTPS://192.0.2.1:9292"));
    for (size_t i = 0; i < ELEMENTS_OF(direct); i++)
        assert_false(http_url_is_for_proxy(direct[i]));
}

static void an_origin_is_scheme_host_and_port(void **state)
{
    static const char *const same[][2] = {{"https://a/x", "https://A:443/y?z"},
                                          {"http://[::1]", "http://[::1]:80/"},
                                          {"HTTP://a", "http://a:80"}};
    static const char *const other[][2] = {
        {"https://a", "http://a"},    {"https://a", "https://a:444"}, {"https://a", "https://b"},
        {"https://a", "https://a.b"}, {"https://a", "https://u@a"},   {"https://a", "nonsense"}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(same); i++)
        assert_true(http_url_same_origin(same[i][0], same[i][1]));
    for (size_t i = 0; i < ELEMENTS_OF(other); i++)
        assert_false(http_url_same_origin(other[i][0], other[i][1]));
}

static void what_may_be_shown_has_no_path_and_no_query(void **state)
{
    char origin[HTTP_ORIGIN_BYTES];

    (void)state;
    http_url_origin("https://a/secret?token=x", origin);
    assert_string_equal(origin, "https://a:443");
    http_url_origin("https://user:word@a/", origin);
    assert_string_equal(origin, "an unreadable URL");
    assert_int_equal(http_url_length_without_query("https://a/b?c#d"), 11);
    assert_int_equal(http_url_length_without_query("https://a/b#d"), 11);
    assert_int_equal(http_url_length_without_query("https://a/b"), 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(https_goes_anywhere_and_http_to_loopback),
        cmocka_unit_test(http_elsewhere_needs_consent),
        cmocka_unit_test(nothing_else_is_an_address),
        cmocka_unit_test(a_proxy_is_for_https_to_other_machines),
        cmocka_unit_test(an_origin_is_scheme_host_and_port),
        cmocka_unit_test(what_may_be_shown_has_no_path_and_no_query),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
