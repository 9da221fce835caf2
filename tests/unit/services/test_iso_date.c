/* SPDX-License-Identifier: Apache-2.0 */
#include "services/iso_date.h"

#include "support/testing.h"

#include <time.h>

static void reads_every_form_the_services_use(void **state)
{
    static const char *const dates[] = {
        "2026-11-23T09:40:54Z",    "2026-11-23T09:40:54.000000Z", "2026-11-23T09:40:54",
        "2026-11-23T09:40:54.123", "2026-11-23T09:40:54+00:00",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(dates); i++) {
        int64_t seconds = 0;

        assert_true(iso_date_parse(dates[i], &seconds));
        assert_int_equal(seconds, 1795426854);
    }
}

static void refuses_what_is_no_date(void **state)
{
    static const char *const dates[] = {
        "",
        "now",
        "2026-11-23",
        "2026-11-23 09:40:54",
        "2026-13-23T09:40:54Z",
        "2026-11-23T09:40:54+01:00",
        "2026-11-23T09:40:54Zx",
        "2026-11-23T09:40:54.1x",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(dates); i++) {
        int64_t seconds = 7;

        assert_false(iso_date_parse(dates[i], &seconds));
        assert_int_equal(seconds, 7);
    }
    assert_false(iso_date_parse(NULL, NULL));
}

static void now_is_readable_and_now(void **state)
{
    char text[ISO_DATE_BYTES];
    int64_t seconds;

    (void)state;
    iso_date_now(text);
    assert_true(iso_date_parse(text, &seconds));
    assert_in_range(seconds, time(NULL) - 60, time(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_form_the_services_use),
        cmocka_unit_test(refuses_what_is_no_date),
        cmocka_unit_test(now_is_readable_and_now),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
