/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/image_record.h"

#include "base/uuid.h"
#include "glancefs/limits.h"
#include "services/image_encryption.h"
#include "services/image_record_json.h"
#include "services/iso_date.h"
#include "services/json_document.h"

#include <json-c/json_object_iterator.h>
#include <stdatomic.h>
#include <string.h>

/* One allocation: the struct, its properties, then the text they point into. */
struct image_record {
    atomic_uint references;
    enum image_status status;
    bool has_size;
    uint64_t size_bytes;
    size_t memory_bytes; /* of this allocation */
    int64_t updated_at;
    enum image_encryption encryption;
    char encryption_format[IMAGE_FORMAT_NAME_BYTES];
    size_t count;
    struct image_property properties[];
};

static const char *const status_names[] = {
    [IMAGE_STATUS_QUEUED] = "queued",           [IMAGE_STATUS_SAVING] = "saving",
    [IMAGE_STATUS_UPLOADING] = "uploading",     [IMAGE_STATUS_IMPORTING] = "importing",
    [IMAGE_STATUS_ACTIVE] = "active",           [IMAGE_STATUS_KILLED] = "killed",
    [IMAGE_STATUS_DELETED] = "deleted",         [IMAGE_STATUS_PENDING_DELETE] = "pending_delete",
    [IMAGE_STATUS_DEACTIVATED] = "deactivated",
};

/* What Glance's schema says of the properties that we or our users act on. */
enum property_type { PROPERTY_ANY, PROPERTY_SCALAR, PROPERTY_TEXT, PROPERTY_SIZE };

static const struct {
    const char *name;
    enum property_type type;
} base_properties[] = {
    {"id", PROPERTY_TEXT},           {"name", PROPERTY_TEXT},
    {"status", PROPERTY_TEXT},       {"owner", PROPERTY_TEXT},
    {"visibility", PROPERTY_TEXT},   {"checksum", PROPERTY_TEXT},
    {"os_hash_algo", PROPERTY_TEXT}, {"os_hash_value", PROPERTY_TEXT},
    {"created_at", PROPERTY_TEXT},   {"updated_at", PROPERTY_TEXT},
    {"disk_format", PROPERTY_TEXT},  {"container_format", PROPERTY_TEXT},
    {"size", PROPERTY_SIZE},         {"virtual_size", PROPERTY_SIZE},
    {"min_disk", PROPERTY_SIZE},     {"min_ram", PROPERTY_SIZE},
};

/* Properties we judge by: one of them that is a list or an object must not look absent. */
static const char *const scalar_prefixes[] = {
    "os_encrypt_",        "os_decrypt_",    "os_glance_encrypt_",
    "os_glance_decrypt_", "cinder_encrypt", "img_signature",
};

const char *image_status_name(enum image_status status)
{
    return status_names[status];
}

static enum property_type property_type(const char *name)
{
    for (size_t i = 0; i < sizeof base_properties / sizeof base_properties[0]; i++)
        if (strcmp(name, base_properties[i].name) == 0)
            return base_properties[i].type;
    for (size_t i = 0; i < sizeof scalar_prefixes / sizeof scalar_prefixes[0]; i++)
        if (strncmp(name, scalar_prefixes[i], strlen(scalar_prefixes[i])) == 0)
            return PROPERTY_SCALAR;
    return PROPERTY_ANY;
}

static bool is_scalar(struct json_object *value)
{
    return value != NULL && !json_object_is_type(value, json_type_object) &&
           !json_object_is_type(value, json_type_array);
}

/* json-c cuts a number that does not fit at the type's end, so the last one means "too big". */
static bool is_size(struct json_object *value)
{
    int64_t number = json_object_get_int64(value);

    return json_object_is_type(value, json_type_int) && number >= 0 && number < INT64_MAX;
}

static int check_property(const char *name, struct json_object *value, struct error *err)
{
    enum property_type type = property_type(name);

    if (strlen(name) > LIMIT_PROPERTY_NAME_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "a property name longer than %d bytes",
                         LIMIT_PROPERTY_NAME_BYTES);
    if (value == NULL || type == PROPERTY_ANY)
        return 0;
    if (type == PROPERTY_TEXT && !json_object_is_type(value, json_type_string))
        return error_set(err, ERROR_INVALID, "%s is not a string", name);
    if (type == PROPERTY_SIZE && !is_size(value))
        return error_set(err, ERROR_INVALID, "%s is not a number from 0 on", name);
    if (type == PROPERTY_SCALAR && !is_scalar(value))
        return error_set(err, ERROR_INVALID, "%s is not a plain value", name);
    return 0;
}

static const char *scalar_text(struct json_object *value)
{
    return json_object_is_type(value, json_type_string) ? json_object_get_string(value)
                                                        : json_document_print(value, NULL);
}

/* Checks every member; *ret_bytes is what the record's properties and their text take. */
static int measure(struct json_object *entity, size_t *ret_count, size_t *ret_bytes,
                   struct error *err)
{
    struct json_object_iterator end = json_object_iter_end(entity);
    struct json_object_iterator i = json_object_iter_begin(entity);

    *ret_count = 0;
    *ret_bytes = 0;
    for (; !json_object_iter_equal(&i, &end); json_object_iter_next(&i)) {
        const char *name = json_object_iter_peek_name(&i);
        struct json_object *value = json_object_iter_peek_value(&i);
        const char *text;

        if (check_property(name, value, err) < 0)
            return -1;
        if (!is_scalar(value))
            continue;
        /* Once printed it stays with the value. */
        text = scalar_text(value);
        if (text == NULL)
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
        ++*ret_count;
        *ret_bytes += sizeof(struct image_property) + strlen(name) + strlen(text) + 2;
    }
    if (*ret_count > LIMIT_IMAGE_PROPERTIES)
        return error_set(err, ERROR_TOO_LARGE, "%zu properties, over the limit of %d", *ret_count,
                         LIMIT_IMAGE_PROPERTIES);
    return 0;
}

