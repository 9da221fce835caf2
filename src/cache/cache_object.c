/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_object.h"

#include "crypto/hash.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_digest(const char *text)
{
    const size_t length = strspn(text, "0123456789abcdefABCDEF");

    return text[length] == '\0' && length > 0 && length <= 2 * (size_t)HASH_MAXIMUM_BYTES;
}

void cache_object_name(const struct image_record *record, char ret[CACHE_OBJECT_NAME_BYTES])
{
    const char *value = image_record_hash_value(record);

    if (value == NULL)
        value = image_record_checksum(record);
    if (value == NULL || !is_digest(value))
        value = "";
    (void)snprintf(ret, CACHE_OBJECT_NAME_BYTES, "%s%s%s", image_record_id(record),
                   *value == '\0' ? "" : ".", value);
    for (char *digit = ret + strlen(image_record_id(record)); *digit != '\0'; digit++)
        *digit = (char)tolower((unsigned char)*digit);
}

int cache_object_new(const char *name, uint64_t size, struct gmac_table *tags,
                     struct cache_object **ret, struct error *err)
{
    struct cache_object *object = calloc(1, sizeof *object);

    if (object == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    atomic_init(&object->references, 1);
    (void)snprintf(object->name, sizeof object->name, "%s", name);
    object->tags = tags;
    object->size = size;
    *ret = object;
    return 0;
}

struct cache_object *cache_object_ref(struct cache_object *object)
{
    atomic_fetch_add(&object->references, 1);
    return object;
}

void cache_object_unref(struct cache_object *object)
{
    if (object == NULL || atomic_fetch_sub(&object->references, 1) > 1)
        return;
    gmac_table_free(object->tags);
    free(object);
}
