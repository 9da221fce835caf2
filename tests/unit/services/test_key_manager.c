/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/key_manager.h"

#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <stdio.h>

#define ID "c2fb7546-e548-4e8b-9a3b-78ee2a3dd3d1"
#define REFERENCE "https://host/v1/secrets/" ID

/* Answers with one secret and counts what it is asked. */
struct fake_manager {
    struct key_manager manager;
    struct secure_arena *arena;
    const char *secret_type;
    const void *payload;
    size_t size;
    enum error_kind refuses; /* ERROR_NONE: answers */
    unsigned metadata_calls;
    unsigned payload_calls;
    unsigned stores;
    unsigned consumer_calls;
    unsigned frees;
};

static int fake_get_metadata(struct key_manager *manager, const char *secret_id,
                             struct cancel *cancel, struct secret_metadata *ret, struct error *err)
{
    struct fake_manager *fake = (struct fake_manager *)manager;

    (void)secret_id, (void)cancel, (void)err;
    fake->metadata_calls++;
    *ret = (struct secret_metadata){0};
    (void)snprintf(ret->secret_type, sizeof ret->secret_type, "%s", fake->secret_type);
    return 0;
}

static int fake_get_payload(struct key_manager *manager, const char *secret_id,
                            struct cancel *cancel, struct secure_buffer **ret, struct error *err)
{
    struct fake_manager *fake = (struct fake_manager *)manager;

    (void)secret_id, (void)cancel;
    fake->payload_calls++;
    if (fake->refuses != ERROR_NONE)
        return error_set(err, fake->refuses, "refused");
    return secure_buffer_copy_of(fake->arena, fake->payload, fake->size, ret, err);
}

static int fake_store(struct key_manager *manager, const struct secret_metadata *metadata,
                      const struct secure_buffer *payload, struct cancel *cancel, char ret_id[37],
                      struct error *err)
{
    (void)metadata, (void)payload, (void)cancel, (void)err;
    ((struct fake_manager *)manager)->stores++;
    (void)snprintf(ret_id, 37, "%s", ID);
    return 0;
}

static int fake_change_consumer(struct key_manager *manager, const char *secret_id,
                                const struct secret_consumer *consumer, struct cancel *cancel,
                                struct error *err)
{
    struct fake_manager *fake = (struct fake_manager *)manager;

    (void)secret_id, (void)consumer, (void)cancel;
    fake->consumer_calls++;
    return fake->refuses == ERROR_NONE ? 0 : error_set(err, fake->refuses, "refused");
}

static void fake_free(struct key_manager *manager)
{
    ((struct fake_manager *)manager)->frees++;
}

static const struct key_manager_ops fake_ops = {.get_metadata = fake_get_metadata,
                                                .get_payload = fake_get_payload,
                                                .store = fake_store,
                                                .add_consumer = fake_change_consumer,
                                                .remove_consumer = fake_change_consumer,
                                                .free = fake_free};

static struct fake_manager fake_with(void **state, const char *type, const void *payload,
                                     size_t size)
{
    return (struct fake_manager){.manager.ops = &fake_ops,
                                 .arena = *state,
                                 .secret_type = type,
                                 .payload = payload,
                                 .size = size};
}

static void an_id_that_is_no_uuid_is_no_key(void **state)
{
    static const char *const ids[] = {"", "..", "../images/x", ID ".payload", REFERENCE};
    struct fake_manager fake = fake_with(state, "opaque", "x", 1);
    struct secret_metadata metadata;
    struct secure_buffer *payload = NULL;
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(ids); i++) {
        assert_fails(ERROR_NO_KEY,
                     key_manager_get_metadata(&fake.manager, ids[i], NULL, &metadata, &err));
        assert_fails(ERROR_NO_KEY,
                     key_manager_get_payload(&fake.manager, ids[i], NULL, &payload, &err));
    }
    assert_int_equal(fake.metadata_calls + fake.payload_calls, 0);
}

static void a_consumer_that_fits_no_column_is_not_sent(void **state)
{
    static const char too_long[] = "host:7b97a3a7-3d5c-4b6f-9f4e-2f1f3a5d9c10";
    static const struct secret_consumer bad[] = {
        {"", "image", ID}, {"image", "", ID}, {"image", "image", ""}, {"image", "image", too_long}};
    struct fake_manager fake = fake_with(state, "opaque", "x", 1);
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
        assert_fails(ERROR_INVALID,
                     key_manager_add_consumer(&fake.manager, ID, &bad[i], NULL, &err));
        assert_fails(ERROR_INVALID,
                     key_manager_remove_consumer(&fake.manager, ID, &bad[i], NULL, &err));
    }
    assert_int_equal(fake.consumer_calls, 0);
}

