/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/service_catalog.h"

#include "services/json_document.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_text(struct json_object *object, const char *name, const char *expected)
{
    const char *text = json_document_find_text(object, name);

    return text != NULL && strcmp(text, expected) == 0;
}

/* Older clouds name the region by `region` only. */
static bool is_in_region(struct json_object *endpoint, const char *region)
{
    return region == NULL || is_text(endpoint, "region_id", region) ||
           is_text(endpoint, "region", region);
}

static struct json_object *array_of(struct json_object *object, const char *name)
{
    struct json_object *member = NULL;

    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, name, &member) ||
        !json_object_is_type(member, json_type_array))
        return NULL;
    return member;
}

static struct json_object *find_endpoint(struct json_object *service, const char *interface,
                                         const char *region)
{
    struct json_object *endpoints = array_of(service, "endpoints");
    const size_t count = endpoints == NULL ? 0 : json_object_array_length(endpoints);

    for (size_t i = 0; i < count; i++) {
        struct json_object *endpoint = json_object_array_get_idx(endpoints, i);

        if (is_text(endpoint, "interface", interface) && is_in_region(endpoint, region) &&
            json_document_find_text(endpoint, "url") != NULL)
            return endpoint;
    }
    return NULL;
}

/* Bytes of `url` before a "/v2" or "/v2.0" at its end; a host may be called v2, too. */
static size_t length_without_version(const char *url, size_t length)
{
    size_t start = length;

    while (start > 0 && ((url[start - 1] >= '0' && url[start - 1] <= '9') || url[start - 1] == '.'))
        start--;
    if (start < length && start >= 3 && url[start - 1] == 'v' && url[start - 2] == '/' &&
        url[start - 3] != '/')
        return start - 2;
    return length;
}

static size_t length_without_slashes(const char *url, size_t length)
{
    while (length > 0 && url[length - 1] == '/')
        length--;
    return length;
}

char *service_catalog_base_url(const char *url)
{
    size_t length = length_without_slashes(url, strlen(url));

    length = length_without_slashes(url, length_without_version(url, length));
    return strndup(url, length);
}

/* Its URL is a text. */
static struct json_object *find(struct json_object *catalog, const char *type,
                                const char *interface, const char *region)
{
    const bool is_array = json_object_is_type(catalog, json_type_array);
    const size_t count = is_array ? json_object_array_length(catalog) : 0;
    struct json_object *endpoint = NULL;

    for (size_t i = 0; endpoint == NULL && i < count; i++) {
        struct json_object *service = json_object_array_get_idx(catalog, i);

        if (is_text(service, "type", type))
            endpoint = find_endpoint(service, interface, region);
    }
    return endpoint;
}

int service_catalog_find(struct json_object *catalog, const char *type, const char *interface,
                         const char *region, char **ret, struct error *err)
{
    struct json_object *endpoint = find(catalog, type, interface, region);

    *ret = NULL;
    if (endpoint == NULL)
        return 0;
    *ret = service_catalog_base_url(json_document_find_text(endpoint, "url"));
    return *ret == NULL ? error_set(err, ERROR_EXHAUSTED, "out of memory") : 0;
}

const char *service_catalog_region(struct json_object *catalog, const char *type,
                                   const char *interface, const char *region)
{
    struct json_object *endpoint = find(catalog, type, interface, region);
    const char *name = json_document_find_text(endpoint, "region_id");

    return name != NULL ? name : json_document_find_text(endpoint, "region");
}
