/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/key_file.h"

#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/temp_dir.h"
#include "support/testing.h"

static void every_byte_is_read_into_the_arena(void **state)
{
    static const char bytes[] = {'\0', '\n', 'a', '\r', '\n'};
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(memory_free) char *path = temp_dir_join(dir, "key");
    CLEANUP(secure_buffer_free) struct secure_buffer *key = NULL;
    struct error err;

    temp_dir_write(dir, "key", bytes, sizeof bytes);
    assert_succeeds(key_file_read(path, *state, &key, &err));
    assert_int_equal(secure_buffer_size(key), sizeof bytes);
    assert_memory_equal(secure_buffer_bytes(key), bytes, sizeof bytes);
    assert_true(secure_arena_contains(*state, secure_buffer_bytes(key)));
}

static void a_key_fills_the_limit_and_no_more(void **state)
{
    static const char bytes[LIMIT_SECRET_BYTES + 1];
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(memory_free) char *path = temp_dir_join(dir, "key");
    struct secure_buffer *key = NULL;
    struct error err;

    temp_dir_write(dir, "key", bytes, LIMIT_SECRET_BYTES + 1);
    assert_fails(ERROR_TOO_LARGE, key_file_read(path, *state, &key, &err));
    assert_message_has(path);
    temp_dir_write(dir, "key", bytes, LIMIT_SECRET_BYTES);
    assert_succeeds(key_file_read(path, *state, &key, &err));
    assert_int_equal(secure_buffer_size(key), LIMIT_SECRET_BYTES);
    secure_buffer_free(key);
}

static void an_empty_absent_or_unreadable_file_is_no_key(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(memory_free) char *path = temp_dir_join(dir, "key");
    size_t used = secure_arena_used(*state);
    struct secure_buffer *key = NULL;
    struct error err;

    assert_fails(ERROR_NOT_FOUND, key_file_read(path, *state, &key, &err));
    temp_dir_write(dir, "key", "", 0);
    assert_fails(ERROR_KEY_REJECTED, key_file_read(path, *state, &key, &err));
    assert_message_has("empty");
    assert_fails(ERROR_SYSTEM, key_file_read(temp_dir_path(dir), *state, &key, &err));
    assert_null(key);
    assert_int_equal(secure_arena_used(*state), used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_read_into_the_arena),
        cmocka_unit_test(a_key_fills_the_limit_and_no_more),
        cmocka_unit_test(an_empty_absent_or_unreadable_file_is_no_key),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