/* Copies `text` with its NUL to *cursor, which moves behind it. */
static const char *place(char **cursor, const char *text)
{
    const char *copy = *cursor;
    size_t size = strlen(text) + 1;

    memcpy(*cursor, text, size);
    *cursor += size;
    return copy;
}

static void fill(struct image_record *record, struct json_object *entity, size_t count)
{
    struct json_object_iterator end = json_object_iter_end(entity);
    struct json_object_iterator i = json_object_iter_begin(entity);
    char *cursor = (char *)(record->properties + count);

    for (; !json_object_iter_equal(&i, &end); json_object_iter_next(&i)) {
        struct json_object *value = json_object_iter_peek_value(&i);

        if (!is_scalar(value))
            continue;
        record->properties[record->count].name = place(&cursor, json_object_iter_peek_name(&i));
        record->properties[record->count].value = place(&cursor, scalar_text(value));
        record->count++;
    }
}

static int parse_status(struct image_record *record, struct error *err)
{
    const char *status = image_record_property(record, "status");

    if (status == NULL)
        return error_set(err, ERROR_INVALID, "status is missing");
    for (size_t i = 0; i < sizeof status_names / sizeof status_names[0]; i++) {
        if (strcmp(status, status_names[i]) == 0) {
            record->status = (enum image_status)i;
            return 0;
        }
    }
    return error_set(err, ERROR_INVALID, "unknown status '%s'", status);
}

/* Everything with a meaning of its own; called once the properties are in place. */
static int interpret(struct image_record *record, struct json_object *entity, struct error *err)
{
    const char *id = image_record_id(record);
    struct json_object *size = json_object_object_get(entity, "size");

    if (id == NULL || !uuid_is_valid(id))
        return error_set(err, ERROR_INVALID, id == NULL ? "id is missing" : "id is no UUID");
    if (parse_status(record, err) < 0)
        return -1;
    record->has_size = size != NULL;
    record->size_bytes = size != NULL ? (uint64_t)json_object_get_int64(size) : 0;
    if (!iso_date_parse(image_record_property(record, "updated_at"), &record->updated_at) &&
        !iso_date_parse(image_record_property(record, "created_at"), &record->updated_at))
        record->updated_at = 0;
    record->encryption = image_encryption_judge(record, record->encryption_format);
    return 0;
}

int image_record_from_json(struct json_object *entity, struct image_record **ret, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    size_t count;
    size_t bytes;

    if (measure(entity, &count, &bytes, err) < 0)
        return -1;
    if (bytes - count * sizeof(struct image_property) > LIMIT_RECORD_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "a record of %zu bytes, over the limit of %zu",
                         bytes, LIMIT_RECORD_BYTES);
    record = calloc(1, sizeof *record + bytes);
    if (record == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    record->memory_bytes = sizeof *record + bytes;
    atomic_init(&record->references, 1);
    fill(record, entity, count);
    if (interpret(record, entity, err) < 0)
        return -1;
    *ret = steal(&record);
    return 0;
}

size_t image_record_memory(const struct image_record *record)
{
    return record->memory_bytes;
}

int image_record_parse(const char *json, size_t size, struct image_record **ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *entity = NULL;

    if (json_document_parse(json, size, &entity, err) < 0)
        return -1;
    return image_record_from_json(entity, ret, err);
}

struct image_record *image_record_ref(struct image_record *record)
{
    atomic_fetch_add_explicit(&record->references, 1, memory_order_relaxed);
    return record;
}

void image_record_unref(struct image_record *record)
{
    if (record == NULL)
        return;
    if (atomic_fetch_sub_explicit(&record->references, 1, memory_order_acq_rel) == 1)
        free(record);
}

const char *image_record_id(const struct image_record *record)
{
    return image_record_property(record, "id");
}

const char *image_record_name(const struct image_record *record)
{
    return image_record_property(record, "name");
}

enum image_status image_record_status(const struct image_record *record)
{
    return record->status;
}

const char *image_record_owner(const struct image_record *record)
{
    return image_record_property(record, "owner");
}

bool image_record_size(const struct image_record *record, uint64_t *ret)
{
    if (record->has_size)
        *ret = record->size_bytes;
    return record->has_size;
}

const char *image_record_checksum(const struct image_record *record)
{
    return image_record_property(record, "checksum");
}

const char *image_record_hash_algo(const struct image_record *record)
{
    return image_record_property(record, "os_hash_algo");
}

const char *image_record_hash_value(const struct image_record *record)
{
    return image_record_property(record, "os_hash_value");
}

int64_t image_record_updated_at(const struct image_record *record)
{
    return record->updated_at;
}

const char *image_record_property(const struct image_record *record, const char *name)
{
    for (size_t i = 0; i < record->count; i++)
        if (strcmp(record->properties[i].name, name) == 0)
            return record->properties[i].value;
    return NULL;
}

size_t image_record_property_count(const struct image_record *record)
{
    return record->count;
}

struct image_property image_record_property_at(const struct image_record *record, size_t index)
{
    return record->properties[index];
}

enum image_encryption image_record_encryption(const struct image_record *record,
                                              const char **ret_format)
{
    if (ret_format != NULL)
        *ret_format = record->encryption_format;
    return record->encryption;
}
