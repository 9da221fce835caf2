/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/secure_buffer.h"

#include "support/child_process.h"
#include "support/testing.h"

#include <signal.h>

static int open_arena(void **state)
{
    struct error err = ERROR_INIT;

    return secure_arena_new(SECURE_ARENA_MINIMUM_BYTES, (struct secure_arena **)state, &err);
}

/* Every test gives back all it took. */
static int close_arena(void **state)
{
    const int result = secure_arena_used(*state) == 0 ? 0 : -1;

    secure_arena_free(*state);
    return result;
}

static void a_new_buffer_is_empty_zeroed_and_in_the_arena(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *buffer = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(secure_buffer_new(*state, 100, &buffer, &err));
    assert_int_equal(secure_buffer_size(buffer), 0);
    assert_int_equal(secure_buffer_capacity(buffer), 100);
    assert_ptr_equal(secure_buffer_data(buffer), secure_buffer_bytes(buffer));
    assert_true(secure_arena_contains(*state, secure_buffer_bytes(buffer)));
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(secure_buffer_bytes(buffer)[i], 0);
}

static void a_copy_holds_the_bytes_and_is_one_of_its_own(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *buffer = NULL;
    struct error err = ERROR_INIT;
    char secret[] = "\0with\0NULs";

    assert_succeeds(secure_buffer_copy_of(*state, secret, sizeof secret, &buffer, &err));
    memset(secret, 'x', sizeof secret);
    assert_int_equal(secure_buffer_size(buffer), sizeof secret);
    assert_memory_equal(secure_buffer_bytes(buffer), "\0with\0NULs", sizeof secret);
}

static void an_empty_copy_is_a_buffer(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *buffer = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(secure_buffer_copy_of(*state, NULL, 0, &buffer, &err));
    assert_non_null(buffer);
    assert_int_equal(secure_buffer_size(buffer), 0);
    assert_fails(ERROR_TOO_LARGE, secure_buffer_append(buffer, "a", 1, &err));
}

static void append_fills_up_to_the_capacity_and_no_further(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *buffer = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(secure_buffer_new(*state, 8, &buffer, &err));
    assert_succeeds(secure_buffer_append(buffer, "abc", 3, &err));
    assert_succeeds(secure_buffer_append(buffer, NULL, 0, &err));
    assert_fails(ERROR_TOO_LARGE, secure_buffer_append(buffer, "123456", 6, &err));
    assert_int_equal(secure_buffer_size(buffer), 3);
    assert_int_equal(secure_buffer_bytes(buffer)[3], 0);
    assert_succeeds(secure_buffer_append(buffer, "defgh", 5, &err));
    assert_fails(ERROR_TOO_LARGE, secure_buffer_append(buffer, "i", 1, &err));
    assert_memory_equal(secure_buffer_bytes(buffer), "abcdefgh", 8);
}

static void append_sizes_do_not_wrap(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *buffer = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(secure_buffer_new(*state, 8, &buffer, &err));
    assert_succeeds(secure_buffer_append(buffer, "abc", 3, &err));
    assert_fails(ERROR_TOO_LARGE, secure_buffer_append(buffer, "x", SIZE_MAX, &err));
    assert_fails(ERROR_TOO_LARGE, secure_buffer_append(buffer, "x", SIZE_MAX - 2, &err));
    assert_int_equal(secure_buffer_size(buffer), 3);
}

static void an_error_holds_no_byte_of_the_secret(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *buffer = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(secure_buffer_copy_of(*state, "hunter2", 7, &buffer, &err));
    assert_fails(ERROR_TOO_LARGE, secure_buffer_append(buffer, "swordfish", 9, &err));
    assert_null(strstr(err.message, "hunter2"));
    assert_null(strstr(err.message, "swordfish"));
}

static void a_smaller_size_wipes_what_is_cut_off(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *buffer = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(secure_buffer_copy_of(*state, "abcdefgh", 8, &buffer, &err));
    secure_buffer_set_size(buffer, 3);
    assert_int_equal(secure_buffer_size(buffer), 3);
    assert_memory_equal(secure_buffer_bytes(buffer), "abc\0\0\0\0\0", 8);
    secure_buffer_set_size(buffer, 8);
    assert_memory_equal(secure_buffer_bytes(buffer), "abc\0\0\0\0\0", 8);
    secure_buffer_set_size(buffer, 0);
    assert_memory_equal(secure_buffer_bytes(buffer), "\0\0\0\0\0\0\0\0", 8);
}

