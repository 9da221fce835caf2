/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of Glance, Keystone's first: lists of images, page by page, and what the other calls get. The
 * first octet picks the call. Whatever `next` says, only Glance's own paths are asked.
 */
#include "base/uuid.h"
#include "counting_sink.h"
#include "fuzz_main.h"
#include "glancefs/image_service.h"
#include "glancefs/limits.h"
#include "http_answers.h"
#include "planted_secret.h"
#include "services/openstack/glance.h"
#include "support/memory_source.h"

#include <string.h>

#define IMAGE_ID "7b97a3a7-3d5c-4b6f-9f4e-2f1f3a5d9c10"
#define IMAGES_URL "https://glance/v2/images"
#define OFFSET 5

/* Letters, so that seeds can be read. */
enum call {
    CALL_LIST = 'l',
    CALL_IMAGE = 'i',
    CALL_DOWNLOAD = 'd',
    CALL_CREATE = 'c',
    CALL_UPDATE = 'u',
    CALL_UPLOAD = 'p',
    CALL_REMOVE = 'r'
};

/* The first is for a new image only: without it the id would be a random one. */
static const struct image_property properties[] = {
    {"id", IMAGE_ID}, {"os_encrypt_format", "GPG"}, {"a/b~c", "\"\\\n"}};

/* "?limit=N" or "?limit=N&marker=UUID". */
static void assert_query(const char *query)
{
    static const char limit[] = "?limit=";
    static const char marker[] = "&marker=";

    FUZZ_ASSERT(strncmp(query, limit, sizeof limit - 1) == 0);
    query += sizeof limit - 1;
    FUZZ_ASSERT(strspn(query, "0123456789") > 0);
    query += strspn(query, "0123456789");
    FUZZ_ASSERT(*query == '\0' || strncmp(query, marker, sizeof marker - 1) == 0);
    FUZZ_ASSERT(*query == '\0' || uuid_is_valid(query + sizeof marker - 1));
}

static void assert_asks_glance(const struct http_request *request)
{
    const char *rest = request->url + sizeof IMAGES_URL - 1;

    if (request->secret_body != NULL)
        return;
    FUZZ_ASSERT(request->token != NULL);
    FUZZ_ASSERT(strncmp(request->url, IMAGES_URL, sizeof IMAGES_URL - 1) == 0);
    if (strcmp(rest, "/" IMAGE_ID) == 0 || strcmp(rest, "/" IMAGE_ID "/file") == 0 ||
        (request->method == HTTP_POST && *rest == '\0'))
        return;
    FUZZ_ASSERT(request->method == HTTP_GET);
    assert_query(rest);
}

static int list(struct image_service *images, struct error *err)
{
    CLEANUP(image_list_free) struct image_list *found = NULL;

    if (image_service_list(images, NULL, &found, err) < 0)
        return -1;
    FUZZ_ASSERT(found->count <= LIMIT_IMAGES);
    for (size_t i = 0; i < found->count; i++)
        FUZZ_ASSERT(uuid_is_valid(image_record_id(found->records[i])));
    return 0;
}

static int get(struct image_service *images, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    if (image_service_get(images, IMAGE_ID, NULL, &record, err) < 0)
        return -1;
    FUZZ_ASSERT(strcmp(image_record_id(record), IMAGE_ID) == 0);
    return 0;
}

static int create(struct image_service *images, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    if (image_service_create(images, properties, 3, NULL, &record, err) < 0)
        return -1;
    FUZZ_ASSERT(uuid_is_valid(image_record_id(record)));
    return 0;
}

static int upload(struct image_service *images, struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;

    fuzz_allocations_succeed();
    source = memory_source_new("uploaded", 8, NULL);
    fuzz_allocations_may_fail();
    return image_service_upload(images, IMAGE_ID, source, NULL, err);
}

static int download(struct image_service *images, struct error *err)
{
    static const char json[] = "{\"id\":\"" IMAGE_ID "\",\"status\":\"active\",\"size\":12}";
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct counting_sink counting = counting_sink_of();

    fuzz_allocations_succeed();
    FUZZ_ASSERT(image_record_parse(json, sizeof json - 1, &record, err) == 0);
    fuzz_allocations_may_fail();
    return image_service_download(images, record, OFFSET, &counting.sink, NULL, err);
}

static int make_call(struct image_service *images, enum call call, struct error *err)
{
    switch (call) {
    case CALL_IMAGE:
        return get(images, err);
    case CALL_DOWNLOAD:
        return download(images, err);
    case CALL_CREATE:
        return create(images, err);
    case CALL_UPDATE:
        return image_service_update(images, IMAGE_ID, properties + 1, 2, NULL, err);
    case CALL_UPLOAD:
        return upload(images, err);
    case CALL_REMOVE:
        return image_service_remove(images, IMAGE_ID, NULL, err);
    case CALL_LIST:
    default:
        return list(images, err);
    }
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(openstack_session_free) struct openstack_session *session = NULL;
    CLEANUP(image_service_free) struct image_service *images = NULL;
    struct error err = ERROR_INIT;

    if (size == 0)
        return;
    http_answers_begin(data + 1, size - 1, assert_asks_glance);
    session = http_answers_session();
    if (session == NULL || glance_new(session, &images, &err) < 0)
        return;
    if (make_call(images, (enum call)data[0], &err) == 0)
        return;
    FUZZ_ASSERT(error_is_set(&err));
    FUZZ_ASSERT(!http_answers_are_discreet() || !planted_secret_is_told(&err));
    fuzz_assert_plain(&err);
}
