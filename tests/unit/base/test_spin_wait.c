/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spin_wait.h"

#include "base/clock.h"
#include "support/testing.h"

#include <pthread.h>

static void a_value_that_has_changed_is_not_waited_for(void **state)
{
    atomic_uint value = 1;
    const uint64_t before_ns = clock_thread_cpu_ns();

    (void)state;
    spin_wait_while(&value, 0);
    assert_in_range(clock_thread_cpu_ns() - before_ns, 0, SPIN_WAIT_NS - 1);
}

static void a_value_that_stays_is_given_up(void **state)
{
    atomic_uint value = 0;
    const uint64_t before_ns = clock_monotonic_ns();

    (void)state;
    spin_wait_while(&value, 0);
    assert_in_range(clock_monotonic_ns() - before_ns, SPIN_WAIT_NS, UINT64_MAX);
    assert_int_equal(atomic_load(&value), 0);
}

static void *change(void *argument)
{
    atomic_store((atomic_uint *)argument, 1);
    return NULL;
}

static void a_change_by_another_thread_is_seen(void **state)
{
    atomic_uint value = 0;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, change, &value), 0);
    while (atomic_load(&value) == 0)
        spin_wait_while(&value, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_that_has_changed_is_not_waited_for),
        cmocka_unit_test(a_value_that_stays_is_given_up),
        cmocka_unit_test(a_change_by_another_thread_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
