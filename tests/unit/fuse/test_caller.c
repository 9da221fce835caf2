/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/caller.h"

#include "support/testing.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Exiting and signalled are 0x4 and 0x400 of the ninth field: 1028 has both. */

static void a_signalled_and_exiting_task_is_killed(void **state)
{
    (void)state;
    assert_true(caller_stat_tells_kill("12 (dd) R 1 12 12 34816 12 1028 0 0"));
    assert_true(caller_stat_tells_kill("12 (dd) R 1 12 12 34816 -1 4228100 0 0"));
    assert_true(caller_stat_tells_kill("12 (dd) R 1 12 12 34816 12 1028"));
}

static void one_of_the_flags_alone_is_no_kill(void **state)
{
    (void)state;
    assert_false(caller_stat_tells_kill("12 (dd) R 1 12 12 34816 12 4 0 0"));
    assert_false(caller_stat_tells_kill("12 (dd) R 1 12 12 34816 12 1024 0 0"));
    assert_false(caller_stat_tells_kill("12 (dd) R 1 12 12 34816 12 0 1028 1028"));
}

static void a_command_may_be_called_anything(void **state)
{
    (void)state;
    assert_true(caller_stat_tells_kill("12 (a) R 1 1 (b) R 1 12 12 34816 12 1028 0"));
    assert_false(caller_stat_tells_kill("12 (x) R 1 1 1 1 1 1028 0) R 1 12 12 0 12 0 0"));
    assert_true(caller_stat_tells_kill("12 (\n) )) Z 1 12 12 34816 12 1028 0"));
    assert_false(caller_stat_tells_kill("12 () S 1 12 12 34816 12 0 0"));
}

static void a_damaged_text_tells_nothing(void **state)
{
    static const char *const texts[] = {"",
                                        ")",
                                        "12 (dd",
                                        "12 (dd)",
                                        "12 (dd) R",
                                        "12 (dd) R 1 12 12 34816 12",
                                        "1028",
                                        "12 (dd)      ",
                                        "12 (dd) R 1 12 12 0 12 x",
                                        "12 (dd) R 1 12 12 0 12 "};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++)
        assert_false(caller_stat_tells_kill(texts[i]));
}

static void callers_that_nobody_knows_are_not_killed(void **state)
{
    (void)state;
    assert_false(caller_is_killed(0));
    assert_false(caller_is_killed(-1));
    assert_false(caller_is_killed(getpid()));
}

/* What the kernel really says of a process that ended, as long as nobody has waited for it. */
static bool ended_child_is_killed(int signal_number)
{
    const pid_t child = fork();
    siginfo_t info;
    bool result;

    if (child == 0) {
        if (signal_number != 0)
            (void)kill(getpid(), signal_number);
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    result = caller_is_killed(child);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return result;
}

static void a_process_that_a_signal_ended_is_killed(void **state)
{
    (void)state;
    assert_true(ended_child_is_killed(SIGKILL));
    assert_true(ended_child_is_killed(SIGTERM));
}

static void a_process_that_exited_is_not(void **state)
{
    (void)state;
    assert_false(ended_child_is_killed(0));
}

/* --- signals --- */

#define STATUS(own, shared, blocked)                                                               \
    "Name:\tqemu-img\nThreads:\t9\nSigQ:\t0/63448\nSigPnd:\t" own "\nShdPnd:\t" shared             \
    "\nSigBlk:\t" blocked "\nSigIgn:\t0000000000000000\n"
#define NO_SIGNALS "0000000000000000"

static void a_pending_signal_is_told(void **state)
{
    (void)state;
    assert_true(caller_status_tells_signal(STATUS("0000000000000100", NO_SIGNALS, NO_SIGNALS)));
    assert_true(caller_status_tells_signal(STATUS(NO_SIGNALS, "0000000000000002", NO_SIGNALS)));
    assert_true(caller_status_tells_signal(STATUS("8000000000000000", NO_SIGNALS, NO_SIGNALS)));
    assert_true(
        caller_status_tells_signal(STATUS("0000000000000300", NO_SIGNALS, "0000000000000200")));
}

static void no_signal_or_a_blocked_one_is_none(void **state)
{
    (void)state;
    assert_false(caller_status_tells_signal(STATUS(NO_SIGNALS, NO_SIGNALS, NO_SIGNALS)));
    assert_false(caller_status_tells_signal(STATUS(NO_SIGNALS, NO_SIGNALS, "ffffffffffffffff")));
    assert_false(caller_status_tells_signal(
        STATUS("0000000000000200", "0000000000000200", "0000000000000200")));
}

static void a_damaged_status_counts_as_a_signal(void **state)
{
    static const char *const texts[] = {
        "", "SigPnd:\t0000000000000000\n", "Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t00000",
        STATUS("", NO_SIGNALS, NO_SIGNALS), STATUS(NO_SIGNALS, "x", NO_SIGNALS)};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++)
        assert_true(caller_status_tells_signal(texts[i]));
}

static void a_caller_whom_nobody_knows_may_have_a_signal(void **state)
{
    (void)state;
    assert_true(caller_has_signal(0));
    assert_true(caller_has_signal(-1));
}

/* What the kernel really says, here of ourselves. */
static void a_blocked_signal_of_a_process_is_none(void **state)
{
    sigset_t blocked, before;

    (void)state;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGUSR1);
    assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, &before), 0);
    assert_false(caller_has_signal(getpid()));
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_false(caller_has_signal(getpid()));
    assert_int_equal(sigtimedwait(&blocked, NULL, &(struct timespec){0}), SIGUSR1);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signalled_and_exiting_task_is_killed),
        cmocka_unit_test(one_of_the_flags_alone_is_no_kill),
        cmocka_unit_test(a_command_may_be_called_anything),
        cmocka_unit_test(a_damaged_text_tells_nothing),
        cmocka_unit_test(callers_that_nobody_knows_are_not_killed),
        cmocka_unit_test(a_process_that_a_signal_ended_is_killed),
        cmocka_unit_test(a_process_that_exited_is_not),
        cmocka_unit_test(a_pending_signal_is_told),
        cmocka_unit_test(no_signal_or_a_blocked_one_is_none),
        cmocka_unit_test(a_damaged_status_counts_as_a_signal),
        cmocka_unit_test(a_caller_whom_nobody_knows_may_have_a_signal),
        cmocka_unit_test(a_blocked_signal_of_a_process_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
