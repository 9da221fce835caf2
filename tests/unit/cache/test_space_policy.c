/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/space_policy.h"

#include "seconds.h"
#include "support/testing.h"

#include <stdio.h>

#define GIB (UINT64_C(1) << 30)
#define NOW 1000000

static struct stored_object object(const char *name, enum cache_place place, int64_t last_used_ns,
                                   uint64_t disk_bytes)
{
    struct stored_object ret = {.place = place,
                                .data_bytes = disk_bytes,
                                .disk_bytes = disk_bytes,
                                .last_used_ns = last_used_ns};

    (void)snprintf(ret.name, sizeof ret.name, "%s", name);
    return ret;
}

/* --- limits --- */

static void a_limit_is_bytes_or_a_share_of_the_filesystem(void **state)
{
    static const struct {
        struct cache_limit limit;
        uint64_t filesystem_bytes, expected;
    } rows[] = {
        {{.bytes = 5}, 100, 5},
        {{.bytes = 500}, 100, 500},
        {{0}, 100, 0},
        {{.percent = 5}, 100, 5},
        {{.percent = 100}, 12345, 12345},
        {{.percent = 50}, 3, 1},
        {{.percent = 33}, 1000 * GIB + 1, 330 * GIB},
        {{.percent = 1}, 99, 0},
        {{.percent = 100}, UINT64_MAX, UINT64_MAX},
        {{.percent = 99}, UINT64_MAX, UINT64_MAX / 100 * 99 + 14},
        {{.bytes = UINT64_MAX}, 0, UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(rows); i++)
        assert_int_equal(space_policy_limit_bytes(&rows[i].limit, rows[i].filesystem_bytes),
                         rows[i].expected);
}

/* --- order --- */

static void assert_order(struct stored_object *objects, size_t count, const char *expected)
{
    struct stored_object_list list = {.objects = objects, .count = count};
    char order[64] = "";

    space_policy_sort(&list, NOW);
    for (size_t i = 0; i < count; i++)
        order[i] = objects[i].name[0];
    assert_string_equal(order, expected);
}

static void quarantine_goes_first_then_downloads_then_the_least_recently_used(void **state)
{
    struct stored_object objects[] = {
        object("a", CACHE_PLACE_OBJECTS, 300, 1),       object("b", CACHE_PLACE_PARTIAL, 200, 1),
        object("c", CACHE_PLACE_QUARANTINE, 999999, 1), object("d", CACHE_PLACE_OBJECTS, 100, 1),
        object("e", CACHE_PLACE_QUARANTINE, 500, 1),    object("f", CACHE_PLACE_PARTIAL, -7, 1),
    };

    (void)state;
    assert_order(objects, ELEMENTS_OF(objects), "ecfbda");
}

static void a_use_in_the_future_counts_as_now(void **state)
{
    struct stored_object objects[] = {
        object("c", CACHE_PLACE_OBJECTS, NOW + 1, 1),
        object("b", CACHE_PLACE_OBJECTS, INT64_MAX, 1),
        object("a", CACHE_PLACE_OBJECTS, NOW, 1),
        object("d", CACHE_PLACE_OBJECTS, NOW - 1, 1),
        object("e", CACHE_PLACE_OBJECTS, INT64_MIN, 1),
    };

    (void)state;
    assert_order(objects, ELEMENTS_OF(objects), "edabc");
}

static void ties_are_broken_the_same_way_whatever_the_order(void **state)
{
    struct stored_object one[] = {
        object("b", CACHE_PLACE_OBJECTS, 5, 1), object("a", CACHE_PLACE_PARTIAL, 5, 1),
        object("c", CACHE_PLACE_OBJECTS, 5, 1), object("a", CACHE_PLACE_OBJECTS, 5, 1)};
    struct stored_object other[] = {one[3], one[2], one[1], one[0]};

    (void)state;
    assert_order(one, ELEMENTS_OF(one), "aabc");
    assert_order(other, ELEMENTS_OF(other), "aabc");
    assert_int_equal(one[0].place, CACHE_PLACE_PARTIAL);
    assert_int_equal(other[0].place, CACHE_PLACE_PARTIAL);
}

static void an_empty_list_needs_no_objects(void **state)
{
    struct stored_object_list list = {0};

    (void)state;
    space_policy_sort(&list, NOW);
    assert_int_equal(space_policy_sum(&list), 0);
}

/* --- excess --- */

#define DISK(total, available, staged)                                                             \
    {                                                                                              \
        .filesystem_bytes = (total), .free_bytes = (available), .staged_bytes = (staged)           \
    }

/* `objects` and `unallocated` are of one object; 0 for none. */
struct excess_row {
    const char *what;
    struct cache_limits limits;
    struct space_state state;
    uint64_t objects, unallocated, need, expected;
};

static void excess_is_what_is_over_one_limit_or_the_other(void **state)
{
    static const struct excess_row rows[] = {
        {"no limits, room", {{0}, {0}, 0}, DISK(1000, 500, 0), 400, 0, 500, 0},
        {"no limits, no room", {{0}, {0}, 0}, DISK(1000, 500, 0), 400, 0, 501, 1},
        {"exactly max_size", {{.bytes = 100}, {0}, 0}, DISK(1000, 900, 10), 60, 0, 30, 0},
        {"one byte over max_size", {{.bytes = 100}, {0}, 0}, DISK(1000, 900, 10), 60, 0, 31, 1},
        {"over max_size already", {{.bytes = 100}, {0}, 0}, DISK(1000, 900, 0), 150, 0, 0, 50},
        {"uploads count", {{.bytes = 100}, {0}, 0}, DISK(1000, 900, 100), 0, 0, 1, 1},
        {"a share for max_size", {{.percent = 10}, {0}, 0}, DISK(1000, 900, 0), 60, 0, 41, 1},
        {"exactly min_free", {{0}, {.bytes = 200}, 0}, DISK(1000, 500, 0), 0, 0, 300, 0},
        {"one byte into min_free", {{0}, {.bytes = 200}, 0}, DISK(1000, 500, 0), 0, 0, 301, 1},
        {"others are in min_free", {{0}, {.bytes = 200}, 0}, DISK(1000, 150, 0), 70, 0, 0, 50},
        {"a share for min_free", {{0}, {.percent = 5}, 0}, DISK(1000, 500, 0), 0, 0, 451, 1},
        {"what is promised is not free",
         {{0}, {.bytes = 200}, 0},
         DISK(1000, 500, 0),
         90,
         80,
         221,
         1},
        {"promised counts once", {{.bytes = 100}, {0}, 0}, DISK(1000, 900, 0), 90, 80, 11, 1},
        {"both, size is worse", {{.bytes = 10}, {.bytes = 10}, 0}, DISK(99, 50, 0), 40, 0, 41, 71},
        {"both, free is worse", {{.bytes = 80}, {.bytes = 30}, 0}, DISK(99, 50, 0), 40, 0, 41, 21},
        {"need is endless",
         {{.bytes = 10}, {0}, 0},
         DISK(99, 50, 9),
         5,
         0,
         UINT64_MAX,
         UINT64_MAX - 10},
        {"objects are endless",
         {{.bytes = 10}, {0}, 0},
         DISK(99, 50, 9),
         UINT64_MAX,
         0,
         1,
         UINT64_MAX - 10},
        {"uploads are endless",
         {{.bytes = 10}, {0}, 0},
         DISK(99, 50, UINT64_MAX),
         7,
         0,
         1,
         UINT64_MAX - 10},
        {"min_free is endless",
         {{0}, {.bytes = UINT64_MAX}, 0},
         DISK(99, 50, 0),
         7,
         7,
         1,
         UINT64_MAX - 50},
        {"promises are endless",
         {{0}, {.bytes = 1}, 0},
         DISK(99, 50, 0),
         UINT64_MAX,
         UINT64_MAX,
         0,
         UINT64_MAX - 50},
        {"a disk of nothing", {{.percent = 50}, {.percent = 50}, 0}, DISK(0, 0, 0), 7, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(rows); i++) {
        const struct excess_row *row = &rows[i];
        struct stored_object one = {.disk_bytes = row->objects,
                                    .unallocated_bytes = row->unallocated};
        const struct stored_object_list list = {.objects = &one, .count = row->objects > 0};
        const uint64_t excess = space_policy_excess(&row->limits, &row->state, &list, row->need);

        if (excess != row->expected)
            fail_msg("%s: %ju, not %ju", row->what, (uintmax_t)excess, (uintmax_t)row->expected);
    }
}

static void many_objects_are_summed_up_to_the_end_of_numbers(void **state)
{
    struct stored_object objects[] = {object("a", CACHE_PLACE_OBJECTS, 1, UINT64_MAX / 2),
                                      object("b", CACHE_PLACE_PARTIAL, 1, UINT64_MAX / 2),
                                      object("c", CACHE_PLACE_QUARANTINE, 1, 1)};
    struct stored_object_list list = {.objects = objects, .count = ELEMENTS_OF(objects)};

    (void)state;
    assert_int_equal(space_policy_sum(&list), UINT64_MAX);
    objects[2].disk_bytes = 2;
    assert_int_equal(space_policy_sum(&list), UINT64_MAX);
}

/* --- age --- */

static void age_counts_from_the_last_use_and_never_backwards(void **state)
{
    static const struct {
        int64_t last_used_ns, now;
        unsigned max_age;
        bool expected;
    } rows[] = {
        {0, NOW, 0, false},
        {INT64_MIN, INT64_MAX, 0, false},
        {NOW, NOW, 100, false},
        {NOW - SECONDS(100), NOW, 100, false},
        {NOW - SECONDS(100) - 1, NOW, 100, true},
        {NOW + 1, NOW, 100, false},
        {INT64_MAX, NOW, 100, false},
        {INT64_MIN, NOW, 100, true},
        {INT64_MIN, INT64_MIN, 100, false},
        {0, SECONDS(UINT32_MAX), UINT32_MAX, false},
        {0, SECONDS(UINT32_MAX) + 1, UINT32_MAX, true},
        {SECONDS(-10), SECONDS(-5), 1, true},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(rows); i++) {
        const struct cache_limits limits = {.max_age_seconds = rows[i].max_age};
        const struct stored_object one = {.last_used_ns = rows[i].last_used_ns};

        assert_int_equal(space_policy_is_expired(&limits, &one, rows[i].now), rows[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_is_bytes_or_a_share_of_the_filesystem),
        cmocka_unit_test(quarantine_goes_first_then_downloads_then_the_least_recently_used),
        cmocka_unit_test(a_use_in_the_future_counts_as_now),
        cmocka_unit_test(ties_are_broken_the_same_way_whatever_the_order),
        cmocka_unit_test(an_empty_list_needs_no_objects),
        cmocka_unit_test(excess_is_what_is_over_one_limit_or_the_other),
        cmocka_unit_test(many_objects_are_summed_up_to_the_end_of_numbers),
        cmocka_unit_test(age_counts_from_the_last_use_and_never_backwards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
