/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cache_report.h"

#include "cli/json_line.h"
#include "cli/size_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define DATE_BYTES 32
#define NUMBER_BYTES 21
#define NO_LIMIT UINT64_MAX
#define TABLE_FORMAT "%-36s  %-10s  %15s  %15s  %-20s  %s\n"
#define USAGE_FORMAT "%-12s  %12s  %12s  %12s  %s\n"

const char *cached_object_state_name(enum cached_object_state state)
{
    switch (state) {
    case CACHED_OBJECT_READY:
        return "complete";
    case CACHED_OBJECT_PARTIAL:
        return "partial";
    case CACHED_OBJECT_QUARANTINED:
        break;
    }
    return "quarantine";
}

/* --- objects --- */

static const char *date_text(int64_t seconds, char buffer[DATE_BYTES])
{
    const time_t when = (time_t)seconds;
    struct tm parts;

    if (seconds == 0 || gmtime_r(&when, &parts) == NULL ||
        strftime(buffer, DATE_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        (void)snprintf(buffer, DATE_BYTES, "-");
    return buffer;
}

static const char *number_text(uint64_t number, char buffer[NUMBER_BYTES])
{
    (void)snprintf(buffer, NUMBER_BYTES, "%" PRIu64, number);
    return buffer;
}

void cache_report_table(const struct cached_object_list *list)
{
    (void)printf(TABLE_FORMAT, "IMAGE", "STATE", "THERE", "SIZE", "LAST USED", "IN USE");
    for (size_t i = 0; i < list->count; i++) {
        const struct cached_object *object = &list->objects[i];
        char there[NUMBER_BYTES];
        char size[NUMBER_BYTES] = "-";
        char date[DATE_BYTES];

        if (object->total_bytes != UINT64_MAX)
            (void)number_text(object->total_bytes, size);
        (void)printf(TABLE_FORMAT, object->image_id, cached_object_state_name(object->state),
                     number_text(object->data_bytes, there), size,
                     date_text(object->last_used, date), object->in_use ? "yes" : "no");
    }
}

static bool add_times(struct json_object *json, const struct cached_object *object)
{
    return json_line_add_number(json, "fetched_at", object->fetched_at > 0,
                                (uint64_t)object->fetched_at) &&
           json_line_add_number(json, "last_used", object->last_used > 0,
                                (uint64_t)object->last_used);
}

static struct json_object *object_to_json(const struct cached_object *object)
{
    CLEANUP(json_object_put) struct json_object *json = json_object_new_object();

    if (json == NULL || !json_line_add_text(json, "image_id", object->image_id) ||
        !json_line_add_text(json, "name", object->name) ||
        !json_line_add_text(json, "state", cached_object_state_name(object->state)) ||
        !json_line_add_boolean(json, "in_use", object->in_use) ||
        !json_line_add_number(json, "data_bytes", true, object->data_bytes) ||
        !json_line_add_number(json, "total_bytes", object->total_bytes != UINT64_MAX,
                              object->total_bytes) ||
        !json_line_add_number(json, "disk_bytes", true, object->disk_bytes) ||
        !add_times(json, object) || !json_line_add_text(json, "key_id", object->key_id) ||
        !json_line_add_text(json, "hash_algo", object->hash_algo) ||
        !json_line_add_text(json, "hash_value", object->hash_value))
        return NULL;
    return steal(&json);
}

int cache_report_json(const struct cached_object_list *list, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *array = json_object_new_array();

    if (array == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < list->count; i++) {
        struct json_object *json = object_to_json(&list->objects[i]);

        if (json == NULL || json_object_array_add(array, json) < 0) {
            (void)json_object_put(json);
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
        }
    }
    json_line_print(array);
    return 0;
}

/* --- usage --- */

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

uint64_t cache_report_available_bytes(const struct ciphertext_cache_usage *usage)
{
    const uint64_t on_disk = minus(usage->free_bytes, usage->min_free_bytes);
    const uint64_t in_limit = usage->max_size_bytes == NO_LIMIT
                                  ? UINT64_MAX
                                  : minus(usage->max_size_bytes, usage->used_bytes);

    return on_disk < in_limit ? on_disk : in_limit;
}

static void print_room(const char *what, uint64_t size, uint64_t used, uint64_t available)
{
    char texts[3][SIZE_TEXT_BYTES] = {"-"};
    char percent[8] = "-";

    if (size != NO_LIMIT) {
        (void)size_text(size, texts[0]);
        if (size > 0)
            (void)snprintf(percent, sizeof percent, "%.0f %%", 100 * (double)used / (double)size);
    }
    (void)printf(USAGE_FORMAT, what, texts[0], size_text(used, texts[1]),
                 size_text(available, texts[2]), percent);
}

static void print_part(const char *what, uint64_t count, uint64_t bytes)
{
    char text[SIZE_TEXT_BYTES];

    (void)printf("%-12s  %12" PRIu64 "  %12s\n", what, count, size_text(bytes, text));
}

static void print_parts(const struct ciphertext_cache_usage *usage)
{
    char text[SIZE_TEXT_BYTES];

    (void)printf("%-12s  %12s  %12s\n", "", "IMAGES", "BYTES");
    print_part("complete", usage->objects, usage->stored_bytes);
    print_part("partial", usage->partial_objects, usage->partial_bytes);
    if (usage->reserved_bytes > 0)
        (void)printf("%-12s  %12s  %12s\n", "  to come", "",
                     size_text(usage->reserved_bytes, text));
    print_part("quarantine", usage->quarantined_objects, usage->quarantined_bytes);
    (void)printf("%-12s  %12s  %12s\n", "uploads", "", size_text(usage->staged_bytes, text));
    if (usage->trash_bytes > 0)
        (void)printf("%-12s  %12s  %12s\n", "trash", "", size_text(usage->trash_bytes, text));
    if (usage->unknown_entries > 0)
        (void)printf("%-12s  %12" PRIu64 "\n", "not ours", usage->unknown_entries);
}

void cache_report_usage(const char *path, const struct ciphertext_cache_usage *usage)
{
    char text[SIZE_TEXT_BYTES];

    (void)printf("%s\n", path);
    (void)printf(USAGE_FORMAT, "", "SIZE", "USED", "AVAILABLE", "USE");
    print_room("cache", usage->max_size_bytes, usage->used_bytes,
               cache_report_available_bytes(usage));
    print_room("filesystem", usage->filesystem_bytes,
               minus(usage->filesystem_bytes, usage->free_bytes), usage->free_bytes);
    if (usage->min_free_bytes > 0)
        (void)printf("%s of the filesystem stay free (min_free)\n",
                     size_text(usage->min_free_bytes, text));
    (void)putchar('\n');
    print_parts(usage);
}

/* A member of a usage in JSON; UINT64_MAX stands for none. */
struct usage_member {
    const char *name;
    uint64_t value;
};

int cache_report_usage_json(const struct ciphertext_cache_usage *usage, struct error *err)
{
    const struct usage_member members[] = {
        {"objects", usage->objects},
        {"stored_bytes", usage->stored_bytes},
        {"partial_objects", usage->partial_objects},
        {"partial_bytes", usage->partial_bytes},
        {"reserved_bytes", usage->reserved_bytes},
        {"quarantined_objects", usage->quarantined_objects},
        {"quarantined_bytes", usage->quarantined_bytes},
        {"staged_bytes", usage->staged_bytes},
        {"trash_bytes", usage->trash_bytes},
        {"used_bytes", usage->used_bytes},
        {"available_bytes", cache_report_available_bytes(usage)},
        {"max_size_bytes", usage->max_size_bytes},
        {"min_free_bytes", usage->min_free_bytes == 0 ? NO_LIMIT : usage->min_free_bytes},
        {"filesystem_bytes", usage->filesystem_bytes},
        {"free_bytes", usage->free_bytes},
        {"unknown_entries", usage->unknown_entries},
    };
    CLEANUP(json_object_put) struct json_object *json = json_object_new_object();

    for (size_t i = 0; json != NULL && i < sizeof members / sizeof members[0]; i++)
        if (!json_line_add_number(json, members[i].name, members[i].value != NO_LIMIT,
                                  members[i].value))
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (json == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    json_line_print(json);
    return 0;
}
