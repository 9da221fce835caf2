/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_keys.h"

#include "base/uuid.h"
#include "glancefs/limits.h"
#include "local_cloud_fixture.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <stdio.h>
#include <sys/stat.h>

#define PAYLOAD_NAME "secrets/" KEY_ID ".payload"

static struct secure_buffer *get_payload(struct local_cloud_fixture *fixture, const char *id)
{
    struct secure_buffer *payload = NULL;
    struct error err;

    assert_succeeds(key_manager_get_payload(fixture->cloud->keys, id, NULL, &payload, &err));
    return payload;
}

static struct secret_metadata get_metadata(struct local_cloud_fixture *fixture, const char *id)
{
    struct secret_metadata metadata = {0};
    struct error err;

    assert_succeeds(key_manager_get_metadata(fixture->cloud->keys, id, NULL, &metadata, &err));
    return metadata;
}

static void assert_key_fails(struct local_cloud_fixture *fixture, enum error_kind kind)
{
    struct secure_buffer *payload = NULL;
    struct error err;

    assert_fails(kind, key_manager_get_payload(fixture->cloud->keys, KEY_ID, NULL, &payload, &err));
    assert_message_has(KEY_ID);
    assert_null(payload);
}

/* --- secrets written by hand --- */

static void a_payload_alone_is_an_opaque_secret(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    struct secret_metadata metadata;

    write_secret_file(fixture, KEY_ID, ".payload", "key\n");
    metadata = get_metadata(fixture, KEY_ID);
    assert_string_equal(metadata.secret_type, "opaque");
    assert_string_equal(metadata.name, "");
    payload = get_payload(fixture, KEY_ID);
    assert_int_equal(secure_buffer_size(payload), 4);
    assert_memory_equal(secure_buffer_bytes(payload), "key\n", 4);
    assert_true(secure_arena_contains(*state, secure_buffer_bytes(payload)));
}

static void metadata_of_barbican_is_understood(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct secret_metadata metadata;

    write_secret_file(
        fixture, KEY_ID, ".json",
        "{\"created\":\"2026-11-23T08:36:54\",\"updated\":\"2026-11-23T08:36:54\",\"status\":"
        "\"ACTIVE\",\"name\":\"disk key\",\"secret_type\":\"symmetric\",\"expiration\":null,"
        "\"algorithm\":\"aes\",\"bit_length\":256,\"mode\":\"xts\",\"creator_id\":\"x\","
        "\"content_types\":{\"default\":\"application/octet-stream\"},\"secret_ref\":"
        "\"http://127.0.0.1:15002/v1/secrets/" KEY_ID "\"}");
    metadata = get_metadata(fixture, KEY_ID);
    assert_string_equal(metadata.secret_type, "symmetric");
    assert_string_equal(metadata.name, "disk key");
}

static void a_secret_without_type_is_opaque(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);

    write_secret_file(fixture, KEY_ID, ".json", "{}");
    assert_string_equal(get_metadata(fixture, KEY_ID).secret_type, "opaque");
}

static void a_passphrase_may_hold_nul_and_line_feed(void **state)
{
    static const char bytes[] = {'a', '\0', '\n', 'b', '\n'};
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(secure_buffer_free) struct secure_buffer *raw = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *hex = NULL;
    struct error err;

    write_secret_file(fixture, KEY_ID, ".json", "{\"secret_type\":\"passphrase\"}");
    temp_dir_write(fixture->dir, PAYLOAD_NAME, bytes, sizeof bytes);
    assert_succeeds(key_manager_get_passphrase(fixture->cloud->keys, *state, KEY_ID,
                                               KEY_ENCODING_AUTO, NULL, &raw, &err));
    assert_int_equal(secure_buffer_size(raw), sizeof bytes);
    assert_memory_equal(secure_buffer_bytes(raw), bytes, sizeof bytes);
    write_secret_file(fixture, KEY_ID, ".json", "{\"secret_type\":\"symmetric\"}");
    assert_succeeds(key_manager_get_passphrase(fixture->cloud->keys, *state, KEY_ID,
                                               KEY_ENCODING_AUTO, NULL, &hex, &err));
    assert_int_equal(secure_buffer_size(hex), 10);
    assert_memory_equal(secure_buffer_bytes(hex), "61000a620a", 10);
}

/* --- refusals --- */

static void an_absent_secret_is_no_key(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct secret_metadata metadata;
    struct error err;

    /* without the directory, and with it */
    for (int i = 0; i < 2; i++) {
        assert_key_fails(fixture, ERROR_NO_KEY);
        assert_fails(ERROR_NO_KEY,
                     key_manager_get_metadata(fixture->cloud->keys, KEY_ID, NULL, &metadata, &err));
        write_secret_file(fixture, OTHER_ID, ".payload", "x");
    }
}

