/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cache_report.h"

#include "support/testing.h"

#define GIBIBYTE (UINT64_C(1) << 30)

static void the_tighter_limit_tells_what_is_available(void **state)
{
    static const struct {
        uint64_t max_size, min_free, available; /* GiB, of 20 that are free; 0: no limit */
    } cases[] = {
        {0, 0, 20}, {0, 5, 15}, {10, 0, 2}, {10, 19, 1}, {8, 0, 0}, {5, 0, 0}, {0, 30, 0},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        const uint64_t max_size = cases[i].max_size * GIBIBYTE;
        const struct ciphertext_cache_usage usage = {.max_size_bytes =
                                                         max_size == 0 ? UINT64_MAX : max_size,
                                                     .min_free_bytes = cases[i].min_free * GIBIBYTE,
                                                     .used_bytes = 8 * GIBIBYTE,
                                                     .filesystem_bytes = 100 * GIBIBYTE,
                                                     .free_bytes = 20 * GIBIBYTE};

        assert_true(cache_report_available_bytes(&usage) == cases[i].available * GIBIBYTE);
    }
}

static void each_state_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(cached_object_state_name(CACHED_OBJECT_READY), "complete");
    assert_string_equal(cached_object_state_name(CACHED_OBJECT_PARTIAL), "partial");
    assert_string_equal(cached_object_state_name(CACHED_OBJECT_QUARANTINED), "quarantine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tighter_limit_tells_what_is_available),
        cmocka_unit_test(each_state_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
