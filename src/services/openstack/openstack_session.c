/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/openstack_session.h"

#include "glancefs/limits.h"
#include "services/openstack/keystone.h"

#include <stdio.h>
#include <string.h>

struct openstack_session {
    struct identity_service identity; /* first: see openstack_session_identity */
    struct http_client *http;
    struct keystone *keystone;
};

static const struct {
    const char *name; /* in messages */
    const char *type; /* in the catalog */
} services[] = {
    [OPENSTACK_IMAGE] = {"Glance", "image"},
    [OPENSTACK_KEY_MANAGER] = {"Barbican", "key-manager"},
};

/* NULL, with *err filled, when the catalog does not have it. */
static const char *endpoint_of(const struct openstack_session *session,
                               enum openstack_service service, const struct token *token,
                               struct error *err)
{
    const struct credentials *credentials = keystone_credentials(session->keystone);
    const char *endpoint = service == OPENSTACK_IMAGE ? token->image_url : token->key_manager_url;

    if (endpoint == NULL)
        (void)error_set(err, ERROR_INVALID,
                        "Keystone's catalog has no %s endpoint of type %s in region %.60s",
                        credentials->interface, services[service].type,
                        credentials->region_name == NULL ? "(any)" : credentials->region_name);
    return endpoint;
}

/* --- identity --- */

/* Who begins by asking who we are learns at once of a region that does not exist. */
static int identify(struct identity_service *service, struct cancel *cancel, struct identity *ret,
                    struct error *err)
{
    struct openstack_session *session = (struct openstack_session *)service;
    CLEANUP(token_unref) struct token *token = NULL;

    if (keystone_token(session->keystone, NULL, cancel, &token, err) < 0 ||
        endpoint_of(session, OPENSTACK_IMAGE, token, err) == NULL ||
        endpoint_of(session, OPENSTACK_KEY_MANAGER, token, err) == NULL)
        return -1;
    *ret = token->identity;
    return 0;
}

static void free_identity(struct identity_service *service)
{
    openstack_session_free((struct openstack_session *)service);
}

static const struct identity_service_ops identity_ops = {.identify = identify,
                                                         .free = free_identity};

struct identity_service *openstack_session_identity(struct openstack_session *session)
{
    return &session->identity;
}

int openstack_session_new(struct credentials *credentials, const struct http_options *options,
                          struct secure_arena *arena, struct openstack_session **ret,
                          struct error *err)
{
    CLEANUP(openstack_session_free)
    struct openstack_session *session = calloc(1, sizeof *session);

    if (session == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    session->identity.ops = &identity_ops;
    if (http_client_new(options, arena, &session->http, err) < 0 ||
        keystone_new(session->http, arena, credentials, &session->keystone, err) < 0)
        return -1;
    *ret = steal(&session);
    return 0;
}

void openstack_session_free(struct openstack_session *session)
{
    if (session == NULL)
        return;
    keystone_free(session->keystone);
    http_client_free(session->http);
    free(session);
}

/* --- requests --- */

static int build_url(const struct openstack_session *session, enum openstack_service service,
                     const struct token *token, const char *path, char ret[LIMIT_URL_BYTES + 1],
                     struct error *err)
{
    const char *endpoint = endpoint_of(session, service, token, err);
    int length;

    if (endpoint == NULL)
        return -1;
    if (path[0] != '/' || path[1] == '/')
        return error_set(err, ERROR_INVALID, "a path that does not start with one /");
    length = snprintf(ret, LIMIT_URL_BYTES + 1, "%s%s", endpoint, path);
    if (length < 0 || length > LIMIT_URL_BYTES)
        return error_set(err, ERROR_INVALID, "%s: a URL is too long", services[service].name);
    return 0;
}

/* Once, with one token. */
static int request_with(struct openstack_session *session, enum openstack_service service,
                        const struct token *token, const char *path,
                        const struct http_request *request, struct cancel *cancel,
                        struct http_response *response, struct error *err)
{
    struct http_request complete = *request;
    char url[LIMIT_URL_BYTES + 1];

    if (build_url(session, service, token, path, url, err) < 0)
        return -1;
    complete.url = url;
    complete.service = services[service].name;
    complete.token = token->value;
    return http_perform(session->http, &complete, cancel, response, err);
}

/* An answer of Keystone's that makes no sense says nothing of what the service is asked. */
static int log_in(struct openstack_session *session, const struct token *rejected,
                  struct cancel *cancel, struct token **ret, struct error *err)
{
    if (keystone_token(session->keystone, rejected, cancel, ret, err) == 0)
        return 0;
    if (err->kind == ERROR_INVALID || err->kind == ERROR_TOO_LARGE || err->kind == ERROR_DENIED) {
        err->kind = ERROR_UNAVAILABLE;
        err->errnum = error_kind_errno(ERROR_UNAVAILABLE);
    }
    return -1;
}

int openstack_session_request(struct openstack_session *session, enum openstack_service service,
                              const char *path, const struct http_request *request,
                              struct cancel *cancel, struct http_response *response,
                              struct error *err)
{
    CLEANUP(token_unref) struct token *token = NULL;
    CLEANUP(token_unref) struct token *fresh = NULL;

    if (log_in(session, NULL, cancel, &token, err) < 0 ||
        request_with(session, service, token, path, request, cancel, response, err) < 0)
        return -1;
    if (response->status != 401)
        return 0;
    if (log_in(session, token, cancel, &fresh, err) < 0)
        return error_prefix(err, "%s refused our token", services[service].name);
    if (request_with(session, service, fresh, path, request, cancel, response, err) < 0)
        return -1;
    return response->status == 401 ? http_response_error(response, services[service].name, err) : 0;
}
