/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/clouds_yaml.h"

#include "glancefs/cleanup.h"
#include "glancefs/limits.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define KEY_BYTES 256

/* A walk over the events of one text. */
struct reader {
    yaml_parser_t parser;
    const char *path;
    const char *cloud;
    clouds_yaml_take *take;
    void *context;
    unsigned depth; /* collections that are open */
    bool saw_clouds;
    bool found;
};

/* Takes the whole node that starts with `event`, the value of `key`. */
typedef int node_handler(struct reader *reader, const char *key, const yaml_event_t *event,
                         struct error *err);

/* --- events --- */

/* A scalar may be a password. */
static void event_clear_cleanup(yaml_event_t *event)
{
    if (event->type == YAML_SCALAR_EVENT && event->data.scalar.value != NULL)
        explicit_bzero(event->data.scalar.value, event->data.scalar.length);
    yaml_event_delete(event);
}

static int fail_at(const struct reader *reader, enum error_kind kind, const char *problem,
                   struct error *err)
{
    return error_set(err, kind, "%s:%zu: %s", reader->path, reader->parser.mark.line + 1, problem);
}

static int next_event(struct reader *reader, yaml_event_t *event, struct error *err)
{
    if (yaml_parser_parse(&reader->parser, event) == 0) {
        *event = (yaml_event_t){0};
        return fail_at(reader, ERROR_INVALID,
                       reader->parser.problem == NULL ? "no YAML" : reader->parser.problem, err);
    }
    if (event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT)
        reader->depth++;
    if (event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT)
        reader->depth--;
    if (reader->depth > LIMIT_CLOUDS_YAML_DEPTH)
        return fail_at(reader, ERROR_TOO_LARGE, "nested too deeply", err);
    return 0;
}

/* Passes over the rest of the node that starts with `event`. */
static int skip_node(struct reader *reader, const yaml_event_t *event, struct error *err)
{
    unsigned outside;

    if (event->type != YAML_MAPPING_START_EVENT && event->type != YAML_SEQUENCE_START_EVENT)
        return 0;
    outside = reader->depth - 1;
    while (reader->depth > outside) {
        CLEANUP(event_clear) yaml_event_t inner = {0};

        if (next_event(reader, &inner, err) < 0)
            return -1;
    }
    return 0;
}

/* Copies a key; one that is no scalar, or longer than any we know, becomes "". */
static void copy_key(const yaml_event_t *event, char key[KEY_BYTES])
{
    key[0] = '\0';
    if (event->type == YAML_SCALAR_EVENT && event->data.scalar.length < KEY_BYTES)
        (void)snprintf(key, KEY_BYTES, "%s", (const char *)event->data.scalar.value);
}

/* One pair of a mapping; *ret_ended when there is none left. */
static int walk_pair(struct reader *reader, node_handler *handler, bool *ret_ended,
                     struct error *err)
{
    CLEANUP(event_clear) yaml_event_t key_event = {0};
    CLEANUP(event_clear) yaml_event_t value_event = {0};
    char key[KEY_BYTES];

    if (next_event(reader, &key_event, err) < 0)
        return -1;
    *ret_ended = key_event.type == YAML_MAPPING_END_EVENT;
    if (*ret_ended)
        return 0;
    copy_key(&key_event, key);
    if (skip_node(reader, &key_event, err) < 0 || next_event(reader, &value_event, err) < 0)
        return -1;
    return handler(reader, key, &value_event, err);
}

/* Each pair of the mapping that has just started goes to `handler`. */
static int walk_mapping(struct reader *reader, node_handler *handler, struct error *err)
{
    bool ended = false;

    while (!ended)
        if (walk_pair(reader, handler, &ended, err) < 0)
            return -1;
    return 0;
}

/* --- the levels of the document --- */

static bool is_null(const yaml_event_t *event)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp((const char *)event->data.scalar.value, words[i]) == 0)
            return true;
    return false;
}

static int take_scalar(struct reader *reader, const char *key, const yaml_event_t *event,
                       struct error *err)
{
    const char *value = (const char *)event->data.scalar.value;

    if (strlen(value) != event->data.scalar.length)
        return fail_at(reader, ERROR_INVALID, "a value with a NUL in it", err);
    if (reader->take(reader->context, key, is_null(event) ? "" : value, err) < 0)
        return error_prefix(err, "%s:%zu", reader->path, reader->parser.mark.line + 1);
    return 0;
}

