/* SPDX-License-Identifier: Apache-2.0 */
/* Private homes: whose they are, what is in them, and that they go with their process. */
#include "codec/gpgme/gnupg_home.h"

#include "codec/gpgme/gpg_agent.h"
#include "gpgme_bed.h"
#include "support/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int setup(void **state)
{
    static struct gpgme_bed bed;

    gpgme_bed_open(&bed);
    *state = &bed;
    return 0;
}

static int teardown(void **state)
{
    gpgme_bed_close(*state);
    return 0;
}

static mode_t mode_of(const char *path)
{
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode & 07777;
}

/* Starts the agent of `home`: gpg-agent daemonises itself. */
static void start_agent(const char *home)
{
    char option[] = "--homedir", daemon[] = "--daemon", program[] = "gpg-agent", path[128];
    char quiet[] = "--quiet";
    char *const argv[] = {program, option, path, quiet, daemon, NULL};
    int status = -1;
    pid_t child;

    (void)snprintf(path, sizeof path, "%s", home);
    (void)fflush(NULL);
    child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
            _exit(126);
        (void)execvp(program, argv);
        _exit(127);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    assert_int_equal(status, 0);
    assert_true(gpg_agent_is_running(home));
}

static void a_lock_that_is_never_released_is_waited_for_so_long(void **state)
{
    const struct gpgme_bed *bed = *state;
    struct gnupg_home *home = NULL;
    struct error err = ERROR_INIT;
    int fd;

    assert_int_equal(mkdir(bed->runtime, S_IRWXU), 0);
    fd = open(bed->runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_not_equal(fd, -1);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_fails(ERROR_TIMEOUT, gnupg_home_new(bed->runtime, &home, &err));
    assert_int_equal(close(fd), 0);
    assert_succeeds(gnupg_home_new(bed->runtime, &home, &err));
    gnupg_home_free(home);
}

static void a_home_is_private_and_goes_again(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(gnupg_home_free) struct gnupg_home *home = NULL;
    struct error err = ERROR_INIT;
    struct stat status;
    char path[128];

    assert_succeeds(gnupg_home_new(bed->runtime, &home, &err));
    assert_int_equal(mode_of(bed->runtime), 0700);
    (void)snprintf(path, sizeof path, "%s", gnupg_home_path(home));
    assert_int_equal(strncmp(path, bed->runtime, strlen(bed->runtime)), 0);
    assert_int_equal(mode_of(path), 0700);
    gnupg_home_free(steal(&home));
    assert_int_equal(lstat(path, &status), -1);
}

static void its_agent_ends_with_it(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(gnupg_home_free) struct gnupg_home *home = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(gnupg_home_new(bed->runtime, &home, &err));
    start_agent(gnupg_home_path(home));
    assert_int_equal(processes_with(bed->runtime, NULL), 1);
    gnupg_home_free(steal(&home));
    assert_true(processes_with_become(bed->runtime, 0));
}

static void two_processes_have_two_homes(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(gnupg_home_free) struct gnupg_home *first = NULL;
    CLEANUP(gnupg_home_free) struct gnupg_home *second = NULL;
    struct error err = ERROR_INIT;
    struct stat status;

    assert_succeeds(gnupg_home_new(bed->runtime, &first, &err));
    assert_succeeds(gnupg_home_new(bed->runtime, &second, &err));
    assert_string_not_equal(gnupg_home_path(first), gnupg_home_path(second));
    assert_int_equal(lstat(gnupg_home_path(first), &status), 0);
}

/* Leaves a home as a killed process does. */
static int abandon_home(void *context)
{
    struct gnupg_home *home = NULL;
    struct error err = ERROR_INIT;

    if (gnupg_home_new(context, &home, &err) < 0)
        return 1;
    start_agent(gnupg_home_path(home));
    (void)raise(SIGKILL);
    return 2;
}

static void homes_of_killed_processes_go_with_their_agents(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(gnupg_home_free) struct gnupg_home *home = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(run_in_child(abandon_home, bed->runtime), 256 + SIGKILL);
    assert_int_equal(processes_with(bed->runtime, NULL), 1);
    assert_succeeds(gnupg_home_new(bed->runtime, &home, &err));
    assert_true(processes_with_become(bed->runtime, 0));
    gnupg_home_free(steal(&home));
}

static void purging_follows_no_link_and_knows_its_own_names(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(gnupg_home_free) struct gnupg_home *home = NULL;
    CLEANUP(memory_free) char *treasure = temp_dir_join(bed->dir, "treasure");
    CLEANUP(memory_free) char *link = temp_dir_join(bed->dir, "run/gnupg-0a1b2c3d");
    CLEANUP(memory_free) char *other = temp_dir_join(bed->dir, "run/gnupg-mine");
    CLEANUP(memory_free) char *stale = temp_dir_join(bed->dir, "run/gnupg-4e5f6071");
    CLEANUP(memory_free) char *inner = temp_dir_join(bed->dir, "run/gnupg-4e5f6071/link");
    struct error err = ERROR_INIT;
    struct stat status;

    assert_int_equal(mkdir(bed->runtime, 0700), 0);
    assert_int_equal(mkdir(treasure, 0700), 0);
    temp_dir_write(bed->dir, "treasure/gold", "gold", 4);
    assert_int_equal(symlink(treasure, link), 0);
    assert_int_equal(mkdir(other, 0700), 0);
    assert_int_equal(mkdir(stale, 0700), 0);
    assert_int_equal(symlink(treasure, inner), 0);
    assert_succeeds(gnupg_home_new(bed->runtime, &home, &err));
    assert_true(temp_dir_has(bed->dir, "treasure/gold"));
    assert_int_equal(lstat(link, &status), 0);
    assert_int_equal(lstat(other, &status), 0);
    assert_int_equal(lstat(stale, &status), -1);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rmdir(other), 0);
}

