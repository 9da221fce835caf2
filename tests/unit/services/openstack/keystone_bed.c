/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone_bed.h"

#include "support/testing.h"

#include <stdio.h>
#include <time.h>

const char keystone_refuses[] =
    "HTTP/1.1 401 UNAUTHORIZED\r\nContent-Type: application/json\r\nContent-Length: 109\r\n"
    "WWW-Authenticate: Keystone uri=\"http://127.0.0.1:15000/v3\"\r\nVary: X-Auth-Token\r\n"
    "x-openstack-request-id: req-401\r\nConnection: close\r\n\r\n"
    "{\"error\":{\"code\":401,\"message\":\"The request you have made requires authentication.\","
    "\"title\":\"Unauthorized\"}}\n";

const char keystone_knows_no_such_credential[] =
    "HTTP/1.1 404 NOT FOUND\r\nContent-Type: application/json\r\nContent-Length: 97\r\n"
    "x-openstack-request-id: req-404\r\nConnection: close\r\n\r\n"
    "{\"error\":{\"code\":404,\"message\":\"Could not find Application Credential: x.\","
    "\"title\":\"Not Found\"}}\n";

char *keystone_grants(const char *url, const char *token, unsigned seconds)
{
    static const char format[] =
        "{\"token\": {\"methods\": [\"password\"], \"user\": {\"domain\": {\"id\": \"default\"}, "
        "\"id\": \"5083\", \"name\": \"demo\"}, \"expires_at\": \"%s.000000Z\", \"issued_at\": "
        "\"%s.000000Z\", \"project\": {\"id\": \"2970921843934c998380b5c9a96a7be4\", \"name\": "
        "\"demo\"}, \"catalog\": [{\"type\": \"image\", \"endpoints\": [{\"interface\": "
        "\"public\", \"region_id\": \"RegionOne\", \"url\": \"%s\"}]}, {\"type\": "
        "\"key-manager\", \"endpoints\": [{\"interface\": \"public\", \"region_id\": "
        "\"RegionOne\", \"url\": \"%s/\"}]}]}}";
    const time_t now = time(NULL);
    const time_t end = now + seconds;
    char from[32], to[32];
    struct tm broken_down;
    char *body = NULL;
    char *answer = NULL;

    (void)strftime(from, sizeof from, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now, &broken_down));
    (void)strftime(to, sizeof to, "%Y-%m-%dT%H:%M:%S", gmtime_r(&end, &broken_down));
    assert_true(asprintf(&body, format, to, from, url, url) > 0);
    assert_true(
        asprintf(&answer,
                 "HTTP/1.1 201 CREATED\r\nContent-Type: application/json\r\n"
                 "Content-Length: %zu\r\nX-Subject-Token: %s\r\nConnection: close\r\n\r\n%s",
                 strlen(body), token, body) > 0);
    free(body);
    return answer;
}

static struct credentials *credentials_of(struct secure_arena *arena, const char *const *pairs)
{
    struct credentials *credentials = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(credentials_new(&credentials, &err));
    for (; pairs[0] != NULL; pairs += 2)
        assert_succeeds(credentials_set(credentials, pairs[0], pairs[1], arena, &err));
    return credentials;
}

struct credentials *keystone_demo(struct secure_arena *arena, const char *auth_url)
{
    const char *const pairs[] = {
        "auth_url",     auth_url, "username",  "demo",   "password", "pass\"word\\",
        "project_name", "demo",   "interface", "public", NULL};

    return credentials_of(arena, pairs);
}

struct credentials *keystone_demo_application(struct secure_arena *arena, const char *auth_url)
{
    const char *const pairs[] = {"auth_url",
                                 auth_url,
                                 "application_credential_id",
                                 "cdc0ec63",
                                 "application_credential_secret",
                                 "96KMh8x3",
                                 "interface",
                                 "public",
                                 NULL};

    return credentials_of(arena, pairs);
}

struct openstack_session *keystone_session(struct http_bed *bed)
{
    static const struct http_options options = HTTP_BED_OPTIONS;
    struct openstack_session *session = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(openstack_session_new(keystone_demo(bed->arena, http_bed_url(bed, "/v3")),
                                          &options, bed->arena, &session, &err));
    return session;
}
