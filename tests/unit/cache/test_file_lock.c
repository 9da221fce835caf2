/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/file_lock.h"

#include "base/clock.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>

struct fixture {
    struct temp_dir *dir;
    int first; /* two open file descriptions of one file */
    int second;
};

static int open_file(const struct fixture *fixture)
{
    return openat(temp_dir_fd(fixture->dir), "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture.dir = temp_dir_new();
    fixture.first = open_file(&fixture);
    fixture.second = open_file(&fixture);
    *state = &fixture;
    return fixture.first < 0 || fixture.second < 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    (void)close(fixture->first);
    (void)close(fixture->second);
    temp_dir_free(fixture->dir);
    return 0;
}

static void a_free_lock_is_taken(void **state)
{
    const struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(file_lock_take(fixture->first, LOCK_SH, 0, "file", NULL, &err));
    assert_succeeds(file_lock_take(fixture->second, LOCK_SH, 0, "file", NULL, &err));
}

static void a_held_lock_is_busy_and_says_whose(void **state)
{
    const struct fixture *fixture = *state;
    const uint64_t wait_ns = 50 * NANOSECONDS_PER_MILLISECOND;
    const uint64_t started_ns = clock_monotonic_ns();
    struct error err = ERROR_INIT;

    assert_succeeds(file_lock_take(fixture->first, LOCK_EX, 0, "file", NULL, &err));
    assert_fails(ERROR_BUSY, file_lock_take(fixture->second, LOCK_SH, 0, "file", NULL, &err));
    assert_message_has("file");
    assert_fails(ERROR_BUSY, file_lock_take(fixture->second, LOCK_EX, wait_ns, "file", NULL, &err));
    assert_true(clock_monotonic_ns() - started_ns >= wait_ns);
}

static void *let_go(void *context)
{
    (void)usleep(30000);
    (void)flock(*(const int *)context, LOCK_UN);
    return NULL;
}

static void a_holder_is_waited_for(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    pthread_t thread;

    assert_succeeds(file_lock_take(fixture->first, LOCK_EX, 0, "file", NULL, &err));
    assert_int_equal(pthread_create(&thread, NULL, let_go, &fixture->first), 0);
    assert_succeeds(
        file_lock_take(fixture->second, LOCK_EX, FILE_LOCK_FOR_EVER, "file", NULL, &err));
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void *cancel_it(void *context)
{
    (void)usleep(30000);
    cancel_request(context);
    return NULL;
}

static void waiting_ends_when_cancelled(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;
    pthread_t thread;

    assert_succeeds(cancel_new(&cancel, &err));
    assert_succeeds(file_lock_take(fixture->first, LOCK_EX, 0, "file", NULL, &err));
    assert_int_equal(pthread_create(&thread, NULL, cancel_it, cancel), 0);
    assert_fails(ERROR_CANCELLED, file_lock_take(fixture->second, LOCK_EX, FILE_LOCK_FOR_EVER,
                                                 "file", cancel, &err));
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void what_cannot_be_locked_is_an_error(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_fails(ERROR_SYSTEM,
                 file_lock_take(-1, LOCK_EX, FILE_LOCK_FOR_EVER, "nothing", NULL, &err));
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(a_free_lock_is_taken),
        with_fixture(a_held_lock_is_busy_and_says_whose),
        with_fixture(a_holder_is_waited_for),
        with_fixture(waiting_ends_when_cancelled),
        with_fixture(what_cannot_be_locked_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
