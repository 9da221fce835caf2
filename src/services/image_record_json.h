/* SPDX-License-Identifier: Apache-2.0 */
/* Image records from a JSON entity that is parsed already: one of a listing, or one just made. */
#ifndef SERVICES_IMAGE_RECORD_JSON_H
#define SERVICES_IMAGE_RECORD_JSON_H

#include "glancefs/image_record.h"

struct json_object;

/** As image_record_parse, from an entity that json_document_parse accepted; it stays the caller's.
 *  ERROR_TOO_LARGE over LIMIT_RECORD_BYTES: one of a listing may be larger than a record of its own. */
int image_record_from_json(struct json_object *entity, struct image_record **ret,
                           struct error *err);

/** Bytes of memory that a record takes. */
size_t image_record_memory(const struct image_record *record);

#endif
