/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/upload_journal.h"

#include "glancefs/limits.h"

#include <inttypes.h>
#include <json-c/json_object.h>
#include <json-c/json_object_iterator.h>
#include <json-c/json_tokener.h>
#include <stdlib.h>
#include <string.h>

#define STATE_SEALED "sealed"
#define STATE_FAILED "failed"

DEFINE_CLEANUP(struct json_object, json_object_put)
DEFINE_CLEANUP(struct json_tokener, json_tokener_free)

static int damaged(struct error *err, const char *what)
{
    (void)error_set(err, ERROR_CORRUPT, "the journal is damaged: %s", what);
    return -1;
}

static int out_of_memory(struct error *err)
{
    (void)error_set(err, ERROR_EXHAUSTED, "out of memory");
    return -1;
}

int upload_journal_new(const char *id, const char *cloud, const char *project_id,
                       struct upload_journal **ret, struct error *err)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = calloc(1, sizeof *journal);

    if (journal == NULL)
        return out_of_memory(err);
    (void)snprintf(journal->image_id, sizeof journal->image_id, "%s", id);
    journal->cloud = strdup(cloud);
    journal->project_id = strdup(project_id);
    if (journal->cloud == NULL || journal->project_id == NULL)
        return out_of_memory(err);
    *ret = steal(&journal);
    return 0;
}

void upload_journal_free(struct upload_journal *journal)
{
    if (journal == NULL)
        return;
    for (size_t i = 0; i < journal->property_count; i++) {
        free((char *)journal->properties[i].name);
        free((char *)journal->properties[i].value);
    }
    free(journal->properties);
    free(journal->project_id);
    free(journal->cloud);
    free(journal);
}

/* --- properties and errors --- */

static int check_property(const char *name, const char *value, struct error *err)
{
    const size_t length = strlen(name);

    if (length == 0 || length > LIMIT_PROPERTY_NAME_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "a property name of %zu bytes, not 1 to %d", length,
                         LIMIT_PROPERTY_NAME_BYTES);
    if (strlen(value) > LIMIT_RECORD_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "property %s is over %zu bytes", name,
                         LIMIT_RECORD_BYTES);
    return 0;
}

static struct image_property *find_property(struct upload_journal *journal, const char *name)
{
    for (size_t i = 0; i < journal->property_count; i++)
        if (strcmp(journal->properties[i].name, name) == 0)
            return &journal->properties[i];
    return NULL;
}

static int append_property(struct upload_journal *journal, const char *name, const char *value,
                           struct error *err)
{
    struct image_property added = {.name = strdup(name), .value = strdup(value)};
    struct image_property *all =
        reallocarray(journal->properties, journal->property_count + 1, sizeof *all);

    if (all != NULL)
        journal->properties = all;
    if (all == NULL || added.name == NULL || added.value == NULL) {
        free((char *)added.name);
        free((char *)added.value);
        return out_of_memory(err);
    }
    all[journal->property_count++] = added;
    return 0;
}

int upload_journal_set_property(struct upload_journal *journal, const char *name, const char *value,
                                struct error *err)
{
    struct image_property *old = find_property(journal, name);
    char *copy;

    if (check_property(name, value, err) < 0)
        return -1;
    if (old == NULL && journal->property_count == LIMIT_IMAGE_PROPERTIES)
        return error_set(err, ERROR_TOO_LARGE, "more than %d properties", LIMIT_IMAGE_PROPERTIES);
    if (old == NULL)
        return append_property(journal, name, value, err);
    copy = strdup(value);
    if (copy == NULL)
        return out_of_memory(err);
    free((char *)old->value);
    old->value = copy;
    return 0;
}

/* A message may be cut in the middle of a character, which no JSON text may hold. */
void upload_journal_set_error(struct upload_journal *journal, const struct error *reason,
                              bool failed)
{
    journal->failed = failed;
    journal->last_error = *reason;
    for (char *next = journal->last_error.message; *next != '\0'; next++)
        if (*next < ' ' || *next > '~')
            *next = '?';
}

/* --- printing --- */

static bool add(struct json_object *object, const char *name, struct json_object *value)
{
    if (value != NULL && json_object_object_add(object, name, value) == 0)
        return true;
    (void)json_object_put(value);
    return false;
}

static bool add_text(struct json_object *object, const char *name, const char *text)
{
    return add(object, name, json_object_new_string(text));
}

static bool add_number(struct json_object *object, const char *name, uint64_t number)
{
    return add(object, name, json_object_new_uint64(number));
}

static bool add_properties(struct json_object *object, const struct upload_journal *journal)
{
    struct json_object *properties = json_object_new_object();

    for (size_t i = 0; properties != NULL && i < journal->property_count; i++) {
        const struct image_property *property = &journal->properties[i];

        if (!add_text(properties, property->name, property->value)) {
            (void)json_object_put(properties);
            return false;
        }
    }
    return add(object, "properties", properties);
}

