/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/openstack_session.h"

#include "keystone_bed.h"
#include "support/crypto_arena.h"
#include "support/memory_source.h"
#include "support/testing.h"

#define FINE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
#define REFUSED                                                                                    \
    "HTTP/1.1 401 Unauthorized\r\nx-openstack-request-id: req-9\r\nContent-Length: 0\r\n\r\n"

static int get(struct openstack_session *session, enum openstack_service service, const char *path,
               struct http_response *response, struct error *err)
{
    const struct http_request request = {.method = HTTP_GET, .is_repeatable = true};

    return openstack_session_request(session, service, path, &request, NULL, response, err);
}

static void a_request_goes_to_the_endpoint_of_the_catalog_with_our_token(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(openstack_session_free) struct openstack_session *session = keystone_session(bed);
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(memory_free)
    char *granted = keystone_grants(http_bed_url(bed, "/image/v2/"), "gAAA", 3600);
    const char *const answers[] = {granted, FINE, FINE};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 3);
    assert_succeeds(get(session, OPENSTACK_IMAGE, "/v2/images?limit=1", &response, &err));
    assert_string_equal(response.body, "{}");
    assert_non_null(
        strstr(http_server_request(bed->server, 1), "GET /image/v2/images?limit=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(http_server_request(bed->server, 1), "\r\nX-Auth-Token: gAAA\r\n"));
    assert_succeeds(get(session, OPENSTACK_KEY_MANAGER, "/v1/secrets", &response, &err));
    assert_int_equal(http_server_request_count(bed->server), 3);
}

static void the_identity_is_that_of_the_token(void **state)
{
    struct http_bed *bed = *state;
    struct openstack_session *session = keystone_session(bed);
    CLEANUP(identity_service_free)
    struct identity_service *service = openstack_session_identity(session);
    CLEANUP(memory_free) char *granted = keystone_grants(http_bed_url(bed, ""), "gAAA", 3600);
    struct identity identity;
    struct error err = ERROR_INIT;

    http_bed_script(bed, (const char *const *)&granted, 1);
    assert_succeeds(identity_service_identify(service, NULL, &identity, &err));
    assert_string_equal(identity.user, "demo");
    assert_string_equal(identity.project_id, "2970921843934c998380b5c9a96a7be4");
    assert_string_equal(identity.place, "RegionOne");
}

static void a_401_gets_one_new_token_and_one_repetition(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(openstack_session_free) struct openstack_session *session = keystone_session(bed);
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(memory_free) char *first = keystone_grants(http_bed_url(bed, ""), "first", 3600);
    CLEANUP(memory_free) char *second = keystone_grants(http_bed_url(bed, ""), "second", 3600);
    CLEANUP(byte_source_free) struct byte_source *source = memory_source_new("01234", 5, NULL);
    const struct http_request upload = {.method = HTTP_PUT, .upload = source};
    const char *const answers[] = {first, REFUSED, second, FINE};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 4);
    assert_succeeds(openstack_session_request(session, OPENSTACK_IMAGE, "/v2/images/7/file",
                                              &upload, NULL, &response, &err));
    assert_int_equal(response.status, 200);
    assert_non_null(strstr(http_server_request(bed->server, 3), "\r\nX-Auth-Token: second\r\n"));
    assert_string_equal(strstr(http_server_request(bed->server, 3), "\r\n\r\n") + 4, "01234");
    assert_int_equal(http_server_request_count(bed->server), 4);
}

static void a_second_401_is_a_denial(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(openstack_session_free) struct openstack_session *session = keystone_session(bed);
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(memory_free) char *first = keystone_grants(http_bed_url(bed, ""), "first", 3600);
    CLEANUP(memory_free) char *second = keystone_grants(http_bed_url(bed, ""), "second", 3600);
    const char *const answers[] = {first, REFUSED, second, REFUSED, FINE};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 5);
    assert_fails(ERROR_LOGIN, get(session, OPENSTACK_IMAGE, "/v2/images", &response, &err));
    assert_message_has("Glance answered 401 (request req-9)");
    assert_int_equal(http_server_request_count(bed->server), 4);
}

static void a_401_while_keystone_is_away_is_no_denial(void **state)
{
    const struct http_server_answer away = {
        .text = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", .requests = 9};
    struct http_bed *bed = *state;
    CLEANUP(openstack_session_free) struct openstack_session *session = keystone_session(bed);
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(memory_free) char *first = keystone_grants(http_bed_url(bed, ""), "first", 3600);
    const struct http_server_answer answers[] = {{.text = first}, {.text = REFUSED}, away};
    struct error err = ERROR_INIT;

    http_server_script(bed->server, answers, 3);
    assert_fails(ERROR_UNAVAILABLE, get(session, OPENSTACK_IMAGE, "/v2/images", &response, &err));
    assert_message_has("Keystone answered 503");
}

/* A load balancer that lost Keystone: the image or secret that was asked for may be there. */
static void a_keystone_that_makes_no_sense_is_an_outage_to_a_request(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope",
                                          "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"};
    struct http_bed *bed = *state;
    CLEANUP(openstack_session_free) struct openstack_session *session = keystone_session(bed);
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 2);
    for (size_t i = 0; i < 2; i++)
        assert_fails(ERROR_UNAVAILABLE,
                     get(session, OPENSTACK_IMAGE, "/v2/images", &response, &err));
}

