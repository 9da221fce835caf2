/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/image_overview.h"

#include "base/uuid.h"
#include "cli/image_report.h"
#include "cli/key_states.h"
#include "glancefs/ciphertext_cache.h"

#include <inttypes.h>
#include <json-c/json_object.h>
#include <stdio.h>

DEFINE_CLEANUP(struct json_object, json_object_put)

#define TABLE_FORMAT "%-36s  %-11s  %15s  %15s  %-6s  %-8s  %-6s  "
#define SIZE_TEXT_BYTES 21

/* All that is told about one image. */
struct overview {
    const struct image_record *record;
    const char *format;
    bool has_size, has_plaintext_size;
    uint64_t size, plaintext_size;
    char key_id[UUID_TEXT_BYTES]; /* empty without one */
    const char *key;
    bool is_cached;
};

/* Where to look beyond the record. */
struct sources {
    struct key_states *keys;
    const char *cache; /* NULL: none */
};

static void examine(const struct image_record *record, const struct sources *sources,
                    struct overview *ret)
{
    struct error ignored = ERROR_INIT;

    *ret = (struct overview){.record = record, .key = "none"};
    (void)image_record_encryption(record, &ret->format);
    ret->has_size = image_record_size(record, &ret->size);
    if (image_record_decrypt_size(record, &ret->has_plaintext_size, &ret->plaintext_size,
                                  &ignored) < 0)
        ret->has_plaintext_size = false;
    if (image_record_encrypt_key_id(record, ret->key_id, &ignored) == 0)
        ret->key = key_states_get(sources->keys, ret->key_id);
    else
        ret->key_id[0] = '\0';
    ret->is_cached =
        sources->cache != NULL && ciphertext_cache_directory_has(sources->cache, record);
}

/* --- table --- */

static void print_number(bool is_known, uint64_t number, char ret[SIZE_TEXT_BYTES])
{
    if (is_known)
        (void)snprintf(ret, SIZE_TEXT_BYTES, "%" PRIu64, number);
    else
        (void)snprintf(ret, SIZE_TEXT_BYTES, "-");
}

static void print_row(const struct overview *overview)
{
    const char *name = image_record_name(overview->record);
    char size[SIZE_TEXT_BYTES];
    char plaintext_size[SIZE_TEXT_BYTES];

    print_number(overview->has_size, overview->size, size);
    print_number(overview->has_plaintext_size, overview->plaintext_size, plaintext_size);
    (void)printf(TABLE_FORMAT, image_record_id(overview->record),
                 image_status_name(image_record_status(overview->record)), size, plaintext_size,
                 overview->format, overview->key, overview->is_cached ? "yes" : "no");
    image_report_text(name == NULL ? "-" : name);
}

/* --- JSON --- */

/* Adds `value`, which may be NULL for null; takes it over. */
static bool add(struct json_object *object, const char *name, struct json_object *value)
{
    if (json_object_object_add(object, name, value) == 0)
        return true;
    (void)json_object_put(value);
    return false;
}

static struct json_object *number_or_null(bool is_known, uint64_t number)
{
    return is_known ? json_object_new_uint64(number) : NULL;
}

static struct json_object *text_or_null(const char *text)
{
    return text == NULL || *text == '\0' ? NULL : json_object_new_string(text);
}

static int append_json(struct json_object *array, const struct overview *overview,
                       struct error *err)
{
    CLEANUP(json_object_put) struct json_object *object = json_object_new_object();
    const struct image_record *record = overview->record;

    if (object == NULL || !add(object, "id", text_or_null(image_record_id(record))) ||
        !add(object, "name", text_or_null(image_record_name(record))) ||
        !add(object, "status", text_or_null(image_status_name(image_record_status(record)))) ||
        !add(object, "size", number_or_null(overview->has_size, overview->size)) ||
        !add(object, "plaintext_size",
             number_or_null(overview->has_plaintext_size, overview->plaintext_size)) ||
        !add(object, "format", text_or_null(overview->format)) ||
        !add(object, "key_id", text_or_null(overview->key_id)) ||
        !add(object, "key", text_or_null(overview->key)) ||
        !add(object, "cached", json_object_new_boolean(overview->is_cached)) ||
        json_object_array_add(array, object) < 0)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    object = NULL; /* the array's now */
    return 0;
}

/* --- both --- */

static bool is_shown(const struct image_record *record)
{
    return image_record_encryption(record, NULL) == IMAGE_ENCRYPTION_GPG;
}

static void print_table(const struct image_list *list, const struct sources *sources)
{
    (void)printf(TABLE_FORMAT "%s\n", "ID", "STATUS", "SIZE", "PLAINTEXT", "FORMAT", "KEY",
                 "CACHED", "NAME");
    for (size_t i = 0; i < list->count; i++) {
        struct overview overview;

        if (!is_shown(list->records[i]))
            continue;
        examine(list->records[i], sources, &overview);
        print_row(&overview);
    }
}

static int print_json(const struct image_list *list, const struct sources *sources,
                      struct error *err)
{
    CLEANUP(json_object_put) struct json_object *array = json_object_new_array();

    if (array == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < list->count; i++) {
        struct overview overview;

        if (!is_shown(list->records[i]))
            continue;
        examine(list->records[i], sources, &overview);
        if (append_json(array, &overview, err) < 0)
            return -1;
    }
    (void)puts(json_object_to_json_string_ext(array, JSON_C_TO_STRING_PLAIN |
                                                         JSON_C_TO_STRING_NOSLASHESCAPE));
    return 0;
}

int image_overview_print(struct cloud *cloud, const char *cache, bool as_json, struct error *err)
{
    CLEANUP(image_list_free) struct image_list *list = NULL;
    CLEANUP(key_states_free) struct key_states *keys = NULL;
    struct sources sources = {.cache = cache};

    if (image_service_list(cloud->images, NULL, &list, err) < 0 ||
        key_states_new(cloud->keys, &keys, err) < 0)
        return -1;
    sources.keys = keys;
    if (as_json)
        return print_json(list, &sources, err);
    print_table(list, &sources);
    return 0;
}
