/* SPDX-License-Identifier: Apache-2.0 */
#include "view/write_window.h"

#include "support/pseudo_random.h"
#include "support/testing.h"

#include <stdbool.h>
#include <stdlib.h>

/* Not a power of two, and no multiple of a page. */
#define CAPACITY 5000
#define FILE_BYTES 60000

static int open_arena(void **state)
{
    struct error err = ERROR_INIT;
    struct secure_arena *arena = NULL;

    if (secure_arena_new(SECURE_ARENA_MINIMUM_BYTES, &arena, &err) < 0)
        return -1;
    *state = arena;
    return 0;
}

static int close_arena(void **state)
{
    const bool is_clean = secure_arena_used(*state) == 0;

    secure_arena_free(*state);
    return is_clean ? 0 : -1;
}

static struct write_window *new_window(struct secure_arena *arena)
{
    struct write_window *window = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(write_window_new(arena, CAPACITY, &window, &err));
    return window;
}

static void refuses_more_than_the_arena_has(void **state)
{
    struct write_window *window = NULL;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_EXHAUSTED,
                 write_window_new(*state, SECURE_ARENA_MINIMUM_BYTES + 1, &window, &err));
    assert_message_has("2 MiB (max_memory");
}

static void unwritten_bytes_are_zero(void **state)
{
    CLEANUP(write_window_free) struct write_window *window = new_window(*state);
    uint8_t bytes[8];

    write_window_put(window, "abc", 3, 4);
    write_window_get(window, bytes, sizeof bytes, 0);
    assert_memory_equal(bytes, "\0\0\0\0abc\0", sizeof bytes);
}

static void consumed_memory_is_wiped_and_reused(void **state)
{
    CLEANUP(write_window_free) struct write_window *window = new_window(*state);
    uint8_t bytes[CAPACITY];
    size_t piece;

    memset(bytes, 'x', sizeof bytes);
    write_window_put(window, bytes, sizeof bytes, 0);
    assert_memory_equal(write_window_oldest(window, 100, &piece), bytes, 100);
    assert_int_equal(piece, 100);
    write_window_consume(window, 100);
    assert_int_equal(write_window_consumed(window), 100);
    assert_int_equal(write_window_end(window), CAPACITY + 100);
    write_window_get(window, bytes, 100, CAPACITY);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(bytes[i], 0);
}

static void a_reset_forgets_everything(void **state)
{
    CLEANUP(write_window_free) struct write_window *window = new_window(*state);
    uint8_t byte = 1;
    size_t piece;

    write_window_put(window, "abc", 3, 0);
    (void)write_window_oldest(window, 2, &piece);
    write_window_consume(window, piece);
    write_window_reset(window);
    assert_int_equal(write_window_consumed(window), 0);
    write_window_get(window, &byte, 1, 2);
    assert_int_equal(byte, 0);
}

/* --- against a plain buffer --- */

struct model {
    uint8_t file[FILE_BYTES + CAPACITY];
    uint64_t consumed;
};

static void check_model(const struct write_window *window, const struct model *model)
{
    uint8_t bytes[CAPACITY];

    assert_int_equal(write_window_consumed(window), model->consumed);
    write_window_get(window, bytes, CAPACITY, model->consumed);
    assert_memory_equal(bytes, model->file + model->consumed, CAPACITY);
}

static void put_something(struct write_window *window, struct model *model,
                          struct pseudo_random *random)
{
    const size_t start = pseudo_random_below(random, CAPACITY);
    const size_t size = pseudo_random_below(random, CAPACITY - start + 1);
    const uint64_t offset = model->consumed + start;

    pseudo_random_fill(random, model->file + offset, size);
    write_window_put(window, model->file + offset, size, offset);
}

static void zero_something(struct write_window *window, struct model *model,
                           struct pseudo_random *random)
{
    const uint64_t start = pseudo_random_below(random, (size_t)model->consumed + CAPACITY);
    const uint64_t end = start + pseudo_random_below(random, CAPACITY);

    write_window_zero(window, start, end);
    for (uint64_t i = start; i < end && i < sizeof model->file; i++)
        if (i >= model->consumed)
            model->file[i] = 0;
}

static void consume_something(struct write_window *window, struct model *model,
                              struct pseudo_random *random)
{
    size_t piece;
    const uint8_t *oldest =
        write_window_oldest(window, 1 + pseudo_random_below(random, 3000), &piece);

    assert_in_range(piece, 1, 3000);
    assert_memory_equal(oldest, model->file + model->consumed, piece);
    write_window_consume(window, piece);
    model->consumed += piece;
}

static void agrees_with_a_plain_buffer(void **state)
{
    CLEANUP(memory_free) struct model *model = malloc(sizeof *model);

    assert_non_null(model);
    for (uint64_t seed = 0; seed < 60; seed++) {
        CLEANUP(write_window_free) struct write_window *window = new_window(*state);
        struct pseudo_random random = {.state = seed};

        memset(model, 0, sizeof *model);
        while (model->consumed < FILE_BYTES - 3000) {
            switch (pseudo_random_below(&random, 4)) {
            case 0:
                consume_something(window, model, &random);
                break;
            case 1:
                zero_something(window, model, &random);
                break;
            default:
                put_something(window, model, &random);
                break;
            }
            check_model(window, model);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_more_than_the_arena_has),
        cmocka_unit_test(unwritten_bytes_are_zero),
        cmocka_unit_test(consumed_memory_is_wiped_and_reused),
        cmocka_unit_test(a_reset_forgets_everything),
        cmocka_unit_test(agrees_with_a_plain_buffer),
    };

    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
