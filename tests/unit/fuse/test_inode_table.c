/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/inode_table.h"

#include "base/uuid.h"
#include "support/testing.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#define PARENT 2
#define LIMIT 1000
#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define OTHER_ID "99999999-8888-4777-a666-555555555555"

static int open_table(void **state)
{
    struct error err = ERROR_INIT;

    return inode_table_new(LIMIT, (struct inode_table **)state, &err);
}

static int close_table(void **state)
{
    inode_table_free(*state);
    return 0;
}

static uint64_t look_up(struct inode_table *table, const char *image_id)
{
    struct error err = ERROR_INIT;
    uint64_t number = 0;

    assert_succeeds(inode_table_look_up(table, PARENT, image_id, &number, &err));
    return number;
}

static void a_number_stands_for_its_name(void **state)
{
    const uint64_t number = look_up(*state, IMAGE_ID);
    const uint64_t other = look_up(*state, OTHER_ID);
    struct inode_name name;

    assert_int_not_equal(number, other);
    assert_true(inode_table_find(*state, number, &name));
    assert_string_equal(name.name, IMAGE_ID);
    assert_int_equal(name.directory, PARENT);
    assert_true(inode_table_find(*state, other, &name));
    assert_string_equal(name.name, OTHER_ID);
}

static void numbers_that_were_never_given_stand_for_nothing(void **state)
{
    const uint64_t next = inode_table_number_of(*state, PARENT, IMAGE_ID);
    struct inode_name name;

    assert_false(inode_table_find(*state, 0, &name));
    assert_false(inode_table_find(*state, 1, &name));
    assert_false(inode_table_find(*state, next, &name));
    inode_table_forget(*state, 1, 5);
    inode_table_forget(*state, UINT64_MAX, UINT64_MAX);
    assert_int_equal(inode_table_count(*state), 0);
}

static void an_inode_stays_until_every_lookup_is_forgotten(void **state)
{
    const uint64_t number = look_up(*state, IMAGE_ID);
    struct inode_name name;

    assert_int_equal(look_up(*state, IMAGE_ID), number);
    assert_int_equal(look_up(*state, IMAGE_ID), number);
    assert_int_equal(inode_table_count(*state), 1);
    inode_table_forget(*state, number, 2);
    assert_true(inode_table_find(*state, number, &name));
    inode_table_forget(*state, number, 1);
    assert_false(inode_table_find(*state, number, &name));
    assert_int_equal(inode_table_count(*state), 0);
}

static void forgetting_too_much_is_harmless(void **state)
{
    const uint64_t number = look_up(*state, IMAGE_ID);

    inode_table_forget(*state, number, 1000);
    inode_table_forget(*state, number, 1);
    assert_int_equal(inode_table_count(*state), 0);
}

static void a_name_has_the_same_number_each_time(void **state)
{
    const uint64_t number = look_up(*state, IMAGE_ID);

    assert_int_equal(number, inode_table_number_of(*state, PARENT, IMAGE_ID));
    inode_table_forget(*state, number, 1);
    assert_int_equal(look_up(*state, IMAGE_ID), number);
    assert_int_not_equal(inode_table_number_of(*state, PARENT + 1, IMAGE_ID), number);
}

static void id_of(unsigned number, char ret[UUID_TEXT_BYTES])
{
    (void)snprintf(ret, UUID_TEXT_BYTES, "%08x-2222-4333-8444-555555555555", number);
}

static void numbers_leave_the_mounts_own_alone(void **state)
{
    char image_id[UUID_TEXT_BYTES];

    for (unsigned i = 0; i < LIMIT; i++) {
        id_of(i, image_id);
        assert_true(look_up(*state, image_id) >= INODE_TABLE_FIRST_NUMBER);
    }
}

static void a_full_table_refuses_what_is_new(void **state)
{
    char image_id[UUID_TEXT_BYTES];
    struct error err = ERROR_INIT;
    uint64_t number;

    for (unsigned i = 0; i < LIMIT; i++) {
        id_of(i, image_id);
        (void)look_up(*state, image_id);
    }
    assert_int_equal(inode_table_count(*state), LIMIT);
    assert_fails(ERROR_EXHAUSTED, inode_table_look_up(*state, PARENT, IMAGE_ID, &number, &err));
    assert_int_equal(err.errnum, ENFILE);
    number = look_up(*state, image_id);
    inode_table_forget(*state, number, 2);
    (void)look_up(*state, IMAGE_ID);
}

