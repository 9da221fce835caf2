/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata of cached objects: what is read prints as it was. A first line that does not begin with a
 * brace is the object's name; without one it is that of the vectors.
 */
#include "cache/object_metadata.h"
#include "fuzz_main.h"

#include <stdio.h>
#include <string.h>

#define SHA512                                                                                     \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"                             \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define USUAL_NAME "11111111-2222-4333-8444-555555555555." SHA512

static void assert_metadata(const struct object_metadata *metadata, const char *name)
{
    char own_name[CACHE_OBJECT_NAME_BYTES];

    object_metadata_name(metadata, own_name);
    FUZZ_ASSERT(strcmp(own_name, name) == 0);
    FUZZ_ASSERT(uuid_is_valid(metadata->image_id));
    FUZZ_ASSERT(metadata->key_id[0] == '\0' || uuid_is_valid(metadata->key_id));
    FUZZ_ASSERT(metadata->fetched_at >= 0);
    FUZZ_ASSERT(metadata->size <= INT64_MAX ||
                (metadata->size == OBJECT_SIZE_UNKNOWN && metadata->fetched_at == 0));
    FUZZ_ASSERT(object_metadata_is_same(metadata, metadata));
    FUZZ_ASSERT(strchr(name, '/') == NULL);
}

/* Steps over the name. */
static const char *take_name(const uint8_t **data, size_t *size, char ret[CACHE_OBJECT_NAME_BYTES])
{
    const uint8_t *end = *size == 0 || **data == '{' ? NULL : memchr(*data, '\n', *size);
    const size_t length = end == NULL ? 0 : (size_t)(end - *data);

    if (end == NULL || length >= CACHE_OBJECT_NAME_BYTES)
        return USUAL_NAME;
    memcpy(ret, *data, length);
    ret[length] = '\0';
    *data += length + 1;
    *size -= length + 1;
    return ret;
}

void fuzz_one(const uint8_t *data, size_t size)
{
    char buffer[CACHE_OBJECT_NAME_BYTES];
    char printed[OBJECT_METADATA_TEXT_BYTES];
    const char *name = take_name(&data, &size, buffer);
    struct object_metadata metadata;
    struct error err = ERROR_INIT;

    if (object_metadata_parse(name, (const char *)data, size, &metadata, &err) < 0) {
        FUZZ_ASSERT(err.kind == ERROR_CORRUPT || err.kind == ERROR_UNSUPPORTED ||
                    (err.kind == ERROR_EXHAUSTED && fuzz_allocations_fail()));
        fuzz_assert_plain(&err);
        return;
    }
    FUZZ_ASSERT(size < OBJECT_METADATA_TEXT_BYTES);
    FUZZ_ASSERT(object_metadata_print(&metadata, printed) == size &&
                memcmp(printed, data, size) == 0);
    assert_metadata(&metadata, name);
}
