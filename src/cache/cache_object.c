/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_object.h"

#include "cache/object_metadata.h"

#include <stdio.h>
#include <stdlib.h>

void cache_object_name(const struct image_record *record, char ret[CACHE_OBJECT_NAME_BYTES])
{
    struct object_metadata metadata;

    object_metadata_of(record, &metadata);
    object_metadata_name(&metadata, ret);
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
