/* SPDX-License-Identifier: Apache-2.0 */
/* JSON for scripts, one value on a line of standard output. */
#ifndef CLI_JSON_LINE_H
#define CLI_JSON_LINE_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <json-c/json_object.h>
#include <stdbool.h>
#include <stdint.h>

DEFINE_CLEANUP(struct json_object, json_object_put)

/** Adds a text; null for NULL and "". False, here and below, when memory is short. */
bool json_line_add_text(struct json_object *object, const char *name, const char *text);

/** Adds a number; null when it is not known. */
bool json_line_add_number(struct json_object *object, const char *name, bool is_known,
                          uint64_t number);

bool json_line_add_boolean(struct json_object *object, const char *name, bool value);

/** Prints `value` on a line. */
void json_line_print(struct json_object *value);

#endif
