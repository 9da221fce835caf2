/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/token_request.h"

#include "services/openstack/secret_json.h"

#include <string.h>

/* All punctuation and names of the longest request, with room to spare. */
#define FRAME_BYTES 1024

#define DEFAULT_DOMAIN_ID "default"

static int append_text(struct secure_buffer *json, const char *name, const char *value,
                       struct error *err)
{
    if (secret_json_append_string(json, name, strlen(name), err) < 0 ||
        secret_json_append(json, ":", err) < 0)
        return -1;
    return secret_json_append_string(json, value, strlen(value), err);
}

static int append_secret(struct secure_buffer *json, const char *name,
                         const struct secure_buffer *secret, struct error *err)
{
    if (secret_json_append(json, ",", err) < 0 ||
        secret_json_append_string(json, name, strlen(name), err) < 0 ||
        secret_json_append(json, ":", err) < 0)
        return -1;
    return secret_json_append_string(json, secure_buffer_bytes(secret), secure_buffer_size(secret),
                                     err);
}

/* "id":"..." or "name":"...","domain":{...}, the inside of a user or a project. */
static int append_named(struct secure_buffer *json, const char *id, const char *name,
                        const char *domain_id, const char *domain_name, struct error *err)
{
    if (id != NULL)
        return append_text(json, "id", id, err);
    if (append_text(json, "name", name, err) < 0 ||
        secret_json_append(json, ",\"domain\":{", err) < 0)
        return -1;
    if (domain_id == NULL && domain_name == NULL)
        domain_id = DEFAULT_DOMAIN_ID;
    if (append_text(json, domain_id != NULL ? "id" : "name",
                    domain_id != NULL ? domain_id : domain_name, err) < 0)
        return -1;
    return secret_json_append(json, "}", err);
}

static int append_user(struct secure_buffer *json, const struct credentials *credentials,
                       struct error *err)
{
    if (secret_json_append(json, "\"user\":{", err) < 0)
        return -1;
    return append_named(json, credentials->user_id, credentials->username,
                        credentials->user_domain_id, credentials->user_domain_name, err);
}

static int build_password(struct secure_buffer *json, const struct credentials *credentials,
                          struct error *err)
{
    if (secret_json_append(
            json, "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{", err) < 0 ||
        append_user(json, credentials, err) < 0 ||
        append_secret(json, "password", credentials->password, err) < 0 ||
        secret_json_append(json, "}}},\"scope\":{\"project\":{", err) < 0 ||
        append_named(json, credentials->project_id, credentials->project_name,
                     credentials->project_domain_id, credentials->project_domain_name, err) < 0)
        return -1;
    return secret_json_append(json, "}}}}", err);
}

static int append_credential(struct secure_buffer *json, const struct credentials *credentials,
                             struct error *err)
{
    if (credentials->application_credential_id != NULL)
        return append_text(json, "id", credentials->application_credential_id, err);
    if (append_text(json, "name", credentials->application_credential_name, err) < 0 ||
        secret_json_append(json, ",", err) < 0 || append_user(json, credentials, err) < 0)
        return -1;
    return secret_json_append(json, "}", err);
}

static int build_application_credential(struct secure_buffer *json,
                                        const struct credentials *credentials, struct error *err)
{
    if (secret_json_append(json,
                           "{\"auth\":{\"identity\":{\"methods\":[\"application_credential\"],"
                           "\"application_credential\":{",
                           err) < 0 ||
        append_credential(json, credentials, err) < 0 ||
        append_secret(json, "secret", credentials->application_credential_secret, err) < 0)
        return -1;
    return secret_json_append(json, "}}}}", err);
}

static size_t text_size(const char *text)
{
    return text == NULL ? 0 : secret_json_string_size(strlen(text));
}

static size_t secret_size(const struct secure_buffer *secret)
{
    return secret == NULL ? 0 : secret_json_string_size(secure_buffer_size(secret));
}

static size_t largest_size(const struct credentials *credentials)
{
    return FRAME_BYTES + text_size(credentials->username) + text_size(credentials->user_id) +
           text_size(credentials->user_domain_name) + text_size(credentials->user_domain_id) +
           text_size(credentials->project_name) + text_size(credentials->project_id) +
           text_size(credentials->project_domain_name) + text_size(credentials->project_domain_id) +
           text_size(credentials->application_credential_id) +
           text_size(credentials->application_credential_name) +
           secret_size(credentials->password) +
           secret_size(credentials->application_credential_secret);
}

int token_request_build(const struct credentials *credentials, struct secure_arena *arena,
                        struct secure_buffer **ret, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *json = NULL;
    int result;

    if (secure_buffer_new(arena, largest_size(credentials), &json, err) < 0)
        return -1;
    result = credentials_are_application_credential(credentials)
                 ? build_application_credential(json, credentials, err)
                 : build_password(json, credentials, err);
    if (result == 0)
        *ret = steal(&json);
    return result;
}
