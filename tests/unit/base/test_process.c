/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include "support/child_process.h"
#include "support/testing.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each answers 0 when what it looks at is as promised; run in a child after process_harden. */

static int core_limit_is_zero(void *context)
{
    struct rlimit limit;
    struct error err = ERROR_INIT;

    (void)context;
    if (process_harden(&err) < 0 || getrlimit(RLIMIT_CORE, &limit) < 0)
        return 1;
    return limit.rlim_cur == 0 && limit.rlim_max == 0 ? 0 : 2;
}

static int is_undumpable(void *context)
{
    struct error err = ERROR_INIT;

    (void)context;
    if (prctl(PR_GET_DUMPABLE) != 1)
        return 1;
    return process_harden(&err) == 0 && prctl(PR_GET_DUMPABLE) == 0 ? 0 : 2;
}

static int umask_is_077(void *context)
{
    struct error err = ERROR_INIT;

    (void)context;
    (void)umask(0);
    return process_harden(&err) == 0 && umask(0) == 077 ? 0 : 1;
}

static int hardens_twice(void *context)
{
    struct error err = ERROR_INIT;

    (void)context;
    if (process_harden(&err) < 0 || prctl(PR_GET_DUMPABLE) != 0)
        return 1;
    return process_harden(&err) == 0 && prctl(PR_GET_DUMPABLE) == 0 ? 0 : 2;
}

static int closed_descriptors_are_taken_and_fail(void *context)
{
    struct error err = ERROR_INIT;
    char byte = 0;

    (void)context;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        (void)close(fd);
    if (process_open_standard(&err) < 0 || dup(STDIN_FILENO) <= STDERR_FILENO)
        return 1;
    if (read(STDIN_FILENO, &byte, 1) >= 0 || errno != EBADF)
        return 2;
    return write(STDOUT_FILENO, &byte, 1) < 0 && errno == EBADF &&
                   write(STDERR_FILENO, &byte, 1) < 0
               ? 0
               : 3;
}

static int open_descriptors_stay(void *context)
{
    struct error err = ERROR_INIT;
    struct stat before, after;

    (void)context;
    if (fstat(STDERR_FILENO, &before) < 0 || process_open_standard(&err) < 0 ||
        fstat(STDERR_FILENO, &after) < 0)
        return 1;
    return before.st_dev == after.st_dev && before.st_ino == after.st_ino ? 0 : 2;
}

static int a_childs_status_is_kept(void *context)
{
    int status = 0;
    pid_t child;

    (void)context;
    (void)signal(SIGCHLD, SIG_IGN);
    process_keep_child_status();
    child = fork();
    if (child == 0)
        _exit(3);
    return waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3 ? 0 : 1;
}

static void nothing_gets_the_number_of_a_closed_standard_descriptor(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(closed_descriptors_are_taken_and_fail, NULL), 0);
}

static void standard_descriptors_that_are_open_stay(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(open_descriptors_stay, NULL), 0);
}

static void how_a_child_ended_is_known_though_sigchld_was_ignored(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(a_childs_status_is_kept, NULL), 0);
}

static void no_core_file_can_be_written(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(core_limit_is_zero, NULL), 0);
}

static void no_other_process_of_the_user_can_look_inside(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(is_undumpable, NULL), 0);
}

static void new_files_are_for_the_owner_only(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(umask_is_077, NULL), 0);
}

static void hardening_twice_is_harmless(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(hardens_twice, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_core_file_can_be_written),
        cmocka_unit_test(no_other_process_of_the_user_can_look_inside),
        cmocka_unit_test(new_files_are_for_the_owner_only),
        cmocka_unit_test(hardening_twice_is_harmless),
        cmocka_unit_test(nothing_gets_the_number_of_a_closed_standard_descriptor),
        cmocka_unit_test(standard_descriptors_that_are_open_stay),
        cmocka_unit_test(how_a_child_ended_is_known_though_sigchld_was_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
