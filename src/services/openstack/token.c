/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/token.h"

#include "base/clock.h"
#include "services/iso_date.h"
#include "services/json_document.h"
#include "services/openstack/service_catalog.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct token *token_ref(struct token *token)
{
    atomic_fetch_add(&token->references, 1);
    return token;
}

void token_unref(struct token *token)
{
    if (token == NULL || atomic_fetch_sub(&token->references, 1) > 1)
        return;
    secure_buffer_free(token->value);
    free(token->image_url);
    free(token->key_manager_url);
    free(token);
}

static struct json_object *member(struct json_object *object, const char *name)
{
    struct json_object *found = NULL;

    if (json_object_is_type(object, json_type_object))
        (void)json_object_object_get_ex(object, name, &found);
    return found;
}

/* Copies a text that must be there and fit. */
static int copy_text(struct json_object *object, const char *name, char *out, size_t size,
                     struct error *err)
{
    const char *text;

    if (!json_object_is_type(object, json_type_object))
        return error_set(err, ERROR_INVALID, "a token without %s", name);
    if (json_document_text(object, name, &text, err) < 0)
        return -1;
    if (text == NULL || strlen(text) >= size)
        return error_set(err, ERROR_INVALID, "a token whose %s is missing or too long", name);
    (void)snprintf(out, size, "%s", text);
    return 0;
}

static int read_identity(struct token *token, struct json_object *body, struct error *err)
{
    if (member(body, "project") == NULL)
        return error_set(err, ERROR_DENIED,
                         "the token is for no project: images and keys belong to projects");
    if (copy_text(member(body, "project"), "id", token->identity.project_id,
                  sizeof token->identity.project_id, err) < 0)
        return error_prefix(err, "project");
    if (copy_text(member(body, "user"), "name", token->identity.user, sizeof token->identity.user,
                  err) < 0)
        return error_prefix(err, "user");
    return 0;
}

/* Seconds that the token lives, by the service's clock; our own serves when it gives no start. */
static int read_life(struct json_object *body, uint64_t *ret_seconds, struct error *err)
{
    const char *expires_at, *issued_at;
    int64_t start, end;

    if (json_document_text(body, "expires_at", &expires_at, err) < 0 ||
        json_document_text(body, "issued_at", &issued_at, err) < 0)
        return -1;
    if (!iso_date_parse(expires_at, &end))
        return error_set(err, ERROR_INVALID, "a token whose expires_at is no date");
    if (!iso_date_parse(issued_at, &start))
        start = time(NULL);
    *ret_seconds = end > start ? (uint64_t)(end - start) : 0;
    return 0;
}

static uint64_t usable_seconds(uint64_t life)
{
    const uint64_t margin = life / 5 < TOKEN_MARGIN_SECONDS ? life / 5 : TOKEN_MARGIN_SECONDS;
    const uint64_t usable = life - margin;

    return usable < TOKEN_LONGEST_SECONDS ? usable : TOKEN_LONGEST_SECONDS;
}

static int read_endpoint(struct json_object *body, const char *type, const char *override,
                         const struct credentials *credentials, char **ret, struct error *err)
{
    if (override == NULL)
        return service_catalog_find(member(body, "catalog"), type, credentials->interface,
                                    credentials->region_name, ret, err);
    *ret = service_catalog_base_url(override);
    return *ret == NULL ? error_set(err, ERROR_EXHAUSTED, "out of memory") : 0;
}

/* An endpoint that is configured may be anywhere: it stands for itself. */
static void read_place(struct token *token, struct json_object *body,
                       const struct credentials *credentials)
{
    const char *place = token->image_url;

    if (credentials->image_endpoint_override == NULL)
        place = service_catalog_region(member(body, "catalog"), "image", credentials->interface,
                                       credentials->region_name);
    (void)snprintf(token->identity.place, sizeof token->identity.place, "%s",
                   place == NULL ? "" : place);
    if (token->image_url != NULL && strlen(token->image_url) < sizeof token->identity.image_url)
        (void)snprintf(token->identity.image_url, sizeof token->identity.image_url, "%s",
                       token->image_url);
}

static int read_endpoints(struct token *token, struct json_object *body,
                          const struct credentials *credentials, struct error *err)
{
    if (read_endpoint(body, "image", credentials->image_endpoint_override, credentials,
                      &token->image_url, err) < 0)
        return -1;
    read_place(token, body, credentials);
    return read_endpoint(body, "key-manager", credentials->key_manager_endpoint_override,
                         credentials, &token->key_manager_url, err);
}

static int read_body(struct token *token, struct json_object *document,
                     const struct credentials *credentials, uint64_t asked_at_ns, struct error *err)
{
    struct json_object *body = member(document, "token");
    uint64_t life = 0;

    if (!json_object_is_type(body, json_type_object))
        return error_set(err, ERROR_INVALID, "no token in the answer: is this Keystone v3?");
    if (read_identity(token, body, err) < 0 || read_life(body, &life, err) < 0)
        return -1;
    token->renew_at_ns = asked_at_ns + usable_seconds(life) * NANOSECONDS_PER_SECOND;
    return read_endpoints(token, body, credentials, err);
}

int token_read(struct http_response *response, const struct credentials *credentials,
               uint64_t asked_at_ns, struct token **ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;
    CLEANUP(token_unref) struct token *token = calloc(1, sizeof *token);

    if (token == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    atomic_init(&token->references, 1);
    if (response->subject_token == NULL || response->body == NULL)
        return error_set(err, ERROR_INVALID,
                         "no X-Subject-Token in the answer: is this Keystone v3?");
    if (json_document_parse(response->body, response->body_size, &document, err) < 0 ||
        read_body(token, document, credentials, asked_at_ns, err) < 0)
        return -1;
    token->value = steal(&response->subject_token);
    *ret = steal(&token);
    return 0;
}