static void a_larger_size_keeps_what_was_read_into_the_memory(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *buffer = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(secure_buffer_new(*state, 8, &buffer, &err));
    memcpy(secure_buffer_data(buffer), "abcdefgh", 8);
    secure_buffer_set_size(buffer, 8);
    assert_memory_equal(secure_buffer_bytes(buffer), "abcdefgh", 8);
}

static void freeing_wipes_the_bytes(void **state)
{
    struct secure_buffer *buffer = NULL;
    struct error err = ERROR_INIT;
    const uint8_t *bytes;

    assert_succeeds(secure_buffer_copy_of(*state, "abcdefgh", 8, &buffer, &err));
    bytes = secure_buffer_bytes(buffer);
    secure_buffer_free(buffer);
    /* The arena is still mapped: this is what a memory dump would find. */
    assert_memory_equal(bytes, "\0\0\0\0\0\0\0\0", 8);
    secure_buffer_free(NULL);
}

static void equality_is_of_size_and_every_byte(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *a = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *b = NULL;
    struct error err = ERROR_INIT;
    uint8_t bytes[64];

    memset(bytes, 0x11, sizeof bytes);
    assert_succeeds(secure_buffer_copy_of(*state, bytes, sizeof bytes, &a, &err));
    assert_succeeds(secure_buffer_copy_of(*state, bytes, sizeof bytes, &b, &err));
    assert_true(secure_buffer_equal(a, b));
    assert_true(secure_buffer_equal(a, a));
    for (size_t i = 0; i < sizeof bytes * 8; i++) {
        secure_buffer_data(b)[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_false(secure_buffer_equal(a, b));
        secure_buffer_data(b)[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    secure_buffer_set_size(b, sizeof bytes - 1);
    assert_false(secure_buffer_equal(a, b));
    assert_false(secure_buffer_equal(b, a));
    secure_buffer_set_size(a, 0);
    secure_buffer_set_size(b, 0);
    assert_true(secure_buffer_equal(a, b));
}

static void a_full_arena_is_exhausted(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *all = NULL;
    struct secure_buffer *more = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(secure_buffer_new(*state, secure_arena_capacity(*state), &all, &err));
    assert_fails(ERROR_EXHAUSTED, secure_buffer_new(*state, 1, &more, &err));
    assert_fails(ERROR_EXHAUSTED, secure_buffer_copy_of(*state, "a", 1, &more, &err));
    assert_fails(ERROR_EXHAUSTED, secure_buffer_new(*state, SIZE_MAX, &more, &err));
    assert_null(more);
}

/* Assertions are compiled out of optimised builds. */
#ifndef NDEBUG

static int set_size_over_capacity(void *context)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *buffer = NULL;
    CLEANUP(secure_arena_free) struct secure_arena *arena = NULL;
    struct error err = ERROR_INIT;

    (void)context;
    (void)close(STDERR_FILENO); /* the assertion's message is expected */
    if (secure_arena_new(SECURE_ARENA_MINIMUM_BYTES, &arena, &err) < 0 ||
        secure_buffer_new(arena, 8, &buffer, &err) < 0)
        return 1;
    secure_buffer_set_size(buffer, 9);
    return 0;
}

static void a_size_over_the_capacity_is_a_programming_error(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(set_size_over_capacity, NULL), 256 + SIGABRT);
}

#endif

#define with_arena(test) cmocka_unit_test_setup_teardown(test, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_arena(a_new_buffer_is_empty_zeroed_and_in_the_arena),
        with_arena(a_copy_holds_the_bytes_and_is_one_of_its_own),
        with_arena(an_empty_copy_is_a_buffer),
        with_arena(append_fills_up_to_the_capacity_and_no_further),
        with_arena(append_sizes_do_not_wrap),
        with_arena(an_error_holds_no_byte_of_the_secret),
        with_arena(a_smaller_size_wipes_what_is_cut_off),
        with_arena(a_larger_size_keeps_what_was_read_into_the_memory),
        with_arena(freeing_wipes_the_bytes),
        with_arena(equality_is_of_size_and_every_byte),
        with_arena(a_full_arena_is_exhausted),
#ifndef NDEBUG
        cmocka_unit_test(a_size_over_the_capacity_is_a_programming_error),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
