/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/wall_clock.h"

#include "seconds.h"
#include "support/testing.h"

static const struct {
    struct timespec file;
    int64_t ns, seconds;
} rows[] = {
    {{0, 0}, 0, 0},
    {{1, 2}, SECONDS(1) + 2, 1},
    {{1795430400, 999999999}, SECONDS(1795430401) - 1, 1795430400},
    {{-1, 999999999}, -1, -1},
    {{-1, 0}, SECONDS(-1), -1},
    {{-2, 500000000}, SECONDS(-2) + SECONDS(1) / 2, -2},
    {{9223372036, 854775807}, INT64_MAX, 9223372036},
};

static void a_files_time_survives_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(rows); i++) {
        const struct timespec file = wall_clock_to_file(rows[i].ns);

        assert_int_equal(wall_clock_from_file(&rows[i].file), rows[i].ns);
        assert_int_equal(file.tv_sec, rows[i].file.tv_sec);
        assert_int_equal(file.tv_nsec, rows[i].file.tv_nsec);
        assert_int_equal(wall_clock_seconds(rows[i].ns), rows[i].seconds);
    }
}

static void what_is_too_far_off_is_cut(void **state)
{
    static const struct timespec late = {9223372036, 854775808}, never = {INT64_MAX, 0},
                                 early = {INT64_MIN, 0};

    (void)state;
    assert_int_equal(wall_clock_from_file(&late), INT64_MAX);
    assert_int_equal(wall_clock_from_file(&never), INT64_MAX);
    assert_int_equal(wall_clock_from_file(&early), INT64_MIN);
}

static void now_lies_in_our_days(void **state)
{
    (void)state;
    assert_in_range(wall_clock_ns() / SECONDS(1), time(NULL) - 5, time(NULL) + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_files_time_survives_both_ways),
        cmocka_unit_test(what_is_too_far_off_is_cut),
        cmocka_unit_test(now_lies_in_our_days),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
