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

/* Images a page: 200 records of 2 KiB are well below the cap of one page. */
#define PAGE_IMAGES 200

#define PATH_BYTES (sizeof GLANCE_IMAGES_PATH "?limit=&marker=" + 20 + UUID_TEXT_BYTES)

/* A list that grows page by page. */
struct listing {
    struct openstack_session *session;
    struct cancel *cancel;
    struct image_list *list;
    size_t capacity;    /* of list->records */
    size_t bytes;       /* memory of the records */
    size_t seen;        /* images, whether they could be read or not */
    unsigned page_size; /* images to ask for */
    bool is_complete;
    char marker[UUID_TEXT_BYTES]; /* id of the last image; empty before the first */
};

/* --- the images of a page --- */

static int grow(struct listing *listing, struct error *err)
{
    const size_t larger = listing->capacity == 0 ? PAGE_IMAGES : 2 * listing->capacity;
    struct image_record **records =
        reallocarray(listing->list->records, larger, sizeof(struct image_record *));

    if (records == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    listing->list->records = records;
    listing->capacity = larger;
    return 0;
}

static int append(struct listing *listing, struct image_record *record, struct error *err)
{
    struct image_list *list = listing->list;

    listing->bytes += image_record_memory(record);
    if (listing->bytes > LIMIT_LIST_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "the records of all images take over %zu bytes",
                         LIMIT_LIST_BYTES);
    if (list->count == listing->capacity && grow(listing, err) < 0)
        return -1;
    list->records[list->count++] = image_record_ref(record);
    return 0;
}

static int take_image(struct listing *listing, struct json_object *entity, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error reason = ERROR_INIT;

    if (json_object_is_type(entity, json_type_object) &&
        image_record_from_json(entity, &record, &reason) == 0)
        return append(listing, record, err);
    log_debug(GLANCE_NAME ": left out of the list: %s", reason.message);
    return 0;
}

/* Where the next page starts: the last image's id, also when the rest of its record is bad. */
static void take_marker(struct json_object *entity, char ret[UUID_TEXT_BYTES])
{
    struct error ignored = ERROR_INIT;
    const char *id = NULL;

    ret[0] = '\0';
    if (json_object_is_type(entity, json_type_object) &&
        json_document_text(entity, "id", &id, &ignored) == 0 && id != NULL && uuid_is_valid(id))
        (void)snprintf(ret, UUID_TEXT_BYTES, "%s", id);
}

static int take_images(struct listing *listing, struct json_object *images, struct error *err)
{
    const size_t count = json_object_array_length(images);
    char last[UUID_TEXT_BYTES] = "";

    listing->seen += count;
    if (listing->seen > LIMIT_IMAGES)
        return error_set(err, ERROR_TOO_LARGE, "more than %d images", LIMIT_IMAGES);
    for (size_t i = 0; i < count; i++)
        if (take_image(listing, json_object_array_get_idx(images, i), err) < 0)
            return -1;
    if (count > 0)
        take_marker(json_object_array_get_idx(images, count - 1), last);
    if (!listing->is_complete && (last[0] == '\0' || strcmp(last, listing->marker) == 0))
        return error_set(err, ERROR_INVALID, "it goes on but leads nowhere");
    (void)snprintf(listing->marker, sizeof listing->marker, "%s", last);
    return 0;
}

static int take_page(struct listing *listing, const struct http_response *response,
                     struct error *err)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;
    struct json_object *images;

    if (json_document_parse_within(response->body == NULL ? "" : response->body,
                                   response->body_size, LIMIT_LIST_PAGE_BYTES, &document, err) < 0)
        return -1;
    images = json_object_object_get(document, "images");
    if (!json_object_is_type(images, json_type_array))
        return error_set(err, ERROR_INVALID, "there is none");
    listing->is_complete = json_object_object_get(document, "next") == NULL;
    return take_images(listing, images, err);
}

/* --- asking --- */

static int get_page(const struct listing *listing, struct http_response *response,
                    struct error *err)
{
    const struct http_request request = {
        .method = HTTP_GET, .answer_limit = LIMIT_LIST_PAGE_BYTES, .is_repeatable = true};
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof path, GLANCE_IMAGES_PATH "?limit=%u%s%s", listing->page_size,
                   listing->marker[0] == '\0' ? "" : "&marker=", listing->marker);
    if (openstack_session_request(listing->session, OPENSTACK_IMAGE, path, &request,
                                  listing->cancel, response, err) < 0)
        return -1;
    return http_response_check(response, GLANCE_NAME, err);
}

/* Large records stand among small ones: behind them, pages grow again. */
static void enlarge_page(struct listing *listing)
{
    listing->page_size =
        listing->page_size < PAGE_IMAGES / 2 ? 2 * listing->page_size : PAGE_IMAGES;
}

static int list_page(struct listing *listing, struct error *err)
{
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;

    while (get_page(listing, &response, err) < 0) {
        if (err->kind != ERROR_TOO_LARGE || listing->page_size == 1)
            return -1;
        http_response_clear(&response);
        listing->page_size /= 2;
    }
    if (take_page(listing, &response, err) < 0) {
        (void)error_prefix(err, GLANCE_NAME ": list of images");
        return http_response_name(&response, err);
    }
    enlarge_page(listing);
    return 0;
}

int glance_list(struct openstack_session *session, struct cancel *cancel, struct image_list **ret,
                struct error *err)
{
    CLEANUP(image_list_free) struct image_list *list = calloc(1, sizeof *list);
    struct listing listing = {
        .session = session, .cancel = cancel, .list = list, .page_size = PAGE_IMAGES};

    if (list == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    while (!listing.is_complete)
        if (list_page(&listing, err) < 0)
            return -1;
    *ret = steal(&list);
    return 0;
}
