/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/constant_time.h"

#include "support/testing.h"

static void equal_runs_are_equal(void **state)
{
    (void)state;
    assert_true(constant_time_equal("abc", "abc", 3));
    assert_true(constant_time_equal("abcX", "abcY", 3));
    assert_true(constant_time_equal("a\0b", "a\0b", 3));
}

static void no_bytes_are_equal(void **state)
{
    (void)state;
    assert_true(constant_time_equal("a", "b", 0));
}

static void any_changed_bit_makes_a_difference(void **state)
{
    uint8_t a[65], b[65];

    (void)state;
    memset(a, 0x5a, sizeof a);
    memset(b, 0x5a, sizeof b);
    for (size_t bit = 0; bit < 8 * sizeof a; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(constant_time_equal(a, b, sizeof a));
        assert_false(constant_time_equal(b, a, sizeof a));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(constant_time_equal(a, b, sizeof a));
}

static void bytes_behind_a_nul_count(void **state)
{
    (void)state;
    assert_false(constant_time_equal("a\0b", "a\0c", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_runs_are_equal),
        cmocka_unit_test(no_bytes_are_equal),
        cmocka_unit_test(any_changed_bit_makes_a_difference),
        cmocka_unit_test(bytes_behind_a_nul_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
