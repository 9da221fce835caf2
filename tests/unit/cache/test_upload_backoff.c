/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/upload_backoff.h"

#include "base/clock.h"
#include "support/testing.h"

#define MILLISECOND (NANOSECONDS_PER_SECOND / 1000)

/* The next delay lies between half of `expected_ms` and that, give or take the time it takes. */
static void assert_next_is(struct upload_backoff *backoff, unsigned expected_ms)
{
    const uint64_t before = clock_monotonic_ns();
    const uint64_t deadline = upload_backoff_deadline(backoff);
    const uint64_t after = clock_monotonic_ns();

    assert_true(deadline >= before + expected_ms * MILLISECOND / 2);
    assert_true(deadline <= after + expected_ms * MILLISECOND);
}

static void delays_double_up_to_the_last(void **state)
{
    struct upload_backoff backoff = {.first_ms = 1000, .last_ms = 30000};

    (void)state;
    assert_next_is(&backoff, 1000);
    assert_next_is(&backoff, 2000);
    assert_next_is(&backoff, 4000);
    assert_next_is(&backoff, 8000);
    assert_next_is(&backoff, 16000);
    assert_next_is(&backoff, 30000);
    assert_next_is(&backoff, 30000);
}

static void the_first_delay_is_never_over_the_last(void **state)
{
    struct upload_backoff backoff = {.first_ms = 5000, .last_ms = 100};

    (void)state;
    assert_next_is(&backoff, 100);
    assert_next_is(&backoff, 100);
}

static void the_largest_delays_do_not_overflow(void **state)
{
    struct upload_backoff backoff = {.first_ms = UINT32_MAX, .last_ms = UINT32_MAX};

    (void)state;
    assert_next_is(&backoff, UINT32_MAX);
    assert_next_is(&backoff, UINT32_MAX);
}

static void delays_differ(void **state)
{
    uint64_t least = UINT64_MAX, most = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        struct upload_backoff backoff = {.first_ms = 100000, .last_ms = 100000};
        const uint64_t delay = upload_backoff_deadline(&backoff) - clock_monotonic_ns();

        least = delay < least ? delay : least;
        most = delay > most ? delay : most;
    }
    assert_true(least < 60000 * MILLISECOND);
    assert_true(most > 90000 * MILLISECOND);
}

static void a_wait_ends_at_its_time(void **state)
{
    const uint64_t deadline = clock_monotonic_ns() + 30 * MILLISECOND;
    struct monitor monitor;

    (void)state;
    monitor_init(&monitor);
    monitor_lock(&monitor);
    while (clock_monotonic_ns() < deadline)
        upload_backoff_wait(&monitor, deadline);
    upload_backoff_wait(&monitor, 0);
    monitor_unlock(&monitor);
    monitor_destroy(&monitor);
    assert_true(clock_monotonic_ns() < deadline + NANOSECONDS_PER_SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_double_up_to_the_last),
        cmocka_unit_test(the_first_delay_is_never_over_the_last),
        cmocka_unit_test(the_largest_delays_do_not_overflow),
        cmocka_unit_test(delays_differ),
        cmocka_unit_test(a_wait_ends_at_its_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