static void a_runtime_directory_that_others_may_enter_is_refused(void **state)
{
    const struct gpgme_bed *bed = *state;
    struct gnupg_home *home = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(mkdir(bed->runtime, 0700), 0);
    assert_int_equal(chmod(bed->runtime, 0750), 0);
    assert_fails(ERROR_DENIED, gnupg_home_new(bed->runtime, &home, &err));
    assert_message_has("0700");
}

static void a_runtime_directory_that_is_a_link_is_refused(void **state)
{
    const struct gpgme_bed *bed = *state;
    struct gnupg_home *home = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(symlink(temp_dir_path(bed->dir), bed->runtime), 0);
    assert_fails(ERROR_DENIED, gnupg_home_new(bed->runtime, &home, &err));
    assert_int_equal(unlink(bed->runtime), 0);
}

static void a_file_is_no_runtime_directory(void **state)
{
    const struct gpgme_bed *bed = *state;
    struct gnupg_home *home = NULL;
    struct error err = ERROR_INIT;

    temp_dir_write(bed->dir, "run", "", 0);
    assert_fails(ERROR_DENIED, gnupg_home_new(bed->runtime, &home, &err));
}

static void a_path_must_be_absolute_and_fit_a_socket(void **state)
{
    struct gnupg_home *home = NULL;
    struct error err = ERROR_INIT;
    char path[RUNTIME_DIRECTORY_MAXIMUM_BYTES + 2];

    (void)state;
    assert_fails(ERROR_INVALID, gnupg_home_new("run", &home, &err));
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_fails(ERROR_INVALID, gnupg_home_new(path, &home, &err));
    assert_fails(ERROR_NOT_FOUND, gnupg_home_new("/nowhere/run", &home, &err));
}

static void the_default_follows_the_session(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(gnupg_home_free) struct gnupg_home *home = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(setenv("XDG_RUNTIME_DIR", temp_dir_path(bed->dir), 1), 0);
    assert_succeeds(gnupg_home_new(NULL, &home, &err));
    assert_true(temp_dir_has(bed->dir, "glancefs"));
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
}

#define home_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        home_test(a_home_is_private_and_goes_again),
        home_test(its_agent_ends_with_it),
        home_test(two_processes_have_two_homes),
        home_test(homes_of_killed_processes_go_with_their_agents),
        home_test(purging_follows_no_link_and_knows_its_own_names),
        home_test(a_runtime_directory_that_others_may_enter_is_refused),
        home_test(a_runtime_directory_that_is_a_link_is_refused),
        home_test(a_file_is_no_runtime_directory),
        home_test(a_path_must_be_absolute_and_fit_a_socket),
        home_test(the_default_follows_the_session),
        home_test(a_lock_that_is_never_released_is_waited_for_so_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
