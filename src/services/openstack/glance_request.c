/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/glance_request.h"

#include "services/openstack/service_refusal.h"

#include <stdio.h>
#include <string.h>

void glance_image_path(const char *id, const char *rest, char ret[GLANCE_PATH_BYTES])
{
    (void)snprintf(ret, GLANCE_PATH_BYTES, GLANCE_IMAGES_PATH "/%s%s", id, rest);
}

int glance_check(const struct http_response *response, const char *id, struct error *err)
{
    if (response->status >= 200 && response->status < 300)
        return 0;
    (void)service_refusal(response, GLANCE_NAME, err);
    if (response->status == 404 && err->kind == ERROR_NOT_FOUND) {
        (void)error_set(err, ERROR_NOT_FOUND, "image %s does not exist", id);
        return http_response_name(response, err);
    }
    return error_prefix(err, "image %s", id);
}

int glance_take_record(const struct http_response *response, const char *id,
                       struct image_record **ret, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    if (image_record_parse(response->body == NULL ? "" : response->body, response->body_size,
                           &record, err) < 0) {
        (void)error_prefix(err, GLANCE_NAME ": record of image %s", id == NULL ? "?" : id);
        return http_response_name(response, err);
    }
    if (id != NULL && strcmp(image_record_id(record), id) != 0) {
        (void)error_set(err, ERROR_INVALID, GLANCE_NAME " answered with another image than %s", id);
        return http_response_name(response, err);
    }
    *ret = steal(&record);
    return 0;
}

int glance_get(struct openstack_session *session, const char *id, struct cancel *cancel,
               struct image_record **ret, struct error *err)
{
    const struct http_request request = {.method = HTTP_GET, .is_repeatable = true};
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    char path[GLANCE_PATH_BYTES];

    glance_image_path(id, "", path);
    if (openstack_session_request(session, OPENSTACK_IMAGE, path, &request, cancel, &response,
                                  err) < 0 ||
        glance_check(&response, id, err) < 0)
        return -1;
    return glance_take_record(&response, id, ret, err);
}