static void a_consumer_of_a_secret_that_is_gone_is_removed(void **state)
{
    static const struct secret_consumer consumer = {"image", "image", ID};
    struct fake_manager fake = fake_with(state, "opaque", "x", 1);
    struct error err;

    fake.refuses = ERROR_NO_KEY;
    assert_succeeds(key_manager_remove_consumer(&fake.manager, ID, &consumer, NULL, &err));
    assert_fails(ERROR_NO_KEY, key_manager_add_consumer(&fake.manager, ID, &consumer, NULL, &err));
    fake.refuses = ERROR_DENIED;
    assert_fails(ERROR_DENIED,
                 key_manager_remove_consumer(&fake.manager, ID, &consumer, NULL, &err));
    assert_int_equal(fake.consumer_calls, 3);
    assert_fails(ERROR_NO_KEY,
                 key_manager_add_consumer(&fake.manager, REFERENCE, &consumer, NULL, &err));
    assert_int_equal(fake.consumer_calls, 3);
}

static void an_empty_payload_is_rejected(void **state)
{
    struct fake_manager fake = fake_with(state, "opaque", "", 0);
    struct secure_buffer *payload = NULL;
    struct error err;

    assert_fails(ERROR_KEY_REJECTED,
                 key_manager_get_payload(&fake.manager, ID, NULL, &payload, &err));
    assert_message_has("empty");
    assert_message_has(ID);
    assert_null(payload);
}

static void a_payload_over_the_limit_is_rejected(void **state)
{
    static const char bytes[LIMIT_SECRET_BYTES + 1];
    struct fake_manager fake = fake_with(state, "opaque", bytes, sizeof bytes);
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    struct error err;

    assert_fails(ERROR_KEY_REJECTED,
                 key_manager_get_payload(&fake.manager, ID, NULL, &payload, &err));
    assert_message_has("limit");
    fake.size--;
    assert_succeeds(key_manager_get_payload(&fake.manager, ID, NULL, &payload, &err));
    assert_int_equal(secure_buffer_size(payload), LIMIT_SECRET_BYTES);
}

static void only_known_types_and_sound_payloads_are_stored(void **state)
{
    static const char *const types[] = {"symmetric", "passphrase", "opaque",
                                        "private",   "public",     "certificate"};
    struct fake_manager fake = fake_with(state, "opaque", "", 0);
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    struct secret_metadata metadata = {.secret_type = "password"};
    struct error err;
    char id[37];

    assert_succeeds(secure_buffer_copy_of(*state, "x", 1, &payload, &err));
    assert_fails(ERROR_INVALID,
                 key_manager_store(&fake.manager, &metadata, payload, NULL, id, &err));
    for (size_t i = 0; i < ELEMENTS_OF(types); i++) {
        (void)snprintf(metadata.secret_type, sizeof metadata.secret_type, "%s", types[i]);
        assert_succeeds(key_manager_store(&fake.manager, &metadata, payload, NULL, id, &err));
    }
    secure_buffer_set_size(payload, 0);
    assert_fails(ERROR_KEY_REJECTED,
                 key_manager_store(&fake.manager, &metadata, payload, NULL, id, &err));
    assert_int_equal(fake.stores, ELEMENTS_OF(types));
}