static void metadata_alone_has_no_payload(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);

    write_secret_file(fixture, KEY_ID, ".json", "{}");
    assert_key_fails(fixture, ERROR_KEY_REJECTED);
}

static void an_empty_payload_is_rejected(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);

    write_secret_file(fixture, KEY_ID, ".payload", "");
    assert_key_fails(fixture, ERROR_KEY_REJECTED);
}

static void an_over_large_payload_is_rejected_before_it_is_read(void **state)
{
    static const char bytes[LIMIT_SECRET_BYTES + 1];
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    size_t used = secure_arena_used(*state);

    write_secret_file(fixture, KEY_ID, ".payload", "");
    temp_dir_write(fixture->dir, PAYLOAD_NAME, bytes, sizeof bytes);
    assert_key_fails(fixture, ERROR_KEY_REJECTED);
    assert_int_equal(secure_arena_used(*state), used);
    temp_dir_write(fixture->dir, PAYLOAD_NAME, bytes, sizeof bytes - 1);
    secure_buffer_free(get_payload(fixture, KEY_ID));
}

static void bad_metadata_is_rejected_with_its_cause(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{\"secret_type\":7}",
        "{\"secret_type\":\"a type that is longer than any of Barbican's\"}",
        "{\"name\":[]}",
        "{\"secret_type\":\"opaque\",\"secret_type\":\"passphrase\"}",
        "{\"expiration\":\"soon\"}",
    };
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);

    write_secret_file(fixture, KEY_ID, ".payload", "key");
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        write_secret_file(fixture, KEY_ID, ".json", texts[i]);
        assert_key_fails(fixture, ERROR_KEY_REJECTED);
    }
}

static void an_expired_secret_is_no_key(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);

    write_secret_file(fixture, KEY_ID, ".payload", "key");
    write_secret_file(fixture, KEY_ID, ".json", "{\"expiration\":\"2020-01-01T00:00:00\"}");
    assert_key_fails(fixture, ERROR_NO_KEY);
    write_secret_file(fixture, KEY_ID, ".json", "{\"expiration\":\"2200-01-01T00:00:00\"}");
    secure_buffer_free(get_payload(fixture, KEY_ID));
}

static void a_payload_that_is_no_plain_file_is_refused(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    int dir_fd = temp_dir_fd(fixture->dir);

    write_secret_file(fixture, OTHER_ID, ".payload", "key");
    assert_int_equal(symlinkat(OTHER_ID ".payload", dir_fd, PAYLOAD_NAME), 0);
    assert_key_fails(fixture, ERROR_SYSTEM);
    assert_int_equal(unlinkat(dir_fd, PAYLOAD_NAME, 0), 0);
    assert_int_equal(mkfifoat(dir_fd, PAYLOAD_NAME, 0600), 0);
    assert_key_fails(fixture, ERROR_KEY_REJECTED);
    assert_int_equal(unlinkat(dir_fd, PAYLOAD_NAME, 0), 0);
    assert_int_equal(mkdirat(dir_fd, PAYLOAD_NAME, 0700), 0);
    assert_key_fails(fixture, ERROR_KEY_REJECTED);
}

static void metadata_behind_a_link_is_refused(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);

    write_secret_file(fixture, OTHER_ID, ".json", "{\"secret_type\":\"passphrase\"}");
    write_secret_file(fixture, KEY_ID, ".payload", "key");
    assert_int_equal(
        symlinkat(OTHER_ID ".json", temp_dir_fd(fixture->dir), "secrets/" KEY_ID ".json"), 0);
    assert_key_fails(fixture, ERROR_KEY_REJECTED);
}

/* --- store --- */

