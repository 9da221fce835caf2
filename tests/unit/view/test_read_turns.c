/* SPDX-License-Identifier: Apache-2.0 */
#include "view/read_turns.h"

#include "support/testing.h"

#define CROWDED_ID "11111111-2222-4333-8444-555555555555"
#define OTHER_ID "99999999-2222-4333-8444-555555555555"
#define NOW_NS UINT64_C(5000000000)
#define WAITERS 3

struct bed {
    struct read_turns *turns;
    struct image_turns *crowded;
    struct image_turns *other;
    struct turn_waiter waiters[WAITERS];
};

static int open_bed(void **state)
{
    static struct bed bed;
    struct error err = ERROR_INIT;

    bed = (struct bed){.turns = NULL};
    *state = &bed;
    return read_turns_new(&bed.turns, &err) == 0 &&
                   read_turns_join(bed.turns, CROWDED_ID, &bed.crowded, &err) == 0 &&
                   read_turns_join(bed.turns, OTHER_ID, &bed.other, &err) == 0
               ? 0
               : -1;
}

static int close_bed(void **state)
{
    struct bed *bed = *state;

    image_turns_leave(bed->crowded);
    image_turns_leave(bed->other);
    read_turns_free(bed->turns);
    return 0;
}

/* A read of the other image, from beginning to end. */
static void read_other(struct bed *bed, uint64_t now_ns)
{
    struct turn_waiter waiter;

    assert_true(image_turns_take(bed->other, &waiter, now_ns));
    assert_null(image_turns_give(bed->other, NOW_NS));
}

static bool take(struct bed *bed, size_t waiter, uint64_t now_ns)
{
    return image_turns_take(bed->crowded, &bed->waiters[waiter], now_ns);
}

static void an_image_that_is_read_alone_has_as_many_turns_as_it_wants(void **state)
{
    struct bed *bed = *state;

    for (size_t i = 0; i < WAITERS; i++)
        assert_true(take(bed, i, NOW_NS));
    for (size_t i = 0; i < WAITERS; i++)
        assert_null(image_turns_give(bed->crowded, NOW_NS));
}

static void streams_of_one_image_share_its_turns(void **state)
{
    struct bed *bed = *state;
    struct image_turns *again = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(read_turns_join(bed->turns, CROWDED_ID, &again, &err));
    assert_ptr_equal(again, bed->crowded);
    image_turns_leave(again);
}

static void beside_another_image_one_turn_goes_round_in_order(void **state)
{
    struct bed *bed = *state;

    read_other(bed, NOW_NS);
    assert_true(take(bed, 0, NOW_NS + 1));
    assert_false(take(bed, 1, NOW_NS + 2));
    assert_false(take(bed, 2, NOW_NS + 3));
    assert_ptr_equal(image_turns_give(bed->crowded, NOW_NS), &bed->waiters[1]);
    assert_false(take(bed, 0, NOW_NS + 4));
    assert_ptr_equal(image_turns_give(bed->crowded, NOW_NS), &bed->waiters[2]);
    assert_ptr_equal(image_turns_give(bed->crowded, NOW_NS), &bed->waiters[0]);
    assert_null(image_turns_give(bed->crowded, NOW_NS));
}

static void the_other_image_has_its_turn_at_once(void **state)
{
    struct bed *bed = *state;

    read_other(bed, NOW_NS);
    assert_true(take(bed, 0, NOW_NS + 1));
    assert_false(take(bed, 1, NOW_NS + 2));
    read_other(bed, NOW_NS + 3);
    assert_ptr_equal(image_turns_give(bed->crowded, NOW_NS), &bed->waiters[1]);
    assert_null(image_turns_give(bed->crowded, NOW_NS));
}

static void turns_taken_alone_become_one_before_they_go_round(void **state)
{
    struct bed *bed = *state;

    assert_true(take(bed, 0, NOW_NS));
    assert_true(take(bed, 1, NOW_NS));
    read_other(bed, NOW_NS + 1);
    assert_false(take(bed, 2, NOW_NS + 2));
    assert_null(image_turns_give(bed->crowded, NOW_NS));
    assert_ptr_equal(image_turns_give(bed->crowded, NOW_NS), &bed->waiters[2]);
    assert_null(image_turns_give(bed->crowded, NOW_NS));
}

static void another_image_counts_no_more_some_time_after_its_last_read(void **state)
{
    struct bed *bed = *state;

    read_other(bed, NOW_NS);
    assert_true(take(bed, 0, NOW_NS + 1));
    assert_false(take(bed, 1, NOW_NS + READ_TURNS_MEMORY_NS - 1));
    assert_true(take(bed, 2, NOW_NS + READ_TURNS_MEMORY_NS));
    assert_null(image_turns_give(bed->crowded, NOW_NS));
    assert_ptr_equal(image_turns_give(bed->crowded, NOW_NS), &bed->waiters[1]);
    assert_null(image_turns_give(bed->crowded, NOW_NS));
}

static void a_turn_can_be_given_back_after_the_last_stream_left(void **state)
{
    struct bed *bed = *state;
    struct image_turns *image = NULL;
    struct turn_waiter waiter;
    struct error err = ERROR_INIT;

    assert_succeeds(
        read_turns_join(bed->turns, "77777777-2222-4333-8444-555555555555", &image, &err));
    assert_true(image_turns_take(image, &waiter, NOW_NS));
    image_turns_leave(image);
    assert_null(image_turns_give(image, NOW_NS));
}

static void who_waits_is_served_once_the_other_image_is_not_read_any_more(void **state)
{
    struct bed *bed = *state;
    const uint64_t later_ns = NOW_NS + 2 * READ_TURNS_MEMORY_NS;

    read_other(bed, NOW_NS);
    assert_true(take(bed, 0, NOW_NS + 1));
    assert_false(take(bed, 1, NOW_NS + 2));
    assert_true(take(bed, 2, later_ns)); /* the reads of two streams overlap from now on */
    assert_ptr_equal(image_turns_give(bed->crowded, later_ns), &bed->waiters[1]);
    assert_null(image_turns_give(bed->crowded, later_ns));
    assert_null(image_turns_give(bed->crowded, later_ns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_image_that_is_read_alone_has_as_many_turns_as_it_wants,
                                        open_bed, close_bed),
        cmocka_unit_test_setup_teardown(streams_of_one_image_share_its_turns, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(
            who_waits_is_served_once_the_other_image_is_not_read_any_more, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(beside_another_image_one_turn_goes_round_in_order, open_bed,
                                        close_bed),
        cmocka_unit_test_setup_teardown(the_other_image_has_its_turn_at_once, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(turns_taken_alone_become_one_before_they_go_round, open_bed,
                                        close_bed),
        cmocka_unit_test_setup_teardown(another_image_counts_no_more_some_time_after_its_last_read,
                                        open_bed, close_bed),
        cmocka_unit_test_setup_teardown(a_turn_can_be_given_back_after_the_last_stream_left,
                                        open_bed, close_bed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