/* clouds.NAME.auth.KEY, and what is left of clouds.NAME.KEY. */
static int take_setting(struct reader *reader, const char *key, const yaml_event_t *event,
                        struct error *err)
{
    if (event->type == YAML_ALIAS_EVENT || strcmp(key, "<<") == 0)
        return fail_at(reader, ERROR_INVALID, "aliases and merge keys are not supported", err);
    if (event->type == YAML_SCALAR_EVENT)
        return take_scalar(reader, key, event, err);
    return skip_node(reader, event, err);
}

/* The sequence has just started: its first scalar is the region. */
static int take_first_region(struct reader *reader, struct error *err)
{
    bool is_first = true;
    const unsigned outside = reader->depth - 1;

    while (reader->depth > outside) {
        CLEANUP(event_clear) yaml_event_t event = {0};

        if (next_event(reader, &event, err) < 0)
            return -1;
        if (is_first && event.type == YAML_SCALAR_EVENT &&
            take_scalar(reader, "region_name", &event, err) < 0)
            return -1;
        is_first = false;
    }
    return 0;
}

/* clouds.NAME.KEY */
static int take_entry_member(struct reader *reader, const char *key, const yaml_event_t *event,
                             struct error *err)
{
    if (strcmp(key, "auth") == 0 && event->type == YAML_MAPPING_START_EVENT)
        return walk_mapping(reader, take_setting, err);
    if (strcmp(key, "regions") == 0 && event->type == YAML_SEQUENCE_START_EVENT)
        return take_first_region(reader, err);
    return take_setting(reader, key, event, err);
}

/* clouds.NAME */
static int take_cloud(struct reader *reader, const char *key, const yaml_event_t *event,
                      struct error *err)
{
    if (strcmp(key, reader->cloud) != 0)
        return skip_node(reader, event, err);
    if (reader->found)
        return fail_at(reader, ERROR_INVALID, "the cloud is there twice", err);
    reader->found = true;
    if (event->type == YAML_MAPPING_START_EVENT)
        return walk_mapping(reader, take_entry_member, err);
    return fail_at(reader, ERROR_INVALID, "the cloud is no mapping", err);
}

static int take_top(struct reader *reader, const char *key, const yaml_event_t *event,
                    struct error *err)
{
    if (strcmp(key, "clouds") != 0 || event->type != YAML_MAPPING_START_EVENT)
        return skip_node(reader, event, err);
    if (reader->saw_clouds)
        return fail_at(reader, ERROR_INVALID, "'clouds' is there twice", err);
    reader->saw_clouds = true;
    return walk_mapping(reader, take_cloud, err);
}

/* The first document, when it is a mapping; an empty file is none. */
static int walk_document(struct reader *reader, struct error *err)
{
    for (;;) {
        CLEANUP(event_clear) yaml_event_t event = {0};

        if (next_event(reader, &event, err) < 0)
            return -1;
        if (event.type == YAML_MAPPING_START_EVENT)
            return walk_mapping(reader, take_top, err);
        if (event.type == YAML_STREAM_END_EVENT)
            return 0;
        if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_START_EVENT)
            return fail_at(reader, ERROR_INVALID, "no mapping with 'clouds'", err);
    }
}

/* libyaml decodes into buffers of its own, which it frees as they are. */
static void parser_wipe(yaml_parser_t *parser)
{
    if (parser->raw_buffer.start != NULL)
        explicit_bzero(parser->raw_buffer.start,
                       (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
    if (parser->buffer.start != NULL)
        explicit_bzero(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
    yaml_parser_delete(parser);
}

int clouds_yaml_parse(const char *path, const void *text, size_t size, const char *cloud,
                      clouds_yaml_take *take, void *context, bool *ret_found, struct error *err)
{
    struct reader reader = {.path = path, .cloud = cloud, .take = take, .context = context};
    int result;

    if (size > LIMIT_CLOUDS_YAML_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "%s: over %zu bytes", path, LIMIT_CLOUDS_YAML_BYTES);
    if (yaml_parser_initialize(&reader.parser) == 0)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    yaml_parser_set_input_string(&reader.parser, text, size);
    result = walk_document(&reader, err);
    parser_wipe(&reader.parser);
    *ret_found = reader.found;
    return result;
}
