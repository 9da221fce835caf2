/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/upload_report.h"

#include <inttypes.h>
#include <json-c/json_object.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

DEFINE_CLEANUP(struct json_object, json_object_put)

#define DATE_BYTES 32

static const char *date_text(int64_t seconds, char buffer[DATE_BYTES])
{
    const time_t when = (time_t)seconds;
    struct tm parts;

    if (seconds == 0 || gmtime_r(&when, &parts) == NULL ||
        strftime(buffer, DATE_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        (void)snprintf(buffer, DATE_BYTES, "-");
    return buffer;
}

void upload_report_table(const struct upload_info *infos, size_t count)
{
    (void)printf("%-36s  %-9s  %15s  %15s  %8s  %-20s  %s\n", "IMAGE", "STATE", "SIZE", "SENT",
                 "ATTEMPTS", "SEALED", "ERROR");
    for (size_t i = 0; i < count; i++) {
        const struct upload_info *info = &infos[i];
        char date[DATE_BYTES];

        (void)printf("%-36s  %-9s  %15" PRIu64 "  %15" PRIu64 "  %8u  %-20s  %s\n", info->image_id,
                     upload_state_name(info->state), info->stored_bytes, info->sent_bytes,
                     info->attempts, date_text(info->sealed_at, date),
                     info->error[0] == '\0' ? "-" : info->error);
    }
}

/* Takes over `value`. */
static bool add(struct json_object *object, const char *name, struct json_object *value)
{
    if (value != NULL && json_object_object_add(object, name, value) == 0)
        return true;
    (void)json_object_put(value);
    return false;
}

static bool add_error(struct json_object *object, const char *error)
{
    return error[0] == '\0' ? json_object_object_add(object, "error", NULL) == 0
                            : add(object, "error", json_object_new_string(error));
}

static struct json_object *to_json(const struct upload_info *info)
{
    CLEANUP(json_object_put) struct json_object *object = json_object_new_object();

    if (object == NULL || !add(object, "image_id", json_object_new_string(info->image_id)) ||
        !add(object, "state", json_object_new_string(upload_state_name(info->state))) ||
        !add(object, "plaintext_bytes", json_object_new_uint64(info->plaintext_bytes)) ||
        !add(object, "stored_bytes", json_object_new_uint64(info->stored_bytes)) ||
        !add(object, "sent_bytes", json_object_new_uint64(info->sent_bytes)) ||
        !add(object, "sealed_at", json_object_new_int64(info->sealed_at)) ||
        !add(object, "attempts", json_object_new_uint64(info->attempts)) ||
        !add_error(object, info->error))
        return NULL;
    return steal(&object);
}

int upload_report_json(const struct upload_info *infos, size_t count, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *array = json_object_new_array();

    for (size_t i = 0; array != NULL && i < count; i++) {
        struct json_object *object = to_json(&infos[i]);

        if (object == NULL || json_object_array_add(array, object) < 0) {
            (void)json_object_put(object);
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
        }
    }
    if (array == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    (void)puts(json_object_to_json_string_ext(array, JSON_C_TO_STRING_PLAIN |
                                                         JSON_C_TO_STRING_NOSLASHESCAPE));
    return 0;
}