static struct json_object *to_json(const struct upload_journal *journal, uint64_t version)
{
    CLEANUP(json_object_put) struct json_object *object = json_object_new_object();

    if (object == NULL || !add_number(object, "version", version) ||
        !add_text(object, "image_id", journal->image_id) ||
        !add_text(object, "cloud", journal->cloud) ||
        !add_text(object, "project_id", journal->project_id) ||
        !add_number(object, "stored_bytes", journal->stored_bytes) ||
        !add_number(object, "plaintext_bytes", journal->plaintext_bytes) ||
        !add_text(object, "sha512", journal->sha512) || !add_text(object, "md5", journal->md5) ||
        !add_properties(object, journal) ||
        !add_number(object, "sealed_at", (uint64_t)journal->sealed_at) ||
        !add_text(object, "state", journal->failed ? STATE_FAILED : STATE_SEALED) ||
        !add_number(object, "attempts", journal->attempts) ||
        (version > 1 && !add_number(object, "saving_since", (uint64_t)journal->saving_since)) ||
        !add_text(object, "error_kind", error_kind_name(journal->last_error.kind)) ||
        !add_text(object, "error", journal->last_error.message))
        return NULL;
    return steal(&object);
}

static int print(const struct upload_journal *journal, uint64_t version, char **ret,
                 size_t *ret_size, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *object = to_json(journal, version);
    const char *text = object == NULL
                           ? NULL
                           : json_object_to_json_string_ext(
                                 object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    int length;

    if (text == NULL)
        return out_of_memory(err);
    length = asprintf(ret, "%s\n", text);
    if (length < 0)
        return out_of_memory(err);
    *ret_size = (size_t)length;
    return 0;
}

int upload_journal_print(const struct upload_journal *journal, char **ret, size_t *ret_size,
                         struct error *err)
{
    CLEANUP(upload_journal_free) struct upload_journal *copy = NULL;
    CLEANUP(memory_free) char *text = NULL;
    struct error reason = ERROR_INIT;
    size_t size;

    if (print(journal, UPLOAD_JOURNAL_VERSION, &text, &size, err) < 0)
        return -1;
    if (size > LIMIT_RECORD_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "the journal is over %zu bytes", LIMIT_RECORD_BYTES);
    if (upload_journal_parse(journal->image_id, text, size, &copy, &reason) < 0)
        return error_set(err, reason.kind == ERROR_EXHAUSTED ? ERROR_EXHAUSTED : ERROR_INVALID,
                         "it cannot be written: %s", reason.message);
    *ret = steal(&text);
    *ret_size = size;
    return 0;
}

/* --- parsing --- */

static int parse_json(const char *text, size_t size, struct json_object **ret, struct error *err)
{
    CLEANUP(json_tokener_free) struct json_tokener *tokener = json_tokener_new_ex(LIMIT_JSON_DEPTH);

    if (tokener == NULL)
        return out_of_memory(err);
    if (size > LIMIT_RECORD_BYTES)
        return damaged(err, "it is too large");
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
                                        JSON_TOKENER_ALLOW_TRAILING_CHARS);
    *ret = json_tokener_parse_ex(tokener, text, (int)size);
    if (!json_object_is_type(*ret, json_type_object)) {
        json_object_put(*ret);
        *ret = NULL;
        return damaged(err, "it is no JSON object");
    }
    return 0;
}

/* json-c cuts what does not fit at the type's end; the comparison of the text shows that. */
static int take_number(struct json_object *object, const char *name, uint64_t maximum,
                       uint64_t *ret, struct error *err)
{
    struct json_object *member = json_object_object_get(object, name);

    if (!json_object_is_type(member, json_type_int) || json_object_get_int64(member) < 0 ||
        json_object_get_uint64(member) > maximum)
        return damaged(err, name);
    *ret = json_object_get_uint64(member);
    return 0;
}

/* Borrowed from the member. */
static int take_text(struct json_object *object, const char *name, const char **ret,
                     struct error *err)
{
    struct json_object *member = json_object_object_get(object, name);

    if (!json_object_is_type(member, json_type_string))
        return damaged(err, name);
    *ret = json_object_get_string(member);
    return 0;
}

static int take_hex(struct json_object *object, const char *name, char *ret, size_t size,
                    struct error *err)
{
    const char *text;

    if (take_text(object, name, &text, err) < 0)
        return -1;
    if (strlen(text) != size - 1 || strspn(text, "0123456789abcdef") != size - 1)
        return damaged(err, name);
    memcpy(ret, text, size);
    return 0;
}

static int take_version(struct json_object *object, uint64_t *ret, struct error *err)
{
    uint64_t version;

    if (take_number(object, "version", INT64_MAX, &version, err) < 0)
        return -1;
    *ret = version;
    if (version > UPLOAD_JOURNAL_VERSION)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the journal has format version %" PRIu64 ", this glancefs knows up to %d",
                         version, UPLOAD_JOURNAL_VERSION);
    return version > 0 ? 0 : damaged(err, "version");
}