#define PART_NAME IMAGE_ID ".part"

static const char *name_of(struct inode_table *table, uint64_t number, struct inode_name *name)
{
    assert_true(inode_table_find(table, number, name));
    return name->name;
}

static void a_rename_moves_the_name_to_the_other_inode(void **state)
{
    const uint64_t placeholder = look_up(*state, IMAGE_ID);
    const uint64_t part = look_up(*state, PART_NAME);
    struct inode_name name;

    inode_table_rename(*state, PARENT, PART_NAME, IMAGE_ID);
    assert_string_equal(name_of(*state, part, &name), IMAGE_ID);
    assert_string_equal(name_of(*state, placeholder, &name), "");
    assert_int_equal(look_up(*state, IMAGE_ID), part);
    assert_int_equal(inode_table_count(*state), 2);
}

static void lookups_of_a_renamed_inode_are_forgotten_as_before(void **state)
{
    const uint64_t placeholder = look_up(*state, IMAGE_ID);
    const uint64_t part = look_up(*state, PART_NAME);
    struct inode_name name;

    assert_int_equal(look_up(*state, PART_NAME), part);
    inode_table_rename(*state, PARENT, PART_NAME, IMAGE_ID);
    inode_table_forget(*state, placeholder, 1);
    assert_false(inode_table_find(*state, placeholder, &name));
    inode_table_forget(*state, part, 1);
    assert_string_equal(name_of(*state, part, &name), IMAGE_ID);
    inode_table_forget(*state, part, 1);
    assert_int_equal(inode_table_count(*state), 0);
    assert_int_equal(look_up(*state, IMAGE_ID), placeholder);
}

static void a_renamed_or_removed_name_makes_room_for_another_inode(void **state)
{
    const uint64_t first = look_up(*state, PART_NAME);
    uint64_t second;
    uint64_t third;
    struct inode_name name;

    inode_table_rename(*state, PARENT, PART_NAME, IMAGE_ID);
    second = look_up(*state, PART_NAME);
    assert_int_not_equal(second, first);
    inode_table_remove(*state, PARENT, PART_NAME);
    third = look_up(*state, PART_NAME);
    assert_int_not_equal(third, first);
    assert_int_not_equal(third, second);
    assert_string_equal(name_of(*state, second, &name), "");
    assert_int_equal(name.directory, PARENT);
    assert_int_equal(inode_table_number_of(*state, PARENT, PART_NAME), third);
    inode_table_forget(*state, second, 1);
    assert_int_equal(look_up(*state, PART_NAME), third);
}

static void names_that_nobody_looked_up_can_be_renamed_and_removed(void **state)
{
    inode_table_rename(*state, PARENT, PART_NAME, IMAGE_ID);
    inode_table_remove(*state, PARENT, PART_NAME);
    assert_int_equal(inode_table_count(*state), 0);
}

static void *look_up_and_forget(void *table)
{
    struct error err = ERROR_INIT;
    uint64_t number = 0;

    for (unsigned i = 0; i < 10000; i++)
        if (inode_table_look_up(table, PARENT, i % 2 == 0 ? IMAGE_ID : OTHER_ID, &number, &err) ==
            0)
            inode_table_forget(table, number, 1);
    return NULL;
}

static void threads_leave_nothing_behind(void **state)
{
    pthread_t threads[3];

    for (size_t i = 0; i < ELEMENTS_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look_up_and_forget, *state), 0);
    for (size_t i = 0; i < ELEMENTS_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(inode_table_count(*state), 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_table, close_table)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_number_stands_for_its_name),
        test(numbers_that_were_never_given_stand_for_nothing),
        test(an_inode_stays_until_every_lookup_is_forgotten),
        test(forgetting_too_much_is_harmless),
        test(a_name_has_the_same_number_each_time),
        test(numbers_leave_the_mounts_own_alone),
        test(a_full_table_refuses_what_is_new),
        test(a_rename_moves_the_name_to_the_other_inode),
        test(lookups_of_a_renamed_inode_are_forgotten_as_before),
        test(a_renamed_or_removed_name_makes_room_for_another_inode),
        test(names_that_nobody_looked_up_can_be_renamed_and_removed),
        test(threads_leave_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
