/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of Glance, Keystone's first: lists of images, page by page, and, when the first octet is
 * 'i', one image. Whatever `next` says, only Glance's own paths are asked.
 */
#include "base/uuid.h"
#include "fuzz_main.h"
#include "glancefs/image_service.h"
#include "glancefs/limits.h"
#include "http_answers.h"
#include "planted_secret.h"
#include "services/openstack/glance.h"

#include <string.h>

#define IMAGE_ID "7b97a3a7-3d5c-4b6f-9f4e-2f1f3a5d9c10"
#define IMAGES_URL "https://glance/v2/images"
#define CALL_IMAGE 'i'

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
    FUZZ_ASSERT(request->method == HTTP_GET && request->token != NULL);
    FUZZ_ASSERT(strncmp(request->url, IMAGES_URL, sizeof IMAGES_URL - 1) == 0);
    if (strcmp(rest, "/" IMAGE_ID) != 0)
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
    if ((data[0] == CALL_IMAGE ? get(images, &err) : list(images, &err)) == 0)
        return;
    FUZZ_ASSERT(error_is_set(&err));
    FUZZ_ASSERT(!http_answers_are_discreet() || !planted_secret_is_told(&err));
    fuzz_assert_plain(&err);
}
