/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include "support/child_process.h"
#include "support/testing.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
