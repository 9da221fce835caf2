/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "support/testing.h"

#include <time.h>

static void sleep_milliseconds(long milliseconds)
{
    const struct timespec span = {.tv_nsec = milliseconds * 1000000};

    (void)nanosleep(&span, NULL);
}

static void the_monotonic_clock_counts_nanoseconds_and_never_goes_back(void **state)
{
    const uint64_t start = clock_monotonic_ns();
    uint64_t previous = start;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        const uint64_t now = clock_monotonic_ns();

        assert_true(now >= previous);
        previous = now;
    }
    sleep_milliseconds(20);
    assert_true(clock_monotonic_ns() - start >= 20 * NANOSECONDS_PER_SECOND / 1000);
    assert_true(clock_monotonic_ns() - start < 100 * NANOSECONDS_PER_SECOND);
}

static void the_cpu_clock_stands_while_the_thread_sleeps(void **state)
{
    const uint64_t start = clock_thread_cpu_ns();

    (void)state;
    sleep_milliseconds(200);
    assert_true(clock_thread_cpu_ns() - start < 100 * NANOSECONDS_PER_SECOND / 1000);
}

static void the_cpu_clock_runs_while_the_thread_works(void **state)
{
    const uint64_t start = clock_thread_cpu_ns();
    const uint64_t deadline = clock_monotonic_ns() + 60 * NANOSECONDS_PER_SECOND;

    (void)state;
    while (clock_thread_cpu_ns() - start < 5 * NANOSECONDS_PER_SECOND / 1000)
        assert_true(clock_monotonic_ns() < deadline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_counts_nanoseconds_and_never_goes_back),
        cmocka_unit_test(the_cpu_clock_stands_while_the_thread_sleeps),
        cmocka_unit_test(the_cpu_clock_runs_while_the_thread_works),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
