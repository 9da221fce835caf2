/* SPDX-License-Identifier: Apache-2.0 */
/* Image records on standard output: as a table for people, as JSON for scripts. */
#ifndef CLI_IMAGE_REPORT_H
#define CLI_IMAGE_REPORT_H

#include "glancefs/image_service.h"

/**
 * One line per image: id, status, size in bytes, format, key id, name; "-" for what is absent.
 * Control characters of what a service says are shown as "?".
 */
void image_report_table(const struct image_list *list);

/** One line of text from a service, with control characters shown as "?", as all of it is. */
void image_report_text(const char *text);

/** Every scalar property of one image, a line each. */
void image_report_properties(const struct image_record *record);

/**
 * Glance's entity as one JSON object on a line: numbers and booleans of the base properties as
 * such, everything else as strings; id, name, status and size are always there, if need be null.
 * ERROR_EXHAUSTED when memory is short.
 */
int image_report_json(const struct image_record *record, struct error *err);

/** The same for a whole list, as an array. */
int image_report_json_list(const struct image_list *list, struct error *err);

#endif
