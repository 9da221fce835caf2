/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/wake_on_cancel.h"

#include "support/testing.h"

#include <errno.h>
#include <sys/time.h>
#include <unistd.h>

static void start(struct cancel **ret_cancel, struct cancel_listener *listener)
{
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(ret_cancel, &err));
    wake_on_cancel_start(*ret_cancel, listener);
}

static bool timer_runs(void)
{
    struct itimerval timer;

    assert_int_equal(getitimer(ITIMER_REAL, &timer), 0);
    return timer.it_interval.tv_usec != 0;
}

static void nothing_runs_before_the_cancellation(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct cancel_listener listener;

    (void)state;
    start(&cancel, &listener);
    assert_false(timer_runs());
    wake_on_cancel_stop(cancel, &listener);
}

static void blocking_reads_are_interrupted_again_and_again(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct cancel_listener listener;
    int ends[2];
    char byte;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    start(&cancel, &listener);
    cancel_request(cancel);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read(ends[0], &byte, 1), -1);
        assert_int_equal(errno, EINTR);
    }
    wake_on_cancel_stop(cancel, &listener);
    assert_false(timer_runs());
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void stopping_without_a_cancellation_leaves_nothing_behind(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct cancel_listener listener;

    (void)state;
    start(&cancel, &listener);
    wake_on_cancel_stop(cancel, &listener);
    cancel_request(cancel);
    assert_false(timer_runs());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_runs_before_the_cancellation),
        cmocka_unit_test(blocking_reads_are_interrupted_again_and_again),
        cmocka_unit_test(stopping_without_a_cancellation_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
