/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/glance_upload.h"

#include "services/json_document.h"
#include "services/openstack/glance_request.h"

#include <inttypes.h>
#include <json-c/json_object.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATCH_TYPE "application/openstack-images-v2.1-json-patch"

/* For services that can tell a cut body by it (Glance from 2025.2 on). */
#define SIZE_HEADER "x-openstack-image-size"

static int out_of_memory(struct error *err)
{
    return error_set(err, ERROR_EXHAUSTED, "out of memory");
}

/* --- create --- */

static bool is_outage(const struct error *err)
{
    return err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_TIMEOUT;
}

static int describe(const struct image_property *properties, size_t count, const char *id,
                    struct json_object **ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = json_object_new_object();

    if (entity == NULL)
        return out_of_memory(err);
    if (json_document_set_text(entity, "id", id, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (json_document_set_text(entity, properties[i].name, properties[i].value, err) < 0)
            return -1;
    *ret = steal(&entity);
    return 0;
}

static int post_image(struct openstack_session *session, const char *body, const char *id,
                      struct cancel *cancel, struct image_record **ret, struct error *err)
{
    const struct http_request request = {.method = HTTP_POST, .body = body};
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;

    if (openstack_session_request(session, OPENSTACK_IMAGE, GLANCE_IMAGES_PATH, &request, cancel,
                                  &response, err) < 0 ||
        glance_check(&response, id, err) < 0)
        return -1;
    return glance_take_record(&response, id, ret, err);
}

/* The id is ours and new: whatever bears it after a lost answer was made by the question. */
static int recover(struct openstack_session *session, const char *id, struct cancel *cancel,
                   struct image_record **ret, struct error *err)
{
    struct error ignored = ERROR_INIT;

    if (!is_outage(err))
        return -1;
    if (glance_get(session, id, cancel, ret, &ignored) == 0) {
        *err = (struct error)ERROR_INIT;
        return 0;
    }
    return -1;
}

static const char *find_id(const struct image_property *properties, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(properties[i].name, "id") == 0)
            return properties[i].value;
    return NULL;
}

int glance_create(struct openstack_session *session, const struct image_property *properties,
                  size_t count, struct cancel *cancel, struct image_record **ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;
    const char *chosen = find_id(properties, count);
    char id[UUID_TEXT_BYTES];
    const char *body;

    if (chosen == NULL && !uuid_generate(id))
        return error_set(err, ERROR_UNAVAILABLE, "no random bytes for an id");
    if (chosen != NULL)
        (void)snprintf(id, sizeof id, "%s", chosen);
    if (describe(properties, count, id, &entity, err) < 0)
        return -1;
    body = json_document_print(entity, NULL);
    if (body == NULL)
        return out_of_memory(err);
    if (post_image(session, body, id, cancel, ret, err) == 0)
        return 0;
    return chosen == NULL ? recover(session, id, cancel, ret, err) : -1;
}

/* What came back makes no sense: like a lost answer it leaves open what became of the request, and
 * is no refusal. */
static int nonsense(struct error *err)
{
    char message[ERROR_MESSAGE_BYTES];

    if (err->kind != ERROR_INVALID)
        return -1;
    (void)snprintf(message, sizeof message, "%s", err->message);
    return error_set(err, ERROR_UNAVAILABLE, "%s", message);
}

static int no_answer(const struct http_response *response, struct error *err)
{
    return response->status == 0 ? nonsense(err) : -1;
}

/* --- update --- */

/* "/" and the name, with "~" and "/" as RFC 6901 section 3 has them; caller frees. */
static char *pointer_to(const char *name)
{
    char *text = malloc(2 * strlen(name) + 2);
    char *out = text;

    if (text == NULL)
        return NULL;
    *out++ = '/';
    for (; *name != '\0'; name++) {
        if (*name == '~' || *name == '/') {
            *out++ = '~';
            *out++ = *name == '~' ? '0' : '1';
        } else {
            *out++ = *name;
        }
    }
    *out = '\0';
    return text;
}

static int append_operation(struct json_object *patch, const struct image_property *property,
                            struct error *err)
{
    CLEANUP(json_object_put) struct json_object *operation = json_object_new_object();
    CLEANUP(memory_free) char *path = pointer_to(property->name);

    if (operation == NULL || path == NULL)
        return out_of_memory(err);
    if (json_document_set_text(operation, "op", "add", err) < 0 ||
        json_document_set_text(operation, "path", path, err) < 0 ||
        json_document_set_text(operation, "value", property->value, err) < 0)
        return -1;
    if (json_object_array_add(patch, operation) < 0)
        return out_of_memory(err);
    operation = NULL; /* the array's now */
    return 0;
}

int glance_patch_text(const struct image_property *properties, size_t count, char **ret,
                      struct error *err)
{
    CLEANUP(json_object_put) struct json_object *patch = json_object_new_array();
    const char *text;

    if (patch == NULL)
        return out_of_memory(err);
    for (size_t i = 0; i < count; i++)
        if (append_operation(patch, &properties[i], err) < 0)
            return -1;
    text = json_document_print(patch, NULL);
    *ret = text == NULL ? NULL : strdup(text);
    return *ret == NULL ? out_of_memory(err) : 0;
}

int glance_update(struct openstack_session *session, const char *id,
                  const struct image_property *properties, size_t count, struct cancel *cancel,
                  struct error *err)
{
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    CLEANUP(memory_free) char *body = NULL;
    struct http_request request = {
        .method = HTTP_PATCH, .content_type = PATCH_TYPE, .is_repeatable = true};
    char path[GLANCE_PATH_BYTES];

    if (glance_patch_text(properties, count, &body, err) < 0)
        return -1;
    request.body = body;
    glance_image_path(id, "", path);
    if (openstack_session_request(session, OPENSTACK_IMAGE, path, &request, cancel, &response,
                                  err) < 0)
        return no_answer(&response, err);
    if (glance_check(&response, id, err) < 0)
        return -1;
    if (glance_take_record(&response, id, &record, err) < 0)
        return nonsense(err);
    /* Glance answers 200 and forgets the change when the upload ends. */
    if (image_record_status(record) == IMAGE_STATUS_SAVING) {
        (void)error_set(err, ERROR_BUSY, "image %s is being saved", id);
        return http_response_name(&response, err);
    }
    return 0;
}

/* --- upload --- */

/* 409 is said of an image that is active and of one that is being saved. */
static int explain_conflict(struct openstack_session *session, const char *id,
                            struct cancel *cancel, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error ignored = ERROR_INIT;
    enum image_status status;

    if (glance_get(session, id, cancel, &record, &ignored) < 0)
        return -1;
    status = image_record_status(record);
    if (status == IMAGE_STATUS_SAVING || status == IMAGE_STATUS_UPLOADING ||
        status == IMAGE_STATUS_IMPORTING || status == IMAGE_STATUS_QUEUED)
        return error_set(err, ERROR_BUSY, "image %s is %s", id, image_status_name(status));
    return -1;
}

static int judge_upload(struct openstack_session *session, const char *id,
                        const struct http_response *response, struct cancel *cancel,
                        struct error *err)
{
    if (glance_check(response, id, err) == 0)
        return 0;
    if (response->status == 410 && err->kind == ERROR_NOT_FOUND) {
        (void)error_set(err, ERROR_NOT_FOUND, "image %s was deleted during its upload", id);
        return http_response_name(response, err);
    }
    if (response->status == 409) {
        (void)explain_conflict(session, id, cancel, err);
        return http_response_name(response, err);
    }
    /* Glance looks into bytes that are called bare: ciphertext is not what disk_format says. */
    if (response->status == 415 && err->kind == ERROR_INVALID)
        return error_prefix(err, "its container_format and disk_format do not allow ciphertext");
    return -1;
}

int glance_upload(struct openstack_session *session, const char *id, struct byte_source *data,
                  struct cancel *cancel, struct error *err)
{
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    char size_text[24];
    const struct http_header headers[] = {{SIZE_HEADER, size_text}};
    const struct http_request request = {.method = HTTP_PUT,
                                         .content_type = "application/octet-stream",
                                         .headers = headers,
                                         .header_count = 1,
                                         .upload = data};
    char path[GLANCE_PATH_BYTES];

    (void)snprintf(size_text, sizeof size_text, "%" PRIu64, byte_source_size(data));
    glance_image_path(id, "/file", path);
    if (openstack_session_request(session, OPENSTACK_IMAGE, path, &request, cancel, &response,
                                  err) < 0)
        return no_answer(&response, err);
    return judge_upload(session, id, &response, cancel, err);
}
