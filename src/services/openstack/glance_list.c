/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/glance_list.h"

#include "base/log.h"
#include "base/uuid.h"
#include "glancefs/limits.h"
#include "services/image_record_json.h"
#include "services/json_document.h"
#include "services/openstack/glance_request.h"

#include <json-c/json_object.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Images a page: 200 records of 2 KiB are well below the cap of one answer. */
#define PAGE_IMAGES 200

#define PATH_BYTES (sizeof GLANCE_IMAGES_PATH "?limit=&marker=" + 20 + UUID_TEXT_BYTES)

static int append(struct image_list *list, size_t *capacity, struct image_record *record,
                  struct error *err)
{
    if (list->count == LIMIT_IMAGES)
        return error_set(err, ERROR_TOO_LARGE, "more than %d images", LIMIT_IMAGES);
    if (list->count == *capacity) {
        const size_t larger = *capacity == 0 ? PAGE_IMAGES : 2 * *capacity;
        struct image_record **records =
            reallocarray(list->records, larger, sizeof(struct image_record *));

        if (records == NULL)
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
        list->records = records;
        *capacity = larger;
    }
    list->records[list->count++] = image_record_ref(record);
    return 0;
}

static int take_image(struct json_object *entity, struct image_list *list, size_t *capacity,
                      struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error reason = ERROR_INIT;

    if (json_object_is_type(entity, json_type_object) &&
        image_record_from_json(entity, &record, &reason) == 0)
        return append(list, capacity, record, err);
    log_debug(GLANCE_NAME ": left out of the list: %s", reason.message);
    return 0;
}

/* Where the next page starts: the last image's id, also when the rest of its record is bad. */
static void take_marker(struct json_object *entity, struct glance_page *page)
{
    struct error ignored = ERROR_INIT;
    const char *id = NULL;

    page->marker[0] = '\0';
    if (json_object_is_type(entity, json_type_object) &&
        json_document_text(entity, "id", &id, &ignored) == 0 && id != NULL && uuid_is_valid(id))
        (void)snprintf(page->marker, sizeof page->marker, "%s", id);
}

int glance_list_take_page(const char *json, size_t size, struct image_list *list, size_t *capacity,
                          struct glance_page *ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;
    struct json_object *images;

    if (json_document_parse(json, size, &document, err) < 0)
        return -1;
    images = json_object_object_get(document, "images");
    if (!json_object_is_type(images, json_type_array))
        return error_set(err, ERROR_INVALID, "no list of images");
    *ret = (struct glance_page){.count = json_object_array_length(images)};
    ret->is_last = json_object_object_get(document, "next") == NULL;
    for (size_t i = 0; i < ret->count; i++) {
        struct json_object *entity = json_object_array_get_idx(images, i);

        if (take_image(entity, list, capacity, err) < 0)
            return -1;
        take_marker(entity, ret);
    }
    return 0;
}

static int get_page(struct openstack_session *session, unsigned limit, const char *marker,
                    struct cancel *cancel, struct http_response *response, struct error *err)
{
    const struct http_request request = {.method = HTTP_GET, .is_repeatable = true};
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof path, GLANCE_IMAGES_PATH "?limit=%u%s%s", limit,
                   marker[0] == '\0' ? "" : "&marker=", marker);
    if (openstack_session_request(session, OPENSTACK_IMAGE, path, &request, cancel, response, err) <
        0)
        return -1;
    return http_response_check(response, GLANCE_NAME, err);
}

/* A page after `marker`; halves *limit while the answer is too large. */
static int get_fitting_page(struct openstack_session *session, unsigned *limit, const char *marker,
                            struct cancel *cancel, struct http_response *response,
                            struct error *err)
{
    while (get_page(session, *limit, marker, cancel, response, err) < 0) {
        if (err->kind != ERROR_TOO_LARGE || *limit == 1)
            return -1;
        http_response_clear(response);
        *limit /= 2;
    }
    return 0;
}

static int list_page(struct openstack_session *session, unsigned *limit, const char *marker,
                     struct image_list *list, size_t *capacity, struct cancel *cancel,
                     struct glance_page *ret, struct error *err)
{
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;

    if (get_fitting_page(session, limit, marker, cancel, &response, err) < 0)
        return -1;
    if (glance_list_take_page(response.body == NULL ? "" : response.body, response.body_size, list,
                              capacity, ret, err) < 0)
        return error_prefix(err, GLANCE_NAME ": list of images");
    if (!ret->is_last && (ret->marker[0] == '\0' || strcmp(ret->marker, marker) == 0))
        return error_set(err, ERROR_INVALID,
                         GLANCE_NAME ": a list of images that goes on but leads nowhere");
    return 0;
}

int glance_list(struct openstack_session *session, struct cancel *cancel, struct image_list **ret,
                struct error *err)
{
    CLEANUP(image_list_free) struct image_list *list = calloc(1, sizeof *list);
    struct glance_page page = {.is_last = false};
    unsigned limit = PAGE_IMAGES;
    size_t capacity = 0;
    size_t seen = 0;

    if (list == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    while (!page.is_last) {
        const struct glance_page previous = page;

        if (list_page(session, &limit, previous.marker, list, &capacity, cancel, &page, err) < 0)
            return -1;
        seen += page.count;
        if (seen > LIMIT_IMAGES)
            return error_set(err, ERROR_TOO_LARGE, "more than %d images", LIMIT_IMAGES);
    }
    *ret = steal(&list);
    return 0;
}