static void a_cancelled_caller_reaches_no_manager(void **state)
{
    struct fake_manager fake = fake_with(state, "opaque", "x", 1);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    struct secret_metadata metadata = {.secret_type = "opaque"};
    struct secure_buffer *ret = NULL;
    struct error err;
    char id[37];

    assert_succeeds(cancel_new(&cancel, &err));
    assert_succeeds(secure_buffer_copy_of(*state, "x", 1, &payload, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED,
                 key_manager_get_metadata(&fake.manager, ID, cancel, &metadata, &err));
    assert_fails(ERROR_CANCELLED, key_manager_get_payload(&fake.manager, ID, cancel, &ret, &err));
    assert_fails(ERROR_CANCELLED,
                 key_manager_store(&fake.manager, &metadata, payload, cancel, id, &err));
    assert_int_equal(fake.metadata_calls + fake.payload_calls + fake.stores, 0);
    key_manager_free(&fake.manager);
    key_manager_free(NULL);
    assert_int_equal(fake.frees, 1);
}

/* --- passphrase.c --- */

static const char binary_key[] = {'a', '\0', '\n', '\xff', '\n'};

static const struct passphrase_rule {
    const char *secret_type;
    enum key_encoding encoding;
    const char *passphrase;
    size_t size;
} passphrase_rules[] = {
    {"passphrase", KEY_ENCODING_AUTO, binary_key, sizeof binary_key},
    {"symmetric", KEY_ENCODING_AUTO, "61000aff0a", 10},
    {"opaque", KEY_ENCODING_AUTO, "61000aff0a", 10},
    {"private", KEY_ENCODING_AUTO, "61000aff0a", 10},
    {"symmetric", KEY_ENCODING_RAW, binary_key, sizeof binary_key},
    {"passphrase", KEY_ENCODING_RAW, binary_key, sizeof binary_key},
    {"passphrase", KEY_ENCODING_HEX, "61000aff0a", 10},
    {"symmetric", KEY_ENCODING_BASE64, "YQAK/wo=", 8},
    {"passphrase", KEY_ENCODING_BASE64, "YQAK/wo=", 8},
};

static void type_and_encoding_decide_the_passphrase(void **state)
{
    for (size_t i = 0; i < ELEMENTS_OF(passphrase_rules); i++) {
        const struct passphrase_rule *rule = &passphrase_rules[i];
        struct fake_manager fake =
            fake_with(state, rule->secret_type, binary_key, sizeof binary_key);
        CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = NULL;
        struct error err;

        assert_succeeds(key_manager_get_passphrase(&fake.manager, *state, ID, rule->encoding, NULL,
                                                   &passphrase, &err));
        assert_int_equal(secure_buffer_size(passphrase), rule->size);
        assert_memory_equal(secure_buffer_bytes(passphrase), rule->passphrase, rule->size);
        assert_true(secure_arena_contains(*state, secure_buffer_bytes(passphrase)));
    }
}

static void only_the_automatic_rule_asks_for_the_type(void **state)
{
    struct fake_manager fake = fake_with(state, "opaque", "x", 1);
    struct error err;

    for (int encoding = KEY_ENCODING_AUTO; encoding <= KEY_ENCODING_BASE64; encoding++) {
        CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = NULL;

        assert_succeeds(key_manager_get_passphrase(
            &fake.manager, *state, ID, (enum key_encoding)encoding, NULL, &passphrase, &err));
    }
    assert_int_equal(fake.metadata_calls, 1);
    assert_int_equal(fake.payload_calls, 4);
}

static void a_refusal_gives_no_passphrase_and_keeps_nothing(void **state)
{
    struct fake_manager fake = fake_with(state, "opaque", "", 0);
    size_t used = secure_arena_used(*state);
    struct secure_buffer *passphrase = NULL;
    struct error err;

    assert_fails(ERROR_KEY_REJECTED,
                 key_manager_get_passphrase(&fake.manager, *state, ID, KEY_ENCODING_AUTO, NULL,
                                            &passphrase, &err));
    fake.refuses = ERROR_DENIED;
    assert_fails(ERROR_DENIED,
                 key_manager_get_passphrase(&fake.manager, *state, ID, KEY_ENCODING_RAW, NULL,
                                            &passphrase, &err));
    assert_fails(ERROR_NO_KEY,
                 key_manager_get_passphrase(&fake.manager, *state, "no id", KEY_ENCODING_RAW, NULL,
                                            &passphrase, &err));
    assert_null(passphrase);
    assert_int_equal(secure_arena_used(*state), used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_that_is_no_uuid_is_no_key),
        cmocka_unit_test(a_consumer_that_fits_no_column_is_not_sent),
        cmocka_unit_test(a_consumer_of_a_secret_that_is_gone_is_removed),
        cmocka_unit_test(an_empty_payload_is_rejected),
        cmocka_unit_test(a_payload_over_the_limit_is_rejected),
        cmocka_unit_test(only_known_types_and_sound_payloads_are_stored),
        cmocka_unit_test(a_cancelled_caller_reaches_no_manager),
        cmocka_unit_test(type_and_encoding_decide_the_passphrase),
        cmocka_unit_test(only_the_automatic_rule_asks_for_the_type),
        cmocka_unit_test(a_refusal_gives_no_passphrase_and_keeps_nothing),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
