/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/image_report.h"

#include <inttypes.h>
#include <json-c/json_object.h>
#include <stdio.h>
#include <string.h>

DEFINE_CLEANUP(struct json_object, json_object_put)

#define TABLE_FORMAT "%-36s  %-14s  %15s  %-6s  %-36s  "
#define SIZE_TEXT_BYTES 21

/* C0, DEL and C1 (U+0080 to U+009F, whose UTF-8 begins with C2) could steer a terminal. */
void image_report_text(const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text;
        const unsigned char next = (unsigned char)text[1];

        if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
            (void)putchar('?');
            text++;
        } else {
            (void)putchar(byte < 0x20 || byte == 0x7f ? '?' : byte);
        }
    }
    (void)putchar('\n');
}

static void print_row(const struct image_record *record)
{
    const char *name = image_record_name(record);
    char size_text[SIZE_TEXT_BYTES] = "-";
    char key_id[37] = "-";
    struct error ignored = ERROR_INIT;
    const char *format;
    uint64_t size;

    if (image_record_encryption(record, &format) == IMAGE_ENCRYPTION_UNSUPPORTED)
        format = "other";
    if (image_record_encrypt_key_id(record, key_id, &ignored) < 0)
        (void)snprintf(key_id, sizeof key_id, "-");
    if (image_record_size(record, &size))
        (void)snprintf(size_text, sizeof size_text, "%" PRIu64, size);
    (void)printf(TABLE_FORMAT, image_record_id(record),
                 image_status_name(image_record_status(record)), size_text, format, key_id);
    image_report_text(name == NULL ? "-" : name);
}

void image_report_table(const struct image_list *list)
{
    (void)printf(TABLE_FORMAT "%s\n", "ID", "STATUS", "SIZE", "FORMAT", "KEY", "NAME");
    for (size_t i = 0; i < list->count; i++)
        print_row(list->records[i]);
}

void image_report_properties(const struct image_record *record)
{
    for (size_t i = 0; i < image_record_property_count(record); i++) {
        struct image_property property = image_record_property_at(record, i);

        (void)printf("%-28s ", property.name);
        image_report_text(property.value);
    }
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static struct json_object *json_value(const struct image_property *property)
{
    static const char *const numbers[] = {"size", "virtual_size", "min_disk", "min_ram"};
    static const char *const booleans[] = {"protected", "os_hidden"};

    if (is_one_of(property->name, numbers, sizeof numbers / sizeof numbers[0]))
        return json_object_new_int64(strtoll(property->value, NULL, 10));
    if (is_one_of(property->name, booleans, sizeof booleans / sizeof booleans[0]))
        return json_object_new_boolean(strcmp(property->value, "true") == 0);
    return json_object_new_string(property->value);
}

static int add_member(struct json_object *object, const char *name, struct json_object *value,
                      struct error *err)
{
    if (json_object_object_add(object, name, value) == 0)
        return 0;
    (void)json_object_put(value);
    return error_set(err, ERROR_EXHAUSTED, "out of memory");
}

static int to_json(const struct image_record *record, struct json_object **ret, struct error *err)
{
    static const char *const always[] = {"id", "name", "status", "size"};
    CLEANUP(json_object_put) struct json_object *object = json_object_new_object();

    for (size_t i = 0; object != NULL && i < sizeof always / sizeof always[0]; i++)
        if (add_member(object, always[i], NULL, err) < 0)
            return -1;
    for (size_t i = 0; object != NULL && i < image_record_property_count(record); i++) {
        struct image_property property = image_record_property_at(record, i);

        if (add_member(object, property.name, json_value(&property), err) < 0)
            return -1;
    }
    if (object == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    *ret = steal(&object);
    return 0;
}

static void print_json(struct json_object *object)
{
    (void)puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
                                                          JSON_C_TO_STRING_NOSLASHESCAPE));
}

int image_report_json(const struct image_record *record, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *object = NULL;

    if (to_json(record, &object, err) < 0)
        return -1;
    print_json(object);
    return 0;
}

int image_report_json_list(const struct image_list *list, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *array = json_object_new_array();

    if (array == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < list->count; i++) {
        struct json_object *object = NULL;

        if (to_json(list->records[i], &object, err) < 0)
            return -1;
        if (json_object_array_add(array, object) < 0) {
            (void)json_object_put(object);
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
        }
    }
    print_json(array);
    return 0;
}
