/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/object_metadata.h"

#include "glancefs/limits.h"

#include <ctype.h>
#include <inttypes.h>
#include <json-c/json_object.h>
#include <json-c/json_tokener.h>
#include <stdio.h>
#include <string.h>

/* The longest members fit with room to spare, so that printing needs no failure. */
_Static_assert(OBJECT_METADATA_TEXT_BYTES > 1024, "a metadata text fits");

#define HEX_DIGITS "0123456789abcdef"

DEFINE_CLEANUP(struct json_object, json_object_put)
DEFINE_CLEANUP(struct json_tokener, json_tokener_free)

static int damaged(struct error *err, const char *what)
{
    return error_set(err, ERROR_CORRUPT, "the metadata are damaged: %s", what);
}

/* --- what a record says --- */

/* A digest comes from outside: what is none, or does not fit, is left out. */
static void copy_digest(const char *digest, char *ret, size_t size)
{
    const size_t length = digest == NULL ? 0 : strlen(digest);

    ret[0] = '\0';
    if (length >= size || (digest != NULL && strspn(digest, HEX_DIGITS "ABCDEF") != length))
        return;
    for (size_t i = 0; i < length; i++)
        ret[i] = (char)tolower((unsigned char)digest[i]);
    ret[length] = '\0';
}

