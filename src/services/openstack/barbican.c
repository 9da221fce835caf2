/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/barbican.h"

#include "base/uuid.h"
#include "crypto/encoding.h"
#include "glancefs/limits.h"
#include "services/json_document.h"
#include "services/openstack/service_refusal.h"
#include "services/secret_metadata.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE_NAME "Barbican"
#define SECRETS_PATH "/v1/secrets"
#define PATH_BYTES (sizeof SECRETS_PATH + UUID_TEXT_BYTES + sizeof "/consumers")

/* What Barbican says of a secret whose payload was never stored; it answers 404 to that, too. */
#define NO_PAYLOAD_WORDS "no payload"

struct barbican {
    struct key_manager manager;
    struct openstack_session *session;
    struct secure_arena *arena;
};

static void secret_path(const char *id, const char *rest, char ret[PATH_BYTES])
{
    (void)snprintf(ret, PATH_BYTES, SECRETS_PATH "/%s%s", id, rest);
}

/* 0 for a success; a 404 of Barbican's own is about the secret, whatever was asked of it. */
static int check_answer(const struct http_response *response, const char *id, struct error *err)
{
    if (response->status >= 200 && response->status < 300)
        return 0;
    (void)service_refusal(response, SERVICE_NAME, err);
    if (response->status != 404 || err->kind != ERROR_NOT_FOUND)
        return error_prefix(err, "secret %s", id);
    if (response->body != NULL && strstr(response->body, NO_PAYLOAD_WORDS) != NULL)
        (void)error_set(err, ERROR_KEY_REJECTED, "secret %s has no payload", id);
    else
        (void)error_set(err, ERROR_NO_KEY, "secret %s does not exist", id);
    return http_response_name(response, err);
}

static int ask(struct key_manager *manager, const char *path, const struct http_request *request,
               struct cancel *cancel, struct http_response *response, struct error *err)
{
    struct barbican *barbican = (struct barbican *)manager;

    return openstack_session_request(barbican->session, OPENSTACK_KEY_MANAGER, path, request,
                                     cancel, response, err);
}

/* --- reading --- */

static int get_metadata(struct key_manager *manager, const char *secret_id, struct cancel *cancel,
                        struct secret_metadata *ret, struct error *err)
{
    const struct http_request request = {.method = HTTP_GET, .is_repeatable = true};
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(json_object_put) struct json_object *document = NULL;
    char path[PATH_BYTES];

    secret_path(secret_id, "", path);
    if (ask(manager, path, &request, cancel, &response, err) < 0 ||
        check_answer(&response, secret_id, err) < 0)
        return -1;
    if (json_document_parse(response.body == NULL ? "" : response.body, response.body_size,
                            &document, err) < 0) {
        (void)error_prefix(err, SERVICE_NAME ": metadata of secret %s", secret_id);
        return http_response_name(&response, err);
    }
    if (secret_metadata_from_json(document, secret_id, ret, err) < 0)
        return http_response_name(&response, err);
    return 0;
}

static int get_payload(struct key_manager *manager, const char *secret_id, struct cancel *cancel,
                       struct secure_buffer **ret, struct error *err)
{
    const struct http_request request = {.method = HTTP_GET,
                                         .accept = "application/octet-stream",
                                         .has_secret_answer = true,
                                         .answer_limit = LIMIT_SECRET_BYTES,
                                         .is_repeatable = true};
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    char path[PATH_BYTES];

    secret_path(secret_id, "/payload", path);
    if (ask(manager, path, &request, cancel, &response, err) < 0) {
        if (err->kind == ERROR_TOO_LARGE)
            (void)error_set(err, ERROR_KEY_REJECTED,
                            "the payload of secret %s is over the limit of %zu bytes", secret_id,
                            LIMIT_SECRET_BYTES);
        return http_response_name(&response, err);
    }
    if (check_answer(&response, secret_id, err) < 0)
        return -1;
    /* Barbican answers 204 for a payload that it took although it was no base64. */
    if (response.status == 204 || response.secret == NULL ||
        secure_buffer_size(response.secret) == 0) {
        (void)error_set(err, ERROR_KEY_REJECTED, "secret %s has an empty payload", secret_id);
        return http_response_name(&response, err);
    }
    *ret = steal(&response.secret);
    return 0;
}

/* --- storing --- */