static void a_stored_secret_comes_back_exactly(void **state)
{
    static const char bytes[] = {'\0', '\n', '\xff', ' ', '\n'};
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    const struct secret_metadata metadata = {.secret_type = "passphrase", .name = "n\"1"};
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *stored = NULL;
    struct error err;
    struct stat status;
    char name[128];
    char id[37];

    assert_succeeds(secure_buffer_copy_of(*state, bytes, sizeof bytes, &payload, &err));
    assert_succeeds(key_manager_store(fixture->cloud->keys, &metadata, payload, NULL, id, &err));
    assert_true(uuid_is_valid(id));
    stored = get_payload(fixture, id);
    assert_true(secure_buffer_equal(payload, stored));
    assert_string_equal(get_metadata(fixture, id).secret_type, "passphrase");
    assert_string_equal(get_metadata(fixture, id).name, "n\"1");
    (void)snprintf(name, sizeof name, "secrets/%s.payload", id);
    assert_int_equal(fstatat(temp_dir_fd(fixture->dir), name, &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(fstatat(temp_dir_fd(fixture->dir), "secrets", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
}

static void a_name_that_is_no_utf8_is_not_stored(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    const struct secret_metadata metadata = {.secret_type = "passphrase", .name = "\xff"};
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    CLEANUP(memory_free) char *path = temp_dir_join(fixture->dir, "secrets");
    struct error err;
    char id[37];

    assert_succeeds(secure_buffer_copy_of(*state, "x", 1, &payload, &err));
    assert_fails(ERROR_INVALID,
                 key_manager_store(fixture->cloud->keys, &metadata, payload, NULL, id, &err));
    assert_int_equal(rmdir(path), 0);
}

static void no_message_holds_the_payload(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct secure_buffer *payload = NULL;
    struct error err;

    write_secret_file(fixture, KEY_ID, ".payload", "hunter2");
    write_secret_file(fixture, KEY_ID, ".json", "hunter2");
    assert_fails(ERROR_KEY_REJECTED,
                 key_manager_get_payload(fixture->cloud->keys, KEY_ID, NULL, &payload, &err));
    assert_null(strstr(err.message, "hunter2"));
}

/* --- consumers --- */

static const struct secret_consumer image_consumer = {"image", "image", IMAGE_ID};
static const struct secret_consumer other_consumer = {"image", "image", OTHER_ID};

static void add_consumer(struct local_cloud_fixture *fixture,
                         const struct secret_consumer *consumer)
{
    struct error err;

    assert_succeeds(key_manager_add_consumer(fixture->cloud->keys, KEY_ID, consumer, NULL, &err));
}

static size_t count_text(struct local_cloud_fixture *fixture, const char *text)
{
    size_t size;
    size_t count = 0;
    CLEANUP(memory_free)
    uint8_t *document = temp_dir_read(fixture->dir, "secrets/" KEY_ID ".json", &size);
    const uint8_t *next = document;

    while ((next = memmem(next, size - (size_t)(next - document), text, strlen(text))) != NULL) {
        count++;
        next++;
    }
    return count;
}

static void consumers_come_and_go(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct error err;

    write_secret_file(fixture, KEY_ID, ".json", "{\"name\":\"disk key\"}");
    write_secret_file(fixture, KEY_ID, ".payload", "key");
    add_consumer(fixture, &image_consumer);
    add_consumer(fixture, &other_consumer);
    add_consumer(fixture, &image_consumer);
    assert_int_equal(count_text(fixture, IMAGE_ID), 1);
    assert_int_equal(count_text(fixture, OTHER_ID), 1);
    for (unsigned i = 0; i < 2; i++)
        assert_succeeds(
            key_manager_remove_consumer(fixture->cloud->keys, KEY_ID, &image_consumer, NULL, &err));
    assert_int_equal(count_text(fixture, IMAGE_ID), 0);
    assert_int_equal(count_text(fixture, OTHER_ID), 1);
    assert_string_equal(get_metadata(fixture, KEY_ID).name, "disk key");
}

static void a_payload_alone_gets_metadata_for_its_consumer(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);

    write_secret_file(fixture, KEY_ID, ".payload", "key");
    add_consumer(fixture, &image_consumer);
    assert_int_equal(count_text(fixture, IMAGE_ID), 1);
    assert_string_equal(get_metadata(fixture, KEY_ID).secret_type, "opaque");
}

static void a_secret_that_is_absent_has_no_consumers(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct error err;

    assert_fails(ERROR_NO_KEY, key_manager_add_consumer(fixture->cloud->keys, KEY_ID,
                                                        &image_consumer, NULL, &err));
    write_secret_file(fixture, KEY_ID, ".json", "{\"consumers\":\"many\"}");
    assert_fails(ERROR_INVALID, key_manager_add_consumer(fixture->cloud->keys, KEY_ID,
                                                         &image_consumer, NULL, &err));
    assert_message_has(KEY_ID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payload_alone_is_an_opaque_secret),
        cmocka_unit_test(metadata_of_barbican_is_understood),
        cmocka_unit_test(a_secret_without_type_is_opaque),
        cmocka_unit_test(a_passphrase_may_hold_nul_and_line_feed),
        cmocka_unit_test(an_absent_secret_is_no_key),
        cmocka_unit_test(metadata_alone_has_no_payload),
        cmocka_unit_test(an_empty_payload_is_rejected),
        cmocka_unit_test(an_over_large_payload_is_rejected_before_it_is_read),
        cmocka_unit_test(bad_metadata_is_rejected_with_its_cause),
        cmocka_unit_test(an_expired_secret_is_no_key),
        cmocka_unit_test(a_payload_that_is_no_plain_file_is_refused),
        cmocka_unit_test(metadata_behind_a_link_is_refused),
        cmocka_unit_test(a_stored_secret_comes_back_exactly),
        cmocka_unit_test(a_name_that_is_no_utf8_is_not_stored),
        cmocka_unit_test(no_message_holds_the_payload),
        cmocka_unit_test(consumers_come_and_go),
        cmocka_unit_test(a_payload_alone_gets_metadata_for_its_consumer),
        cmocka_unit_test(a_secret_that_is_absent_has_no_consumers),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