static int take_numbers(struct json_object *object, uint64_t version,
                        struct upload_journal *journal, struct error *err)
{
    uint64_t sealed_at;
    uint64_t attempts;
    uint64_t saving_since = 0;

    if (take_number(object, "stored_bytes", INT64_MAX, &journal->stored_bytes, err) < 0 ||
        take_number(object, "plaintext_bytes", INT64_MAX, &journal->plaintext_bytes, err) < 0 ||
        take_number(object, "sealed_at", INT64_MAX, &sealed_at, err) < 0 ||
        take_number(object, "attempts", UINT32_MAX, &attempts, err) < 0 ||
        (version > 1 && take_number(object, "saving_since", INT64_MAX, &saving_since, err) < 0))
        return -1;
    journal->sealed_at = (int64_t)sealed_at;
    journal->attempts = (unsigned)attempts;
    journal->saving_since = (int64_t)saving_since;
    return 0;
}

static bool kind_from_name(const char *name, enum error_kind *ret)
{
    for (int kind = ERROR_NONE; kind <= ERROR_SYSTEM; kind++) {
        if (strcmp(name, error_kind_name((enum error_kind)kind)) == 0) {
            *ret = (enum error_kind)kind;
            return true;
        }
    }
    return false;
}

static int take_state(struct json_object *object, struct upload_journal *journal, struct error *err)
{
    enum error_kind kind;
    const char *state;
    const char *kind_name;
    const char *message;

    if (take_text(object, "state", &state, err) < 0 ||
        take_text(object, "error_kind", &kind_name, err) < 0 ||
        take_text(object, "error", &message, err) < 0)
        return -1;
    journal->failed = strcmp(state, STATE_FAILED) == 0;
    if (!journal->failed && strcmp(state, STATE_SEALED) != 0)
        return damaged(err, "state");
    if (!kind_from_name(kind_name, &kind) || (journal->failed && kind == ERROR_NONE))
        return damaged(err, "error_kind");
    if (kind != ERROR_NONE)
        (void)error_set(&journal->last_error, kind, "%s", message);
    return 0;
}

static int take_properties(struct json_object *object, struct upload_journal *journal,
                           struct error *err)
{
    struct json_object *properties = json_object_object_get(object, "properties");
    struct error reason = ERROR_INIT;
    struct json_object_iterator end;
    struct json_object_iterator i;

    if (!json_object_is_type(properties, json_type_object))
        return damaged(err, "properties");
    end = json_object_iter_end(properties);
    for (i = json_object_iter_begin(properties); !json_object_iter_equal(&i, &end);
         json_object_iter_next(&i)) {
        const char *name = json_object_iter_peek_name(&i);
        struct json_object *value = json_object_iter_peek_value(&i);

        if (!json_object_is_type(value, json_type_string))
            return damaged(err, "properties");
        if (upload_journal_set_property(journal, name, json_object_get_string(value), &reason) < 0)
            return reason.kind == ERROR_EXHAUSTED ? out_of_memory(err) : damaged(err, "properties");
    }
    return 0;
}

static int from_json(struct json_object *object, uint64_t version, struct upload_journal **ret,
                     struct error *err)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
    const char *id;
    const char *cloud;
    const char *project_id;

    if (take_text(object, "image_id", &id, err) < 0 ||
        take_text(object, "cloud", &cloud, err) < 0 ||
        take_text(object, "project_id", &project_id, err) < 0 ||
        upload_journal_new(id, cloud, project_id, &journal, err) < 0 ||
        take_hex(object, "sha512", journal->sha512, sizeof journal->sha512, err) < 0 ||
        take_hex(object, "md5", journal->md5, sizeof journal->md5, err) < 0 ||
        take_numbers(object, version, journal, err) < 0 || take_state(object, journal, err) < 0 ||
        take_properties(object, journal, err) < 0)
        return -1;
    *ret = steal(&journal);
    return 0;
}

/* Finds unknown and doubled members, trailing bytes, cut numbers and texts all at once. */
static int check_canonical(const struct upload_journal *journal, uint64_t version, const char *text,
                           size_t size, struct error *err)
{
    CLEANUP(memory_free) char *ours = NULL;
    size_t our_size;

    if (print(journal, version, &ours, &our_size, err) < 0)
        return -1;
    if (our_size != size || memcmp(ours, text, size) != 0)
        return damaged(err, "it is not as it was written");
    return 0;
}

int upload_journal_parse(const char *id, const char *text, size_t size, struct upload_journal **ret,
                         struct error *err)
{
    CLEANUP(json_object_put) struct json_object *object = NULL;
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
    uint64_t version;

    if (parse_json(text, size, &object, err) < 0 || take_version(object, &version, err) < 0 ||
        from_json(object, version, &journal, err) < 0 ||
        check_canonical(journal, version, text, size, err) < 0)
        return -1;
    if (strcmp(journal->image_id, id) != 0)
        return damaged(err, "it names another image");
    *ret = steal(&journal);
    return 0;
}
