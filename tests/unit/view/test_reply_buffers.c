/* SPDX-License-Identifier: Apache-2.0 */
#include "view/reply_buffers.h"

#include "glancefs/limits.h"
#include "support/testing.h"

#include <stdint.h>

#define ARENA_BYTES (16 * MIB)
#define MANY 8 /* more than are kept */

struct bed {
    struct secure_arena *arena;
    struct reply_buffers *buffers;
};

static int open_bed(void **state)
{
    static struct bed bed;
    struct error err = ERROR_INIT;

    *state = &bed;
    return secure_arena_new(ARENA_BYTES, &bed.arena, &err) < 0 ||
                   reply_buffers_new(bed.arena, &bed.buffers, &err) < 0
               ? -1
               : 0;
}

static int close_bed(void **state)
{
    struct bed *bed = *state;
    size_t used;

    reply_buffers_free(bed->buffers);
    used = secure_arena_used(bed->arena);
    secure_arena_free(bed->arena);
    return used == 0 ? 0 : -1;
}

static void holds_nothing_before_it_is_asked(void **state)
{
    struct bed *bed = *state;

    reply_buffers_wipe(bed->buffers);
    assert_int_equal(secure_arena_used(bed->arena), 0);
}

static void uses_a_buffer_again(void **state)
{
    struct bed *bed = *state;
    void *first = reply_buffers_take(bed->buffers);
    void *second;

    assert_non_null(first);
    assert_true(secure_arena_contains(bed->arena, first));
    memset(first, 1, FUSE_REQUEST_BYTES);
    second = reply_buffers_take(bed->buffers);
    assert_ptr_not_equal(first, second);
    reply_buffers_give(bed->buffers, first, FUSE_REQUEST_BYTES);
    assert_ptr_equal(reply_buffers_take(bed->buffers), first);
    reply_buffers_give(bed->buffers, first, 0);
    reply_buffers_give(bed->buffers, second, 0);
}

static void wipes_all_that_was_ever_written(void **state)
{
    struct bed *bed = *state;
    uint8_t *buffer = reply_buffers_take(bed->buffers);

    memset(buffer, 1, 100000);
    reply_buffers_give(bed->buffers, buffer, 100000);
    assert_ptr_equal(reply_buffers_take(bed->buffers), buffer);
    reply_buffers_give(bed->buffers, buffer, 10);
    reply_buffers_wipe(bed->buffers);
    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(buffer[i], 0);
}

/* By a stream that need not end for long, of which it may hold less than of the one that ended. */
static void keeps_nothing_of_what_is_used_meanwhile(void **state)
{
    void (*const calls[])(struct reply_buffers *) = {reply_buffers_wipe, reply_buffers_release};
    struct bed *bed = *state;

    for (size_t i = 0; i < ELEMENTS_OF(calls); i++) {
        uint8_t *buffer = reply_buffers_take(bed->buffers);

        buffer[0] = 1;
        calls[i](bed->buffers);
        assert_int_equal(buffer[0], 1);
        reply_buffers_give(bed->buffers, buffer, 1);
        assert_int_equal(secure_arena_used(bed->arena), 0); /* it wipes what it is given */
    }
}

static void releases_what_nobody_uses(void **state)
{
    struct bed *bed = *state;
    void *used = reply_buffers_take(bed->buffers);
    void *unused = reply_buffers_take(bed->buffers);

    reply_buffers_give(bed->buffers, unused, 10);
    reply_buffers_release(bed->buffers);
    assert_int_equal(secure_arena_used(bed->arena), FUSE_REQUEST_BYTES);
    reply_buffers_give(bed->buffers, used, 10);
    assert_int_equal(secure_arena_used(bed->arena), 0);
}

static void keeps_only_a_few(void **state)
{
    struct bed *bed = *state;
    void *buffers[MANY];

    for (size_t i = 0; i < MANY; i++) {
        buffers[i] = reply_buffers_take(bed->buffers);
        assert_non_null(buffers[i]);
    }
    for (size_t i = 0; i < MANY; i++)
        reply_buffers_give(bed->buffers, buffers[i], 1);
    assert_true(secure_arena_used(bed->arena) <= MANY / 2 * FUSE_REQUEST_BYTES);
}

/* As many readers as there are kept buffers may wait for a disk. */
static void a_buffer_is_used_again_though_the_kept_ones_are_in_use(void **state)
{
    struct bed *bed = *state;
    void *waiting[MANY];
    uint8_t *buffer;

    for (size_t i = 0; i < MANY; i++)
        waiting[i] = reply_buffers_take(bed->buffers);
    buffer = reply_buffers_take(bed->buffers);
    memset(buffer, 1, 1000);
    reply_buffers_give(bed->buffers, buffer, 1000);
    assert_ptr_equal(reply_buffers_take(bed->buffers), buffer);
    reply_buffers_give(bed->buffers, buffer, 0);
    reply_buffers_wipe(bed->buffers);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(buffer[i], 0);
    for (size_t i = 0; i < MANY; i++)
        reply_buffers_give(bed->buffers, waiting[i], FUSE_REQUEST_BYTES);
    reply_buffers_release(bed->buffers);
    assert_int_equal(secure_arena_used(bed->arena), 0);
}

static void gives_none_when_locked_memory_is_used_up(void **state)
{
    struct bed *bed = *state;
    void *taken = secure_arena_allocate(bed->arena, ARENA_BYTES - FUSE_REQUEST_BYTES + 1);

    assert_non_null(taken);
    assert_null(reply_buffers_take(bed->buffers));
    secure_arena_release(bed->arena, taken);
    taken = reply_buffers_take(bed->buffers);
    assert_non_null(taken);
    reply_buffers_give(bed->buffers, taken, 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_bed, close_bed)

static void wipes_what_lost_its_place_and_took_another(void **state)
{
    struct bed *bed = *state;
    uint8_t *taken[5];

    taken[0] = reply_buffers_take(bed->buffers);
    memset(taken[0], 0xaa, FUSE_REQUEST_BYTES);
    reply_buffers_give(bed->buffers, taken[0], FUSE_REQUEST_BYTES);
    for (size_t i = 0; i < ELEMENTS_OF(taken); i++)
        taken[i] = reply_buffers_take(bed->buffers);
    reply_buffers_give(bed->buffers, taken[4], 16); /* in the first one's place */
    for (size_t i = 0; i < 4; i++)
        reply_buffers_give(bed->buffers, taken[i], 16);
    reply_buffers_wipe(bed->buffers);
    for (size_t i = 0; i < FUSE_REQUEST_BYTES; i++)
        assert_int_equal(taken[0][i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(holds_nothing_before_it_is_asked),
        test(uses_a_buffer_again),
        test(wipes_all_that_was_ever_written),
        test(wipes_what_lost_its_place_and_took_another),
        test(keeps_nothing_of_what_is_used_meanwhile),
        test(releases_what_nobody_uses),
        test(keeps_only_a_few),
        test(a_buffer_is_used_again_though_the_kept_ones_are_in_use),
        test(gives_none_when_locked_memory_is_used_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