/* The names that hash functions go by: nothing that JSON would have to quote. */
static bool is_algorithm(const char *name)
{
    return name[strspn(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-")] ==
           '\0';
}

void object_metadata_of(const struct image_record *record, struct object_metadata *ret)
{
    const char *algorithm = image_record_hash_algo(record);
    struct error ignored = ERROR_INIT;

    *ret = (struct object_metadata){.size = OBJECT_SIZE_UNKNOWN};
    (void)snprintf(ret->image_id, sizeof ret->image_id, "%s", image_record_id(record));
    if (image_record_encrypt_key_id(record, ret->key_id, &ignored) < 0)
        ret->key_id[0] = '\0';
    (void)image_record_size(record, &ret->size);
    copy_digest(image_record_hash_value(record), ret->hash_value, sizeof ret->hash_value);
    copy_digest(image_record_checksum(record), ret->checksum, sizeof ret->checksum);
    if (ret->hash_value[0] != '\0' && algorithm != NULL && is_algorithm(algorithm) &&
        strlen(algorithm) < sizeof ret->hash_algo)
        (void)snprintf(ret->hash_algo, sizeof ret->hash_algo, "%s", algorithm);
}

bool object_metadata_is_same(const struct object_metadata *a, const struct object_metadata *b)
{
    return a->size == b->size && strcmp(a->image_id, b->image_id) == 0 &&
           strcmp(a->hash_algo, b->hash_algo) == 0 && strcmp(a->hash_value, b->hash_value) == 0 &&
           strcmp(a->checksum, b->checksum) == 0;
}

bool object_metadata_can_prove(const struct object_metadata *metadata)
{
    enum hash_algorithm algorithm;

    return metadata->checksum[0] != '\0' ||
           hash_algorithm_from_name(metadata->hash_algo, &algorithm);
}

void object_metadata_name(const struct object_metadata *metadata, char ret[CACHE_OBJECT_NAME_BYTES])
{
    const char *digest =
        metadata->hash_value[0] != '\0' ? metadata->hash_value : metadata->checksum;

    (void)snprintf(ret, CACHE_OBJECT_NAME_BYTES, "%s%s%s", metadata->image_id,
                   digest[0] == '\0' ? "" : ".", digest);
}

/* --- printing --- */

size_t object_metadata_print(const struct object_metadata *metadata,
                             char ret[OBJECT_METADATA_TEXT_BYTES])
{
    char size[sizeof "18446744073709551615"] = "null";
    int length;

    if (metadata->size != OBJECT_SIZE_UNKNOWN)
        (void)snprintf(size, sizeof size, "%" PRIu64, metadata->size);
    length = snprintf(ret, OBJECT_METADATA_TEXT_BYTES,
                      "{\n"
                      "  \"version\": %d,\n"
                      "  \"image_id\": \"%s\",\n"
                      "  \"key_id\": \"%s\",\n"
                      "  \"size\": %s,\n"
                      "  \"hash_algo\": \"%s\",\n"
                      "  \"hash_value\": \"%s\",\n"
                      "  \"checksum\": \"%s\",\n"
                      "  \"fetched_at\": %" PRId64 "\n"
                      "}\n",
                      OBJECT_METADATA_VERSION, metadata->image_id, metadata->key_id, size,
                      metadata->hash_algo, metadata->hash_value, metadata->checksum,
                      metadata->fetched_at);
    return (size_t)length;
}

/* --- parsing --- */

static int parse_json(const char *text, size_t size, struct json_object **ret, struct error *err)
{
    CLEANUP(json_tokener_free) struct json_tokener *tokener = json_tokener_new_ex(LIMIT_JSON_DEPTH);

    if (tokener == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (size >= OBJECT_METADATA_TEXT_BYTES)
        return damaged(err, "they are too large");
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
                                        JSON_TOKENER_ALLOW_TRAILING_CHARS);
    *ret = json_tokener_parse_ex(tokener, text, (int)size);
    if (!json_object_is_type(*ret, json_type_object)) {
        (void)json_object_put(*ret);
        *ret = NULL;
        return damaged(err, "they are no JSON object");
    }
    return 0;
}

/* json-c cuts what does not fit at the type's end; the comparison of the text shows that. */
static int take_number(struct json_object *object, const char *name, int64_t *ret,
                       struct error *err)
{
    struct json_object *member = json_object_object_get(object, name);

    if (!json_object_is_type(member, json_type_int) || json_object_get_int64(member) < 0)
        return damaged(err, name);
    *ret = json_object_get_int64(member);
    return 0;
}

static int take_text(struct json_object *object, const char *name, char *ret, size_t size,
                     struct error *err)
{
    struct json_object *member = json_object_object_get(object, name);

    if (!json_object_is_type(member, json_type_string) ||
        (size_t)json_object_get_string_len(member) >= size)
        return damaged(err, name);
    (void)snprintf(ret, size, "%s", json_object_get_string(member));
    return 0;
}

static int take_digest(struct json_object *object, const char *name, char *ret, size_t size,
                       struct error *err)
{
    if (take_text(object, name, ret, size, err) < 0)
        return -1;
    return ret[strspn(ret, HEX_DIGITS)] == '\0' ? 0 : damaged(err, name);
}

static int take_version(struct json_object *object, struct error *err)
{
    int64_t version = 0;

    if (take_number(object, "version", &version, err) < 0)
        return -1;
    if (version > OBJECT_METADATA_VERSION)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the metadata have format version %" PRId64
                         ", this glancefs knows up to %d",
                         version, OBJECT_METADATA_VERSION);
    return version > 0 ? 0 : damaged(err, "version");
}

static int take_ids(struct json_object *object, struct object_metadata *metadata, struct error *err)
{
    if (take_text(object, "image_id", metadata->image_id, sizeof metadata->image_id, err) < 0 ||
        take_text(object, "key_id", metadata->key_id, sizeof metadata->key_id, err) < 0)
        return -1;
    if (!uuid_is_valid(metadata->image_id))
        return damaged(err, "image_id");
    if (metadata->key_id[0] != '\0' && !uuid_is_valid(metadata->key_id))
        return damaged(err, "key_id");
    return 0;
}

static int take_hashes(struct json_object *object, struct object_metadata *metadata,
                       struct error *err)
{
    if (take_text(object, "hash_algo", metadata->hash_algo, sizeof metadata->hash_algo, err) < 0 ||
        take_digest(object, "hash_value", metadata->hash_value, sizeof metadata->hash_value, err) <
            0 ||
        take_digest(object, "checksum", metadata->checksum, sizeof metadata->checksum, err) < 0)
        return -1;
    if (!is_algorithm(metadata->hash_algo) ||
        (metadata->hash_algo[0] != '\0' && metadata->hash_value[0] == '\0'))
        return damaged(err, "hash_algo");
    return 0;
}

/* An object that is complete has a size. */
static int take_numbers(struct json_object *object, struct object_metadata *metadata,
                        struct error *err)
{
    struct json_object *member = NULL;
    int64_t size = 0;

    if (take_number(object, "fetched_at", &metadata->fetched_at, err) < 0)
        return -1;
    metadata->size = OBJECT_SIZE_UNKNOWN;
    if (json_object_object_get_ex(object, "size", &member) && member == NULL)
        return metadata->fetched_at == 0 ? 0 : damaged(err, "size");
    if (take_number(object, "size", &size, err) < 0)
        return -1;
    metadata->size = (uint64_t)size;
    return 0;
}

/* Finds unknown and doubled members, trailing bytes, cut numbers and texts all at once. */
static int check_canonical(const struct object_metadata *metadata, const char *text, size_t size,
                           struct error *err)
{
    char ours[OBJECT_METADATA_TEXT_BYTES];

    if (object_metadata_print(metadata, ours) != size || memcmp(ours, text, size) != 0)
        return damaged(err, "they are not as they were written");
    return 0;
}

int object_metadata_parse(const char *name, const char *text, size_t size,
                          struct object_metadata *ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *object = NULL;
    struct object_metadata metadata = {0};
    char own_name[CACHE_OBJECT_NAME_BYTES];

    if (parse_json(text, size, &object, err) < 0 || take_version(object, err) < 0 ||
        take_ids(object, &metadata, err) < 0 || take_hashes(object, &metadata, err) < 0 ||
        take_numbers(object, &metadata, err) < 0 || check_canonical(&metadata, text, size, err) < 0)
        return -1;
    object_metadata_name(&metadata, own_name);
    if (strcmp(own_name, name) != 0)
        return damaged(err, "they are of another object");
    *ret = metadata;
    return 0;
}
