/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json_line.h"

#include <stdio.h>

/* Takes over `value`, which may be missing only where null is wanted. */
static bool add(struct json_object *object, const char *name, bool is_null,
                struct json_object *value)
{
    if ((is_null || value != NULL) && json_object_object_add(object, name, value) == 0)
        return true;
    (void)json_object_put(value);
    return false;
}

bool json_line_add_text(struct json_object *object, const char *name, const char *text)
{
    const bool is_null = text == NULL || *text == '\0';

    return add(object, name, is_null, is_null ? NULL : json_object_new_string(text));
}

bool json_line_add_number(struct json_object *object, const char *name, bool is_known,
                          uint64_t number)
{
    return add(object, name, !is_known, is_known ? json_object_new_uint64(number) : NULL);
}

bool json_line_add_boolean(struct json_object *object, const char *name, bool value)
{
    return add(object, name, false, json_object_new_boolean(value));
}

void json_line_print(struct json_object *value)
{
    (void)puts(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
                                                         JSON_C_TO_STRING_NOSLASHESCAPE));
}
