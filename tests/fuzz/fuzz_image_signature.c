/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signature properties of an image: a line each for img_signature, its hash method, its key type and
 * the certificate's id, then the certificate in PEM as the key manager has it. A line "-" leaves the
 * property out. What passes by is not what was signed: it must never be taken for it.
 */
#include "base/uuid.h"
#include "fuzz_main.h"
#include "input_texts.h"
#include "support/memory_sink.h"
#include "view/image_signature.h"

#include <json-c/json_object.h>
#include <string.h>

#define PROPERTIES 4
#define LEFT_OUT "-"

static const char *const names[PROPERTIES] = {"img_signature", "img_signature_hash_method",
                                              "img_signature_key_type",
                                              "img_signature_certificate_uuid"};

/* A key manager with one secret. */
struct keys {
    struct key_manager manager;
    const uint8_t *payload;
    size_t size;
};

static int get_payload(struct key_manager *manager, const char *secret_id, struct cancel *cancel,
                       struct secure_buffer **ret, struct error *err)
{
    const struct keys *keys = (const struct keys *)manager;

    (void)cancel;
    FUZZ_ASSERT(uuid_is_valid(secret_id));
    return secure_buffer_copy_of(fuzz_arena(), keys->payload, keys->size, ret, err);
}

/* NULL when a text is none that a record can hold. */
static struct image_record *build_record(char *const values[PROPERTIES])
{
    struct json_object *document = json_object_new_object();
    struct image_record *record = NULL;
    struct error err = ERROR_INIT;
    const char *text;

    (void)json_object_object_add(document, "id",
                                 json_object_new_string("7b97a3a7-3d5c-4b6f-9f4e-2f1f3a5d9c10"));
    (void)json_object_object_add(document, "status", json_object_new_string("active"));
    for (size_t i = 0; i < PROPERTIES; i++)
        if (strcmp(values[i], LEFT_OUT) != 0)
            (void)json_object_object_add(document, names[i], json_object_new_string(values[i]));
    text = json_object_to_json_string(document);
    (void)image_record_parse(text, strlen(text), &record, &err);
    (void)json_object_put(document);
    return record;
}

static bool claims_nothing(const struct image_record *record)
{
    for (size_t i = 0; i < PROPERTIES; i++)
        if (image_record_property(record, names[i]) == NULL)
            return true;
    return false;
}

static void pass_bytes(const struct signature_policy *policy, const struct image_record *record)
{
    CLEANUP(memory_sink_record) struct memory_sink_record written = {0};
    CLEANUP(byte_sink_free) struct byte_sink *next = NULL;
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;

    fuzz_allocations_succeed();
    next = memory_sink_new(&written, NULL);
    fuzz_allocations_may_fail();
    if (signature_sink_new(policy, record, next, NULL, &sink, &err) < 0) {
        FUZZ_ASSERT(!claims_nothing(record) || fuzz_allocations_fail());
        fuzz_assert_plain(&err);
        return;
    }
    fuzz_allocations_succeed();
    FUZZ_ASSERT(byte_sink_write(sink, "not signed", 10, NULL, &err) == 0);
    FUZZ_ASSERT((byte_sink_commit(sink, NULL, &err) == 0) == claims_nothing(record));
    FUZZ_ASSERT((written.commits == 1) == claims_nothing(record));
    fuzz_allocations_may_fail();
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static const struct key_manager_ops ops = {.get_payload = get_payload};
    struct config config = {.signature = SIGNATURE_IF_PRESENT};
    CLEANUP(input_texts) struct input_texts lines = {0};
    CLEANUP(signature_policy_free) struct signature_policy *policy = NULL;
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct keys keys = {.manager.ops = &ops};
    struct error err = ERROR_INIT;
    size_t head = 0;

    input_texts_split(&lines, data, size);
    if (lines.count <= PROPERTIES ||
        signature_policy_new(&config, &keys.manager, &policy, &err) < 0)
        return;
    for (size_t i = 0; i < PROPERTIES; i++)
        head += strlen(lines.texts[i]) + 1;
    if (head > size)
        return;
    keys.payload = data + head;
    keys.size = size - head;
    record = build_record(lines.texts);
    if (record != NULL)
        pass_bytes(policy, record);
}
