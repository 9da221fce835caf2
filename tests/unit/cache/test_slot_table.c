/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/slot_table.h"

#include "support/testing.h"

#include <stdlib.h>

#define ID "11111111-2222-4333-8444-555555555555"
#define NAME ID ".abcd"

static int open_table(void **state)
{
    struct slot_table *table = calloc(1, sizeof *table);

    if (table == NULL)
        return -1;
    slot_table_init(table);
    *state = table;
    return 0;
}

static int close_table(void **state)
{
    slot_table_clear(*state);
    free(*state);
    return 0;
}

static struct slot *take_turn(struct slot_table *table)
{
    struct slot *slot = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(slot_table_acquire(table, ID, NULL, &slot, &err));
    return slot;
}

/* Nobody gets the turn who would have to wait for it. */
static void assert_turn_is_taken(struct slot_table *table)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct slot *slot;
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, slot_table_acquire(table, ID, cancel, &slot, &err));
}

static struct cache_object *remember_object(struct slot_table *table)
{
    struct cache_object *object = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(cache_object_new(NAME, 5, NULL, &object, &err));
    slot_table_release(table, take_turn(table), object);
    return object;
}

static void assert_remembers(struct slot_table *table, const struct cache_object *expected)
{
    CLEANUP(cache_object_unref)
    struct cache_object *object = slot_table_object(table, ID, NAME);

    assert_ptr_equal(object, expected);
}

static void a_forgotten_object_is_remembered_no_more(void **state)
{
    struct slot_table *table = *state;
    CLEANUP(cache_object_unref) struct cache_object *object = remember_object(table);

    assert_remembers(table, object);
    slot_table_forget(table, object);
    assert_remembers(table, NULL);
    slot_table_release(table, take_turn(table), NULL);
}

static void forgetting_needs_no_turn_and_takes_none(void **state)
{
    struct slot_table *table = *state;
    CLEANUP(cache_object_unref) struct cache_object *object = remember_object(table);
    struct slot *others = take_turn(table);

    slot_table_forget(table, object);
    assert_remembers(table, NULL);
    assert_turn_is_taken(table);
    slot_table_release(table, others, NULL);
    slot_table_release(table, take_turn(table), NULL);
}

static void an_object_that_was_replaced_is_not_forgotten(void **state)
{
    struct slot_table *table = *state;
    CLEANUP(cache_object_unref) struct cache_object *old = remember_object(table);
    CLEANUP(cache_object_unref) struct cache_object *object = remember_object(table);

    slot_table_forget(table, old);
    assert_remembers(table, object);
}

static void a_refusal_lasts_as_long_as_the_turn(void **state)
{
    struct slot_table *table = *state;
    struct slot *slot;

    assert_false(slot_table_refuse(table, ID));
    slot = take_turn(table);
    assert_false(slot_table_is_refused(table, slot));
    assert_true(slot_table_refuse(table, ID));
    assert_true(slot_table_is_refused(table, slot));
    slot_table_release(table, slot, NULL);
    assert_false(slot_table_refuse(table, ID));
    slot = take_turn(table);
    assert_false(slot_table_is_refused(table, slot));
    slot_table_release(table, slot, NULL);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_table, close_table)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_forgotten_object_is_remembered_no_more),
        test(forgetting_needs_no_turn_and_takes_none),
        test(an_object_that_was_replaced_is_not_forgotten),
        test(a_refusal_lasts_as_long_as_the_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
