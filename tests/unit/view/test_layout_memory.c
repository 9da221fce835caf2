/* SPDX-License-Identifier: Apache-2.0 */
#include "view/layout_memory.h"

#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/fake_image_service.h"
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>

/* Layouts that count how many of them exist, and a message that makes them. */
struct fake_message {
    struct codec_message message;
    bool has_none; /* as an engine that keeps no layouts */
};

struct fake_layout {
    struct codec_layout layout;
    unsigned *alive;
};

static unsigned alive_layouts(unsigned change)
{
    static unsigned alive; /* of the test that runs */

    alive += change;
    return alive;
}

static void free_layout(struct codec_layout *layout)
{
    (void)alive_layouts(-1U);
    free(layout);
}

static struct codec_layout *make_layout(const struct codec_message *message)
{
    struct fake_layout *fake;

    if (((const struct fake_message *)message)->has_none)
        return NULL;
    fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    codec_layout_init(&fake->layout, free_layout);
    (void)alive_layouts(1);
    return &fake->layout;
}

static void free_message(struct codec_message *message)
{
    (void)message;
}

static struct fake_message new_message(bool has_none)
{
    static const struct codec_message_ops ops = {.layout = make_layout, .free = free_message};
    struct fake_message fake = {.has_none = has_none};

    codec_message_init(&fake.message, &ops);
    return fake;
}

static struct layout_memory *new_memory(struct signature_policy **ret_policy)
{
    struct layout_memory *memory = NULL;
    CLEANUP(config_free) struct config *config = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(config_new(&config, &err));
    assert_succeeds(signature_policy_new(config, NULL, ret_policy, &err));
    assert_succeeds(layout_memory_new(*ret_policy, &memory, &err));
    return memory;
}

static struct image_record *record_of(unsigned number, const char *bytes)
{
    char id[37];

    (void)snprintf(id, sizeof id, "%08x-2222-4333-8444-555555555555", number);
    return fake_image_record_hashed(id, bytes, strlen(bytes), "sha256");
}

static bool knows(struct layout_memory *memory, const struct image_record *record)
{
    CLEANUP(codec_layout_unref) struct codec_layout *layout = layout_memory_find(memory, record);

    return layout != NULL;
}

static void remembers_by_content(void **state)
{
    CLEANUP(signature_policy_free) struct signature_policy *policy = NULL;
    CLEANUP(layout_memory_free) struct layout_memory *memory = new_memory(&policy);
    CLEANUP(image_record_unref) struct image_record *record = record_of(1, "bytes");
    CLEANUP(image_record_unref) struct image_record *same = record_of(1, "bytes");
    CLEANUP(image_record_unref) struct image_record *replaced = record_of(1, "other");
    CLEANUP(image_record_unref) struct image_record *other = record_of(2, "bytes");
    struct fake_message message = new_message(false);

    (void)state;
    assert_false(knows(memory, record));
    layout_memory_put(memory, record, &message.message);
    assert_true(knows(memory, record));
    assert_true(knows(memory, same));
    assert_false(knows(memory, replaced));
    assert_false(knows(memory, other));
}

static void a_weak_hash_identifies_nothing(void **state)
{
    CLEANUP(signature_policy_free) struct signature_policy *policy = NULL;
    CLEANUP(layout_memory_free) struct layout_memory *memory = new_memory(&policy);
    CLEANUP(image_record_unref)
    struct image_record *record =
        fake_image_record_hashed("00000001-2222-4333-8444-555555555555", "bytes", 5, "sha1");
    struct fake_message message = new_message(false);

    (void)state;
    layout_memory_put(memory, record, &message.message);
    assert_false(knows(memory, record));
}

static void a_message_without_layout_is_not_remembered(void **state)
{
    CLEANUP(signature_policy_free) struct signature_policy *policy = NULL;
    CLEANUP(layout_memory_free) struct layout_memory *memory = new_memory(&policy);
    CLEANUP(image_record_unref) struct image_record *record = record_of(1, "bytes");
    struct fake_message message = new_message(true);

    (void)state;
    layout_memory_put(memory, record, &message.message);
    assert_false(knows(memory, record));
}

static void a_newer_layout_replaces_the_older_one(void **state)
{
    CLEANUP(signature_policy_free) struct signature_policy *policy = NULL;
    struct layout_memory *memory = new_memory(&policy);
    CLEANUP(image_record_unref) struct image_record *record = record_of(1, "bytes");
    struct fake_message message = new_message(false);

    (void)state;
    layout_memory_put(memory, record, &message.message);
    layout_memory_put(memory, record, &message.message);
    assert_int_equal(alive_layouts(0), 1);
    layout_memory_free(memory);
    assert_int_equal(alive_layouts(0), 0);
}

static void forgets_the_least_recently_used_one(void **state)
{
    CLEANUP(signature_policy_free) struct signature_policy *policy = NULL;
    CLEANUP(layout_memory_free) struct layout_memory *memory = new_memory(&policy);
    struct image_record *records[CACHE_REMEMBERED_OBJECTS + 1];
    struct fake_message message = new_message(false);

    (void)state;
    for (unsigned i = 0; i < ELEMENTS_OF(records); i++)
        records[i] = record_of(i, "bytes");
    for (unsigned i = 0; i < CACHE_REMEMBERED_OBJECTS; i++)
        layout_memory_put(memory, records[i], &message.message);
    assert_true(knows(memory, records[0]));
    layout_memory_put(memory, records[CACHE_REMEMBERED_OBJECTS], &message.message);
    assert_int_equal(alive_layouts(0), CACHE_REMEMBERED_OBJECTS);
    assert_true(knows(memory, records[0]));
    assert_false(knows(memory, records[1]));
    assert_true(knows(memory, records[2]));
    for (unsigned i = 0; i < ELEMENTS_OF(records); i++)
        image_record_unref(records[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembers_by_content),
        cmocka_unit_test(a_weak_hash_identifies_nothing),
        cmocka_unit_test(a_message_without_layout_is_not_remembered),
        cmocka_unit_test(a_newer_layout_replaces_the_older_one),
        cmocka_unit_test(forgets_the_least_recently_used_one),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