static void other_answers_are_the_callers_to_judge(void **state)
{
    struct http_bed *bed = *state;
    CLEANUP(openstack_session_free) struct openstack_session *session = keystone_session(bed);
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(memory_free) char *granted = keystone_grants(http_bed_url(bed, ""), "gAAA", 3600);
    const char *const answers[] = {granted, "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n"};
    struct error err = ERROR_INIT;

    http_bed_script(bed, answers, 2);
    assert_succeeds(get(session, OPENSTACK_IMAGE, "/v2/images/7", &response, &err));
    assert_int_equal(response.status, 409);
}

static void a_service_that_is_not_in_the_catalog_is_told(void **state)
{
    static const struct http_options options = HTTP_BED_OPTIONS;
    struct http_bed *bed = *state;
    struct credentials *credentials = keystone_demo(bed->arena, http_bed_url(bed, "/v3"));
    CLEANUP(openstack_session_free) struct openstack_session *session = NULL;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(memory_free) char *granted = keystone_grants(http_bed_url(bed, ""), "gAAA", 3600);
    struct error err = ERROR_INIT;

    assert_succeeds(credentials_set(credentials, "region_name", "RegionTwo", bed->arena, &err));
    assert_succeeds(openstack_session_new(credentials, &options, bed->arena, &session, &err));
    http_bed_script(bed, (const char *const *)&granted, 1);
    assert_fails(ERROR_INVALID,
                 get(session, OPENSTACK_KEY_MANAGER, "/v1/secrets", &response, &err));
    assert_message_has("no public endpoint of type key-manager in region RegionTwo");
}

static void an_identity_without_services_is_refused(void **state)
{
    static const struct http_options options = HTTP_BED_OPTIONS;
    struct http_bed *bed = *state;
    struct credentials *credentials = keystone_demo(bed->arena, http_bed_url(bed, "/v3"));
    CLEANUP(openstack_session_free) struct openstack_session *session = NULL;
    CLEANUP(memory_free) char *granted = keystone_grants(http_bed_url(bed, ""), "gAAA", 3600);
    struct identity identity;
    struct error err = ERROR_INIT;

    assert_succeeds(credentials_set(credentials, "region_name", "RegionTwo", bed->arena, &err));
    assert_succeeds(openstack_session_new(credentials, &options, bed->arena, &session, &err));
    http_bed_script(bed, (const char *const *)&granted, 1);
    assert_fails(ERROR_INVALID, identity_service_identify(openstack_session_identity(session), NULL,
                                                          &identity, &err));
    assert_message_has("no public endpoint of type image in region RegionTwo");
}

static void a_path_that_could_be_another_host_is_refused(void **state)
{
    static const char *const paths[] = {
        "", "v2/images", "//evil.invalid/v2", "@evil.invalid", ".evil.invalid/v2", ":80/v2"};
    struct http_bed *bed = *state;
    CLEANUP(openstack_session_free) struct openstack_session *session = keystone_session(bed);
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(memory_free) char *granted = keystone_grants(http_bed_url(bed, ""), "gAAA", 3600);
    struct error err = ERROR_INIT;

    http_bed_script(bed, (const char *const *)&granted, 1);
    for (size_t i = 0; i < ELEMENTS_OF(paths); i++)
        assert_fails(ERROR_INVALID, get(session, OPENSTACK_IMAGE, paths[i], &response, &err));
    assert_int_equal(http_server_request_count(bed->server), 1);
}

#define with_bed(test) cmocka_unit_test_setup_teardown(test, http_bed_open, http_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_bed(a_request_goes_to_the_endpoint_of_the_catalog_with_our_token),
        with_bed(the_identity_is_that_of_the_token),
        with_bed(a_401_gets_one_new_token_and_one_repetition),
        with_bed(a_second_401_is_a_denial),
        with_bed(a_401_while_keystone_is_away_is_no_denial),
        with_bed(a_keystone_that_makes_no_sense_is_an_outage_to_a_request),
        with_bed(other_answers_are_the_callers_to_judge),
        with_bed(a_service_that_is_not_in_the_catalog_is_told),
        with_bed(an_identity_without_services_is_refused),
        with_bed(a_path_that_could_be_another_host_is_refused),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
