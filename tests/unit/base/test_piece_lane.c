/* SPDX-License-Identifier: Apache-2.0 */
#include "base/piece_lane.h"

#include "glancefs/limits.h"
#include "support/delay.h"
#include "support/testing.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* Threads are started through this (the linker's --wrap), so that a test can run out of them. */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);

static bool has_threads = true;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument)
{
    return has_threads ? __real_pthread_create(thread, attributes, function, argument) : EAGAIN;
}

/* Work that can be seen: each byte becomes the sum of itself and all before it. */
struct running_sum {
    uint8_t sum;
    pthread_t worker;
    atomic_uint pieces;
    unsigned delay_ms; /* per piece */
};

static void add_up(void *context, uint8_t *bytes, size_t size)
{
    struct running_sum *running = context;
    struct error ignored = ERROR_INIT;

    if (running->delay_ms > 0)
        (void)delay(running->delay_ms, NULL, &ignored);
    for (size_t i = 0; i < size; i++)
        bytes[i] = running->sum = (uint8_t)(running->sum + bytes[i]);
    running->worker = pthread_self();
    atomic_fetch_add(&running->pieces, 1);
}

static struct secure_arena *new_arena(void)
{
    struct secure_arena *arena = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(secure_arena_new(SECURE_ARENA_MINIMUM_BYTES, &arena, &err));
    return arena;
}

static struct piece_lane *new_lane(struct secure_arena *arena, struct running_sum *running)
{
    struct piece_lane *lane = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(piece_lane_new(arena, add_up, running, &lane, &err));
    return lane;
}

/* Takes a piece and compares it with what the work must have made of `count` ones, twos, ... */
static bool take_and_check(struct piece_lane *lane, uint8_t *sum, uint8_t number)
{
    const uint8_t *bytes;
    size_t size;

    if (!piece_lane_take(lane, &bytes, &size))
        return false;
    assert_int_equal(size, number + 1);
    for (size_t i = 0; i < size; i++) {
        *sum = (uint8_t)(*sum + number);
        assert_int_equal(bytes[i], *sum);
    }
    return true;
}

static void work_on_many(struct secure_arena *arena)
{
    struct running_sum running = {0};
    struct piece_lane *lane = new_lane(arena, &running);
    uint8_t sum = 0, taken = 0, bytes[256];

    for (unsigned number = 0; number < 200; number++) {
        memset(bytes, (int)number, number + 1);
        while (piece_lane_is_full(lane))
            assert_true(take_and_check(lane, &sum, taken++));
        piece_lane_put(lane, bytes, number + 1);
    }
    while (take_and_check(lane, &sum, taken))
        taken++;
    assert_int_equal(taken, 200);
    assert_int_equal(running.pieces, 200);
    assert_int_equal(running.sum, sum);
    assert_false(pthread_equal(running.worker, pthread_self()));
    piece_lane_free(lane);
}

static void works_on_every_piece_once_and_in_order(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = new_arena();

    (void)state;
    work_on_many(arena);
}

static void needs_no_locked_memory_for_what_is_not_secret(void **state)
{
    (void)state;
    work_on_many(NULL);
}

static void is_full_with_its_pieces_and_takes_whole_ones(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = new_arena();
    CLEANUP(memory_free) uint8_t *bytes = calloc(1, PIECE_LANE_PIECE_BYTES);
    struct running_sum running = {.delay_ms = 5};
    struct piece_lane *lane = new_lane(arena, &running);
    const uint8_t *worked;
    size_t size;

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 1, PIECE_LANE_PIECE_BYTES);
    for (unsigned i = 0; i < PIECE_LANE_PIECES; i++) {
        assert_false(piece_lane_is_full(lane));
        piece_lane_put(lane, bytes, PIECE_LANE_PIECE_BYTES);
    }
    assert_true(piece_lane_is_full(lane));
    assert_true(piece_lane_take(lane, &worked, &size));
    assert_false(piece_lane_is_full(lane));
    assert_int_equal(size, PIECE_LANE_PIECE_BYTES);
    assert_int_equal(worked[0], 1);
    assert_int_equal(worked[size - 1], (uint8_t)PIECE_LANE_PIECE_BYTES);
    piece_lane_free(lane);
}

static void nothing_comes_from_an_empty_lane(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = new_arena();
    struct running_sum running = {0};
    struct piece_lane *lane = new_lane(arena, &running);
    const uint8_t *bytes;
    size_t size;

    (void)state;
    assert_false(piece_lane_take(lane, &bytes, &size));
    piece_lane_put(lane, "a", 1);
    assert_true(piece_lane_take(lane, &bytes, &size));
    assert_false(piece_lane_take(lane, &bytes, &size));
    piece_lane_free(lane);
}

static void freeing_drops_what_waits_and_gives_the_memory_back(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = new_arena();
    struct running_sum running = {.delay_ms = 200};
    struct piece_lane *lane = new_lane(arena, &running);

    (void)state;
    for (unsigned i = 0; i < PIECE_LANE_PIECES; i++)
        piece_lane_put(lane, "a", 1);
    piece_lane_free(lane);
    assert_in_range(running.pieces, 0, PIECE_LANE_PIECES - 1);
    assert_int_equal(secure_arena_used(arena), 0);
}

static void a_shortage_is_told_and_leaves_nothing(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = new_arena();
    struct running_sum running = {0};
    struct piece_lane *lane = NULL;
    struct error err = ERROR_INIT;
    void *memory;

    (void)state;
    has_threads = false;
    assert_fails(ERROR_EXHAUSTED, piece_lane_new(arena, add_up, &running, &lane, &err));
    has_threads = true;
    assert_int_equal(secure_arena_used(arena), 0);
    memory = secure_arena_allocate(arena, SECURE_ARENA_MINIMUM_BYTES - MIB / 4);
    assert_fails(ERROR_EXHAUSTED, piece_lane_new(arena, add_up, &running, &lane, &err));
    secure_arena_release(arena, memory);
    assert_null(lane);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(works_on_every_piece_once_and_in_order),
        cmocka_unit_test(needs_no_locked_memory_for_what_is_not_secret),
        cmocka_unit_test(is_full_with_its_pieces_and_takes_whole_ones),
        cmocka_unit_test(nothing_comes_from_an_empty_lane),
        cmocka_unit_test(freeing_drops_what_waits_and_gives_the_memory_back),
        cmocka_unit_test(a_shortage_is_told_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
