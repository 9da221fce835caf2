/* SPDX-License-Identifier: Apache-2.0 */
#include "view/write_coverage.h"

#include "support/pseudo_random.h"
#include "support/testing.h"

#include <stdlib.h>

#define MODEL_BYTES 400

static void nothing_is_complete_only_for_an_empty_file(void **state)
{
    static const struct write_coverage empty;

    (void)state;
    assert_true(write_coverage_is_complete(&empty, 0));
    assert_false(write_coverage_is_complete(&empty, 1));
}

static void an_empty_write_covers_nothing(void **state)
{
    struct write_coverage coverage = {0};

    (void)state;
    write_coverage_add(&coverage, 5, 5);
    assert_int_equal(coverage.count, 0);
}

static void neighbours_become_one(void **state)
{
    struct write_coverage coverage = {0};

    (void)state;
    write_coverage_add(&coverage, 10, 20);
    write_coverage_add(&coverage, 30, 40);
    assert_int_equal(coverage.count, 2);
    write_coverage_add(&coverage, 20, 30);
    assert_int_equal(coverage.count, 1);
    assert_false(write_coverage_is_complete(&coverage, 40));
    write_coverage_add(&coverage, 0, 10);
    assert_true(write_coverage_is_complete(&coverage, 40));
    assert_true(write_coverage_is_complete(&coverage, 39));
    assert_false(write_coverage_is_complete(&coverage, 41));
}

static void too_scattered_is_never_complete(void **state)
{
    struct write_coverage coverage = {0};
    uint64_t last = 2 * (uint64_t)WRITE_COVERAGE_INTERVALS;

    (void)state;
    for (uint64_t i = 0; i < last; i += 2)
        write_coverage_add(&coverage, i, i + 1);
    assert_false(coverage.is_lost);
    write_coverage_add(&coverage, last, last + 1);
    assert_true(coverage.is_lost);
    write_coverage_add(&coverage, 0, last + 1);
    assert_false(write_coverage_is_complete(&coverage, last));
    write_coverage_cut(&coverage, 0);
    write_coverage_add(&coverage, 0, 1);
    assert_true(write_coverage_is_complete(&coverage, 1));
}

/* Against one flag per byte. */
static void agrees_with_a_model(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct pseudo_random random = {.state = seed};
        struct write_coverage coverage = {0};
        bool model[MODEL_BYTES] = {false};
        size_t complete = 0;

        for (int step = 0; step < 60; step++) {
            const size_t start = pseudo_random_below(&random, MODEL_BYTES);
            const size_t size = pseudo_random_below(&random, 40);
            const size_t end = start + size < MODEL_BYTES ? start + size : MODEL_BYTES;

            if (pseudo_random_below(&random, 10) == 0) {
                write_coverage_cut(&coverage, start);
                memset(model + start, 0, sizeof model - start);
            } else {
                write_coverage_add(&coverage, start, end);
                memset(model + start, 1, end - start);
            }
        }
        while (complete < MODEL_BYTES && model[complete])
            complete++;
        assert_true(write_coverage_is_complete(&coverage, complete));
        assert_false(write_coverage_is_complete(&coverage, complete + 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_complete_only_for_an_empty_file),
        cmocka_unit_test(an_empty_write_covers_nothing),
        cmocka_unit_test(neighbours_become_one),
        cmocka_unit_test(too_scattered_is_never_complete),
        cmocka_unit_test(agrees_with_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
