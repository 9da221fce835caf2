/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON from outside (records, secret metadata, service answers), parsed strictly by json-c: UTF-8,
 * one object, nothing behind it, no name twice, within the caps of limits.h. A parsed document
 * belongs to one thread: json-c caches text inside its objects.
 */
#ifndef SERVICES_JSON_DOCUMENT_H
#define SERVICES_JSON_DOCUMENT_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <json-c/json_object.h>
#include <stddef.h>
#include <stdint.h>

/** `CLEANUP(json_object_put) struct json_object *document = NULL;` drops a reference. */
DEFINE_CLEANUP(struct json_object, json_object_put)

/**
 * Parses `size` bytes as one JSON object, which the caller owns. ERROR_TOO_LARGE over
 * LIMIT_RECORD_BYTES. ERROR_INVALID, saying what is wrong, for anything that is not strict JSON
 * (RFC 8259), for a top level that is no object, for nesting over LIMIT_JSON_DEPTH, for two members
 * of the top level with one name and for a NUL, escaped or not.
 */
int json_document_parse(const char *text, size_t size, struct json_object **ret, struct error *err);

/** As json_document_parse, for what may be larger: ERROR_TOO_LARGE over `limit` bytes. */
int json_document_parse_within(const char *text, size_t size, size_t limit,
                               struct json_object **ret, struct error *err);

/**
 * The text of member `name`, borrowed from `document`; NULL when it is absent or null. Any other
 * type is ERROR_INVALID naming the member.
 */
int json_document_text(struct json_object *document, const char *name, const char **ret,
                       struct error *err);

/** Likewise, where another type, or an `object` that is none, is as good as absent: NULL. */
const char *json_document_find_text(struct json_object *object, const char *name);

/** The compact text of `document` and its length in bytes; borrowed, valid until it changes. */
const char *json_document_print(struct json_object *document, size_t *ret_size);

/**
 * Sets member `name` to a string; NULL as `text` sets null. ERROR_EXHAUSTED when memory is short.
 */
int json_document_set_text(struct json_object *document, const char *name, const char *text,
                           struct error *err);

/** Sets member `name` to a number from 0 on. ERROR_EXHAUSTED when memory is short. */
int json_document_set_number(struct json_object *document, const char *name, uint64_t number,
                             struct error *err);

#endif