/* Everything but the payload, as the beginning of a JSON object. */
static int describe(const struct secret_metadata *metadata, size_t payload_size,
                    struct json_object **ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *document = json_object_new_object();

    if (document == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if ((metadata->name[0] != '\0' &&
         json_document_set_text(document, "name", metadata->name, err) < 0) ||
        json_document_set_text(document, "secret_type", metadata->secret_type, err) < 0 ||
        json_document_set_text(document, "payload_content_type", "application/octet-stream", err) <
            0 ||
        json_document_set_text(document, "payload_content_encoding", "base64", err) < 0)
        return -1;
    if (strcmp(metadata->secret_type, "symmetric") == 0 &&
        (json_document_set_text(document, "algorithm", "aes", err) < 0 ||
         json_document_set_number(document, "bit_length", 8 * (uint64_t)payload_size, err) < 0))
        return -1;
    *ret = steal(&document);
    return 0;
}

/* The payload joins the rest in locked memory only: json-c keeps what it prints in the heap. */
static int print_with_payload(struct secure_arena *arena, struct json_object *document,
                              const struct secure_buffer *payload, struct secure_buffer **ret,
                              struct error *err)
{
    static const char before[] = ",\"payload\":\"";
    static const char behind[] = "\"}";
    const size_t text_size = encode_base64_size(secure_buffer_size(payload));
    CLEANUP(secure_buffer_free) struct secure_buffer *body = NULL;
    size_t size;
    const char *text = json_document_print(document, &size);

    if (text == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (secure_buffer_new(arena, size + text_size + sizeof before + sizeof behind, &body, err) <
            0 ||
        secure_buffer_append(body, text, size - 1, err) < 0 ||
        secure_buffer_append(body, before, sizeof before - 1, err) < 0)
        return -1;
    size = secure_buffer_size(body);
    secure_buffer_set_size(body, size + text_size);
    encode_base64(secure_buffer_bytes(payload), secure_buffer_size(payload),
                  (char *)secure_buffer_data(body) + size);
    if (secure_buffer_append(body, behind, sizeof behind - 1, err) < 0)
        return -1;
    *ret = steal(&body);
    return 0;
}

static int take_reference(const struct http_response *response, char ret_id[37], struct error *err)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;
    const char *reference;

    if (json_document_parse(response->body == NULL ? "" : response->body, response->body_size,
                            &document, err) < 0 ||
        json_document_text(document, "secret_ref", &reference, err) < 0)
        return -1;
    if (reference == NULL || !uuid_from_reference(reference, ret_id))
        return error_set(err, ERROR_INVALID, "secret_ref holds no id");
    return 0;
}

/* Sent once: a second time might make a second secret. */
static int store(struct key_manager *manager, const struct secret_metadata *metadata,
                 const struct secure_buffer *payload, struct cancel *cancel, char ret_id[37],
                 struct error *err)
{
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(json_object_put) struct json_object *document = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *body = NULL;
    struct http_request request = {.method = HTTP_POST};

    if (describe(metadata, secure_buffer_size(payload), &document, err) < 0 ||
        print_with_payload(((struct barbican *)manager)->arena, document, payload, &body, err) < 0)
        return -1;
    request.secret_body = body;
    if (ask(manager, SECRETS_PATH, &request, cancel, &response, err) < 0 ||
        http_response_check(&response, SERVICE_NAME, err) < 0)
        return error_prefix(err, "store a secret");
    if (take_reference(&response, ret_id, err) < 0) {
        (void)error_prefix(err, SERVICE_NAME ": new secret");
        return http_response_name(&response, err);
    }
    return 0;
}

/* --- consumers --- */

static int change_consumer(struct key_manager *manager, enum http_method method,
                           const char *secret_id, const struct secret_consumer *consumer,
                           struct cancel *cancel, struct http_response *response, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *document = json_object_new_object();
    struct http_request request = {.method = method, .is_repeatable = true};
    char path[PATH_BYTES];

    if (document == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (json_document_set_text(document, "service", consumer->service, err) < 0 ||
        json_document_set_text(document, "resource_type", consumer->resource_type, err) < 0 ||
        json_document_set_text(document, "resource_id", consumer->resource_id, err) < 0)
        return -1;
    request.body = json_document_print(document, NULL);
    if (request.body == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    secret_path(secret_id, "/consumers", path);
    if (ask(manager, path, &request, cancel, response, err) < 0) {
        response->status = 0;
        return -1;
    }
    return check_answer(response, secret_id, err);
}

/* A Barbican from before microversion 1.1 does not know the path, something before it may let no POST
 * through: what it says of the secret itself decides. */
static int explain_absence(struct key_manager *manager, const char *secret_id,
                           struct cancel *cancel, struct error *err)
{
    struct secret_metadata metadata;

    if (get_metadata(manager, secret_id, cancel, &metadata, err) < 0)
        return -1;
    return error_set(err, ERROR_UNSUPPORTED, "this " SERVICE_NAME " takes no consumers of secrets");
}

static bool may_lack_consumers(const struct http_response *response, const struct error *err)
{
    const int status = response->status;

    return status == 404 ||
           (status >= 400 && status < 500 && status != 429 && err->kind == ERROR_UNAVAILABLE);
}

static int add_consumer(struct key_manager *manager, const char *secret_id,
                        const struct secret_consumer *consumer, struct cancel *cancel,
                        struct error *err)
{
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;

    if (change_consumer(manager, HTTP_POST, secret_id, consumer, cancel, &response, err) == 0)
        return 0;
    if (!may_lack_consumers(&response, err))
        return -1;
    if (explain_absence(manager, secret_id, cancel, err) < 0 && err->kind == ERROR_UNSUPPORTED)
        return http_response_name(&response, err);
    return -1;
}

/* Barbican's 404 means that the secret or the consumer is gone: the same to the caller. So it is
 * where no consumers are kept. */
static int remove_consumer(struct key_manager *manager, const char *secret_id,
                           const struct secret_consumer *consumer, struct cancel *cancel,
                           struct error *err)
{
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;

    if (change_consumer(manager, HTTP_DELETE, secret_id, consumer, cancel, &response, err) == 0)
        return 0;
    if (response.status != 404 || err->kind == ERROR_NO_KEY)
        return -1;
    (void)explain_absence(manager, secret_id, cancel, err);
    return err->kind == ERROR_UNSUPPORTED ? error_set(err, ERROR_NO_KEY, "no consumers") : -1;
}

static void free_barbican(struct key_manager *manager)
{
    free(manager);
}

static const struct key_manager_ops ops = {.get_metadata = get_metadata,
                                           .get_payload = get_payload,
                                           .store = store,
                                           .add_consumer = add_consumer,
                                           .remove_consumer = remove_consumer,
                                           .free = free_barbican};

int barbican_new(struct openstack_session *session, struct secure_arena *arena,
                 struct key_manager **ret, struct error *err)
{
    struct barbican *barbican = calloc(1, sizeof *barbican);

    if (barbican == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    barbican->manager.ops = &ops;
    barbican->session = session;
    barbican->arena = arena;
    *ret = &barbican->manager;
    return 0;
}
