/* SPDX-License-Identifier: Apache-2.0 */
#include "service_bed.h"

#include "glancefs/limits.h"
#include "services/openstack/barbican.h"
#include "services/openstack/glance.h"
#include "support/testing.h"

#include <stdio.h>

int __wrap_openstack_session_request(struct openstack_session *session,
                                     enum openstack_service service, const char *path,
                                     const struct http_request *request, struct cancel *cancel,
                                     struct http_response *response, struct error *err);

/* What the clients hold as their session is the bed. */
int __wrap_openstack_session_request(struct openstack_session *session,
                                     enum openstack_service service, const char *path,
                                     const struct http_request *request, struct cancel *cancel,
                                     struct http_response *response, struct error *err)
{
    struct service_bed *bed = (struct service_bed *)session;
    struct http_request complete = *request;
    char url[LIMIT_URL_BYTES + 1];

    (void)snprintf(url, sizeof url, "%s%s", http_server_url(bed->http->server), path);
    complete.url = url;
    complete.service = service == OPENSTACK_IMAGE ? "Glance" : "Barbican";
    return http_perform(bed->http->client, &complete, cancel, response, err);
}

int service_bed_open(void **state)
{
    struct service_bed *bed = calloc(1, sizeof *bed);
    struct openstack_session *session = (struct openstack_session *)bed;
    struct error err = ERROR_INIT;
    void *http = *state;

    if (bed == NULL || http_bed_open(&http) < 0)
        return -1;
    bed->http = http;
    *state = bed;
    if (glance_new(session, &bed->images, &err) < 0)
        return -1;
    return barbican_new(session, bed->http->arena, &bed->keys, &err);
}

int service_bed_close(void **state)
{
    struct service_bed *bed = *state;
    void *http = bed->http;
    struct secure_arena *arena = bed->http->arena;

    image_service_free(bed->images);
    key_manager_free(bed->keys);
    free(bed);
    *state = arena;
    return http_bed_close(&http);
}

void assert_asked(struct service_bed *bed, size_t index, const char *line)
{
    const char *request = http_server_request(bed->http->server, index);

    if (strncmp(request, line, strlen(line)) != 0)
        fail_msg("request %zu is not \"%s\": %s", index, line, request);
}

void assert_asked_with(struct service_bed *bed, size_t index, const char *text)
{
    const char *request = http_server_request(bed->http->server, index);

    if (strstr(request, text) == NULL)
        fail_msg("request %zu holds no \"%s\": %s", index, text, request);
}

void assert_request_count(struct service_bed *bed, size_t count)
{
    assert_int_equal(http_server_request_count(bed->http->server), count);
}
