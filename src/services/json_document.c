/* SPDX-License-Identifier: Apache-2.0 */
#include "services/json_document.h"

#include "glancefs/byte_cursor.h"
#include "glancefs/limits.h"

#include <json-c/json_tokener.h>
#include <stdbool.h>
#include <string.h>

DEFINE_CLEANUP(struct json_tokener, json_tokener_free)

/* Where in a number the walk is, as far as json-c is laxer than RFC 8259 section 6: it takes "1.",
 * "-.5" and "-01". */
enum number_part { NUMBER_NONE, NUMBER_SIGN, NUMBER_ZERO, NUMBER_POINT, NUMBER_REST };

/* Walks a document that json-c took and counts the members of its top level. */
struct member_count {
    struct byte_cursor cursor;
    enum number_part number;
    size_t depth;
    size_t members;
};

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* The part of a number that begins with `byte`, behind `part`. */
static enum number_part next_part(enum number_part part, uint8_t byte)
{
    const bool is_at_start = part == NUMBER_NONE || part == NUMBER_SIGN;

    if (is_digit(byte))
        return is_at_start && byte == '0' ? NUMBER_ZERO : NUMBER_REST;
    if (byte == '.')
        return NUMBER_POINT;
    if (byte == '-' && part == NUMBER_NONE)
        return NUMBER_SIGN;
    return !is_at_start && strchr("eE+-", byte) != NULL ? NUMBER_REST : NUMBER_NONE;
}

/* One byte outside of strings. json-c knows words for numbers that JSON has not: NaN, Infinity. */
static int check_number(enum number_part *part, uint8_t byte, struct error *err)
{
    const bool wants_digit = *part == NUMBER_SIGN || *part == NUMBER_POINT;

    if (is_digit(byte) ? *part == NUMBER_ZERO : wants_digit || byte == 'N' || byte == 'I')
        return error_set(err, ERROR_INVALID, "not valid JSON: a number that is none");
    *part = next_part(*part, byte);
    return 0;
}

/* Steps over a string whose opening quote was read; -1 when it holds an escaped NUL, or a control
 * character that is not escaped, which json-c would take. */
static int skip_string(struct byte_cursor *cursor, struct error *err)
{
    for (;;) {
        const uint8_t *digits;
        uint8_t byte;

        if (byte_cursor_u8(cursor, &byte, err) < 0)
            return -1;
        if (byte == '"')
            return 0;
        if (byte < ' ')
            return error_set(err, ERROR_INVALID, "not valid JSON: a control character in a string");
        if (byte != '\\')
            continue;
        if (byte_cursor_u8(cursor, &byte, err) < 0)
            return -1;
        if (byte != 'u')
            continue;
        if (byte_cursor_take(cursor, 4, &digits, err) < 0)
            return -1;
        if (memcmp(digits, "0000", 4) == 0)
            return error_set(err, ERROR_INVALID, "a NUL in a JSON string");
    }
}

static int count_members(struct member_count *count, struct error *err)
{
    uint8_t byte;

    while (byte_cursor_remaining(&count->cursor) > 0) {
        if (byte_cursor_u8(&count->cursor, &byte, err) < 0)
            return -1;
        if (check_number(&count->number, byte, err) < 0 ||
            (byte == '"' && skip_string(&count->cursor, err) < 0))
            return -1;
        if (byte == '{' || byte == '[')
            count->depth++;
        if (byte == '}' || byte == ']')
            count->depth--;
        if (byte == ':' && count->depth == 1)
            count->members++;
    }
    return 0;
}

/*
 * What json-c takes although RFC 8259 does not. json-c keeps the last of two members with one name where other readers keep the first, and cuts
 * a name at an escaped NUL. Neither may decide what a record means to us and to others.
 */
static int check_members(const char *text, size_t size, struct json_object *document,
                         struct error *err)
{
    struct member_count count = {.cursor = byte_cursor_over(text, size)};

    if (count_members(&count, err) < 0)
        return -1;
    if (count.members != (size_t)json_object_object_length(document))
        return error_set(err, ERROR_INVALID, "a JSON object that names a member twice");
    return 0;
}

static int parse_strictly(const char *text, size_t size, struct json_object **ret,
                          struct error *err)
{
    CLEANUP(json_tokener_free) struct json_tokener *tokener = json_tokener_new_ex(LIMIT_JSON_DEPTH);
    enum json_tokener_error problem;

    if (tokener == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    *ret = json_tokener_parse_ex(tokener, text, (int)size);
    problem = json_tokener_get_error(tokener);
    if (problem == json_tokener_continue)
        return error_set(err, ERROR_INVALID, "JSON that ends too early");
    if (problem == json_tokener_error_depth)
        return error_set(err, ERROR_INVALID, "JSON nested deeper than %d levels", LIMIT_JSON_DEPTH);
    if (problem != json_tokener_success)
        return error_set(err, ERROR_INVALID, "not valid JSON: %s at byte %zu",
                         json_tokener_error_desc(problem), json_tokener_get_parse_end(tokener));
    return 0;
}

int json_document_parse(const char *text, size_t size, struct json_object **ret, struct error *err)
{
    return json_document_parse_within(text, size, LIMIT_RECORD_BYTES, ret, err);
}

int json_document_parse_within(const char *text, size_t size, size_t limit,
                               struct json_object **ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;

    if (size > limit)
        return error_set(err, ERROR_TOO_LARGE, "%zu bytes of JSON, over the limit of %zu", size,
                         limit);
    if (memchr(text, '\0', size) != NULL)
        return error_set(err, ERROR_INVALID, "not valid JSON: it holds a NUL byte");
    if (parse_strictly(text, size, &document, err) < 0)
        return -1;
    if (!json_object_is_type(document, json_type_object))
        return error_set(err, ERROR_INVALID, "JSON that is not an object");
    if (check_members(text, size, document, err) < 0)
        return -1;
    *ret = steal(&document);
    return 0;
}

int json_document_text(struct json_object *document, const char *name, const char **ret,
                       struct error *err)
{
    struct json_object *member = json_object_object_get(document, name);

    if (member != NULL && !json_object_is_type(member, json_type_string))
        return error_set(err, ERROR_INVALID, "%s is not a string", name);
    *ret = member == NULL ? NULL : json_object_get_string(member);
    return 0;
}

const char *json_document_find_text(struct json_object *object, const char *name)
{
    struct json_object *member = NULL;

    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, name, &member) ||
        !json_object_is_type(member, json_type_string))
        return NULL;
    return json_object_get_string(member);
}

const char *json_document_print(struct json_object *document, size_t *ret_size)
{
    return json_object_to_json_string_length(
        document, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, ret_size);
}

static int set_member(struct json_object *document, const char *name, struct json_object *value,
                      struct error *err)
{
    if (json_object_object_add(document, name, value) == 0)
        return 0;
    (void)json_object_put(value);
    return error_set(err, ERROR_EXHAUSTED, "out of memory");
}

int json_document_set_text(struct json_object *document, const char *name, const char *text,
                           struct error *err)
{
    struct json_object *value = text == NULL ? NULL : json_object_new_string(text);

    if (text != NULL && value == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    return set_member(document, name, value, err);
}

int json_document_set_number(struct json_object *document, const char *name, uint64_t number,
                             struct error *err)
{
    struct json_object *value = json_object_new_uint64(number);

    if (value == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    return set_member(document, name, value, err);
}
