/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_layout.h"

#include "base/clock.h"
#include "base/file_sink.h"
#include "support/child_process.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#define FORMAT "glancefs-cache 1\n"

static const char *const places[] = {"cache/objects", "cache/partial", "cache/quarantine",
                                     "cache/trash"};

struct fixture {
    struct temp_dir *dir;
    char *path; /* of the cache; not made yet */
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    if (fixture == NULL)
        return -1;
    fixture->dir = temp_dir_new();
    fixture->path = temp_dir_join(fixture->dir, "cache");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    temp_dir_free(fixture->dir);
    free(fixture->path);
    free(fixture);
    return 0;
}

static struct cache_layout *open_as(const struct fixture *fixture, enum cache_role role)
{
    struct cache_layout *layout = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(cache_layout_open(fixture->path, role, &layout, &err));
    return layout;
}

static void make_cache(const struct fixture *fixture)
{
    cache_layout_free(open_as(fixture, CACHE_COMMAND));
}

static void assert_refused(const char *path, enum cache_role role, enum error_kind kind)
{
    struct cache_layout *layout = NULL;
    struct error err = ERROR_INIT;

    assert_fails(kind, cache_layout_open(path, role, &layout, &err));
    assert_message_has(path);
    assert_null(layout);
}

static mode_t mode_of(const struct fixture *fixture, const char *name)
{
    CLEANUP(memory_free) char *path = temp_dir_join(fixture->dir, name);
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode & ALLPERMS;
}

static void write_format(const struct fixture *fixture, const char *text)
{
    temp_dir_write(fixture->dir, "cache/format", text, strlen(text));
}

static void assert_format_is(const struct fixture *fixture, const char *text)
{
    CLEANUP(memory_free) uint8_t *format = temp_dir_read(fixture->dir, "cache/format", NULL);

    assert_string_equal((const char *)format, text);
}

/* --- what is made --- */

static void makes_all_places_for_us_alone(void **state)
{
    const struct fixture *fixture = *state;
    const mode_t before = umask(0);

    make_cache(fixture);
    (void)umask(before);
    assert_int_equal(mode_of(fixture, "cache"), 0700);
    for (size_t i = 0; i < ELEMENTS_OF(places); i++)
        assert_int_equal(mode_of(fixture, places[i]), 0700);
    assert_int_equal(mode_of(fixture, "cache/format"), 0600);
    assert_int_equal(mode_of(fixture, "cache/lock"), 0600);
    assert_format_is(fixture, FORMAT);
}

static void opens_again_what_it_made(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(cache_layout_free) struct cache_layout *layout = NULL;

    make_cache(fixture);
    layout = open_as(fixture, CACHE_DAEMON);
    assert_true(layout->root_fd >= 0);
    for (size_t i = 0; i < CACHE_PLACE_COUNT; i++)
        assert_true(faccessat(layout->root_fd, cache_place_name((enum cache_place)i), R_OK, 0) ==
                    0);
    assert_format_is(fixture, FORMAT);
}

static void makes_again_what_somebody_removed(void **state)
{
    const struct fixture *fixture = *state;

    make_cache(fixture);
    for (size_t i = 0; i < ELEMENTS_OF(places); i++) {
        CLEANUP(memory_free) char *path = temp_dir_join(fixture->dir, places[i]);

        assert_int_equal(rmdir(path), 0);
        make_cache(fixture);
        assert_true(temp_dir_has(fixture->dir, places[i]));
    }
}

static void closes_places_that_were_opened_to_others(void **state)
{
    const struct fixture *fixture = *state;

    make_cache(fixture);
    for (size_t i = 0; i < ELEMENTS_OF(places); i++) {
        CLEANUP(memory_free) char *path = temp_dir_join(fixture->dir, places[i]);

        assert_int_equal(chmod(path, 0775), 0);
        make_cache(fixture);
        assert_int_equal(mode_of(fixture, places[i]), 0700);
    }
}

static void takes_a_directory_that_uploads_or_mkfs_made(void **state)
{
    static const char *const names[] = {"cache/staging", "cache/consumers", "cache/objects",
                                        "cache/lost+found"};
    const struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        CLEANUP(memory_free) char *path = temp_dir_join(fixture->dir, names[i]);

        assert_int_equal(mkdir(path, 0700), 0);
    }
    temp_dir_write(fixture->dir, "cache/" FILE_SINK_TEMPORARY_PREFIX "1", "x", 1);
    make_cache(fixture);
    assert_format_is(fixture, FORMAT);
    assert_false(temp_dir_has(fixture->dir, "cache/" FILE_SINK_TEMPORARY_PREFIX "1"));
}

static void leaves_foreign_files_of_a_cache_alone(void **state)
{
    const struct fixture *fixture = *state;

    make_cache(fixture);
    temp_dir_write(fixture->dir, "cache/README", "x", 1);
    make_cache(fixture);
    assert_true(temp_dir_has(fixture->dir, "cache/README"));
}

/* --- what is refused --- */

static void refuses_a_directory_of_somebodys_files(void **state)
{
    const struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    temp_dir_write(fixture->dir, "cache/thesis.tex", "x", 1);
    assert_refused(fixture->path, CACHE_DAEMON, ERROR_INVALID);
    assert_refused(fixture->path, CACHE_COMMAND, ERROR_INVALID);
    assert_int_equal(temp_dir_count(fixture->dir), 1);
    for (size_t i = 0; i < ELEMENTS_OF(places); i++)
        assert_false(temp_dir_has(fixture->dir, places[i]));
    assert_false(temp_dir_has(fixture->dir, "cache/lock"));
}

static void refuses_a_newer_format_and_touches_nothing(void **state)
{
    static const char *const newer[] = {"glancefs-cache 2\n", "glancefs-cache 10\n",
                                        "glancefs-cache 99999999999999999999999\n",
                                        "glancefs-cache 2\nwith more to say\n"};
    const struct fixture *fixture = *state;
    static const enum cache_role roles[] = {CACHE_DAEMON, CACHE_COMMAND, CACHE_OBSERVER};

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    assert_int_equal(chmod(fixture->path, 0755), 0);
    for (size_t i = 0; i < ELEMENTS_OF(newer); i++) {
        write_format(fixture, newer[i]);
        for (size_t role = 0; role < ELEMENTS_OF(roles); role++) {
            struct cache_layout *layout = NULL;
            struct error err = ERROR_INIT;

            assert_fails(ERROR_UNSUPPORTED,
                         cache_layout_open(fixture->path, roles[role], &layout, &err));
            assert_message_has("newer glancefs");
        }
        assert_format_is(fixture, newer[i]);
        assert_int_equal(mode_of(fixture, "cache"), 0755);
        assert_false(temp_dir_has(fixture->dir, "cache/lock"));
        assert_false(temp_dir_has(fixture->dir, "cache/objects"));
    }
}

static void refuses_a_damaged_format_and_touches_nothing(void **state)
{
    static const char *const damaged[] = {"",
                                          "\n",
                                          "glancefs-cache",
                                          "glancefs-cache 1",
                                          "glancefs-cache 1\n\n",
                                          "glancefs-cache 1 \n",
                                          "glancefs-cache 1\nmore\n",
                                          "glancefs-cache 0\n",
                                          "glancefs-cache 01\n",
                                          "glancefs-cache -1\n",
                                          "glancefs-cache 2",
                                          "glancefs-cache two\n",
                                          "Glancefs-cache 2\n",
                                          " glancefs-cache 2\n",
                                          "{\"version\": 1}\n"};
    const struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    for (size_t i = 0; i < ELEMENTS_OF(damaged); i++) {
        write_format(fixture, damaged[i]);
        assert_refused(fixture->path, CACHE_DAEMON, ERROR_CORRUPT);
        assert_refused(fixture->path, CACHE_OBSERVER, ERROR_CORRUPT);
        assert_format_is(fixture, damaged[i]);
        assert_false(temp_dir_has(fixture->dir, "cache/objects"));
    }
}

static void refuses_a_format_with_a_nul(void **state)
{
    const struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    temp_dir_write(fixture->dir, "cache/format", "glancefs-cache 1\n\0", sizeof FORMAT);
    assert_refused(fixture->path, CACHE_DAEMON, ERROR_CORRUPT);
}

static void refuses_a_format_that_is_too_large(void **state)
{
    const struct fixture *fixture = *state;
    static char text[100000];

    memset(text, ' ', sizeof text);
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    temp_dir_write(fixture->dir, "cache/format", text, sizeof text);
    assert_refused(fixture->path, CACHE_DAEMON, ERROR_CORRUPT);
}

static void refuses_a_format_that_is_no_file(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(memory_free) char *format = temp_dir_join(fixture->dir, "cache/format");
    CLEANUP(memory_free) char *target = temp_dir_join(fixture->dir, "target");

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    temp_dir_write(fixture->dir, "target", FORMAT, sizeof FORMAT - 1);
    assert_int_equal(symlink(target, format), 0);
    assert_refused(fixture->path, CACHE_DAEMON, ERROR_CORRUPT);
    assert_int_equal(unlink(format), 0);
    assert_int_equal(mkdir(format, 0700), 0);
    assert_refused(fixture->path, CACHE_DAEMON, ERROR_CORRUPT);
    assert_int_equal(rmdir(format), 0);
    assert_int_equal(mkfifo(format, 0600), 0);
    assert_refused(fixture->path, CACHE_DAEMON, ERROR_CORRUPT);
}

/* A place decides where ciphertext goes: a link must not lead it elsewhere. */
static void refuses_links_and_files_as_places(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(memory_free) char *elsewhere = temp_dir_join(fixture->dir, "elsewhere");

    make_cache(fixture);
    assert_int_equal(mkdir(elsewhere, 0755), 0);
    for (size_t i = 0; i < ELEMENTS_OF(places); i++) {
        CLEANUP(memory_free) char *path = temp_dir_join(fixture->dir, places[i]);

        assert_int_equal(rmdir(path), 0);
        assert_int_equal(symlink(elsewhere, path), 0);
        assert_refused(fixture->path, CACHE_COMMAND, ERROR_SYSTEM);
        assert_refused(fixture->path, CACHE_OBSERVER, ERROR_SYSTEM);
        assert_int_equal(unlink(path), 0);
        temp_dir_write(fixture->dir, places[i], "x", 1);
        assert_refused(fixture->path, CACHE_COMMAND, ERROR_SYSTEM);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(mode_of(fixture, "elsewhere"), 0755);
}

static void refuses_a_lock_that_is_no_file(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(memory_free) char *lock = temp_dir_join(fixture->dir, "cache/lock");

    make_cache(fixture);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(symlink("/dev/null", lock), 0);
    assert_refused(fixture->path, CACHE_COMMAND, ERROR_SYSTEM);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(mkfifo(lock, 0600), 0);
    assert_refused(fixture->path, CACHE_COMMAND, ERROR_INVALID);
}

static void refuses_what_others_may_enter(void **state)
{
    static const mode_t modes[] = {0755, 0770, 0707, 01777};
    const struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    temp_dir_write(fixture->dir, "cache/lock", "", 0);
    for (size_t i = 0; i < ELEMENTS_OF(modes); i++) {
        assert_int_equal(chmod(fixture->path, modes[i]), 0);
        assert_refused(fixture->path, CACHE_DAEMON, ERROR_DENIED);
        assert_int_equal(mode_of(fixture, "cache"), modes[i]);
    }
}

static void closes_a_cache_that_was_opened_to_others(void **state)
{
    const struct fixture *fixture = *state;

    make_cache(fixture);
    assert_int_equal(chmod(fixture->path, 0755), 0);
    make_cache(fixture);
    assert_int_equal(mode_of(fixture, "cache"), 0700);
}

static void what_cannot_be_a_directory_is_an_error(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(memory_free) char *below_nothing = temp_dir_join(fixture->dir, "absent/cache");
    CLEANUP(memory_free) char *file = temp_dir_join(fixture->dir, "file");

    assert_refused(below_nothing, CACHE_DAEMON, ERROR_NOT_FOUND);
    temp_dir_write(fixture->dir, "file", "x", 1);
    assert_refused(file, CACHE_DAEMON, ERROR_SYSTEM);
}

/* --- who is beside whom --- */

static int open_in_child(void *context)
{
    const struct fixture *fixture = context;
    CLEANUP(cache_layout_free) struct cache_layout *layout = NULL;
    struct error err = ERROR_INIT;

    return cache_layout_open(fixture->path, CACHE_COMMAND, &layout, &err) == 0 ? 0 : 1;
}

static void a_second_daemon_is_refused_and_a_command_is_not(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(cache_layout_free) struct cache_layout *daemon = open_as(fixture, CACHE_DAEMON);
    CLEANUP(cache_layout_free) struct cache_layout *command = open_as(fixture, CACHE_COMMAND);
    CLEANUP(cache_layout_free) struct cache_layout *observer = open_as(fixture, CACHE_OBSERVER);
    struct cache_layout *second = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(run_in_child(open_in_child, fixture), 0);
    assert_fails(ERROR_BUSY, cache_layout_open(fixture->path, CACHE_DAEMON, &second, &err));
    assert_message_has("another glancefs mount");
    assert_non_null(command);
    assert_non_null(observer);
    assert_non_null(daemon);
}

static void a_daemon_that_ended_is_in_nobodys_way(void **state)
{
    const struct fixture *fixture = *state;

    cache_layout_free(open_as(fixture, CACHE_DAEMON));
    cache_layout_free(open_as(fixture, CACHE_DAEMON));
}

static void an_observer_makes_nothing(void **state)
{
    const struct fixture *fixture = *state;

    assert_refused(fixture->path, CACHE_OBSERVER, ERROR_NOT_FOUND);
    assert_false(temp_dir_has(fixture->dir, "cache"));
    assert_int_equal(mkdir(fixture->path, 0755), 0);
    assert_refused(fixture->path, CACHE_OBSERVER, ERROR_NOT_FOUND);
    assert_false(temp_dir_has(fixture->dir, "cache/format"));
    assert_false(temp_dir_has(fixture->dir, "cache/lock"));
    assert_int_equal(mode_of(fixture, "cache"), 0755);
}

static void an_observer_mends_nothing(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(memory_free) char *partial = temp_dir_join(fixture->dir, "cache/partial");

    make_cache(fixture);
    assert_int_equal(rmdir(partial), 0);
    assert_refused(fixture->path, CACHE_OBSERVER, ERROR_NOT_FOUND);
    assert_false(temp_dir_has(fixture->dir, "cache/partial"));
}

/* --- the lock --- */

struct contest {
    const struct cache_layout *layout;
    atomic_int holders;
    atomic_int clashes;
};

static void *take_turns(void *context)
{
    struct contest *contest = context;

    for (int turn = 0; turn < 50; turn++) {
        CLEANUP(fd_close) int lock = -1;
        struct error err = ERROR_INIT;

        if (cache_layout_lock(contest->layout, NULL, &lock, &err) < 0 ||
            atomic_fetch_add(&contest->holders, 1) != 0)
            atomic_fetch_add(&contest->clashes, 1);
        atomic_fetch_sub(&contest->holders, 1);
    }
    return NULL;
}

static void one_thread_holds_the_lock_at_a_time(void **state)
{
    CLEANUP(cache_layout_free) struct cache_layout *layout = open_as(*state, CACHE_COMMAND);
    struct contest contest = {.layout = layout};
    pthread_t threads[3];

    for (size_t i = 0; i < ELEMENTS_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_turns, &contest), 0);
    for (size_t i = 0; i < ELEMENTS_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(contest.clashes, 0);
}

static int find_it_locked(void *context)
{
    CLEANUP(fd_close) int fd = openat(((struct cache_layout *)context)->root_fd, "lock", O_RDWR);

    return flock(fd, LOCK_EX | LOCK_NB) < 0 ? 0 : 1;
}

static void the_lock_holds_between_processes(void **state)
{
    CLEANUP(cache_layout_free) struct cache_layout *layout = open_as(*state, CACHE_COMMAND);
    CLEANUP(fd_close) int lock = -1;
    struct error err = ERROR_INIT;

    assert_int_equal(run_in_child(find_it_locked, layout), 1);
    assert_succeeds(cache_layout_lock(layout, NULL, &lock, &err));
    assert_int_equal(run_in_child(find_it_locked, layout), 0);
}

static void waiting_for_the_lock_ends_when_cancelled(void **state)
{
    CLEANUP(cache_layout_free) struct cache_layout *layout = open_as(*state, CACHE_COMMAND);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(fd_close) int lock = -1;
    struct error err = ERROR_INIT;
    int second = -1;

    assert_succeeds(cancel_new(&cancel, &err));
    assert_succeeds(cache_layout_lock(layout, NULL, &lock, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, cache_layout_lock(layout, cancel, &second, &err));
    assert_int_equal(second, -1);
}

static void *remove_lock_and_let_go(void *context)
{
    struct contest *contest = context;
    (void)usleep(20000);
    (void)unlinkat(contest->layout->root_fd, "lock", 0);
    (void)close(atomic_exchange(&contest->holders, 0));
    return NULL;
}

/* "Delete anything": then the lock that counts is the one that is there. */
static void a_lock_that_was_removed_is_made_anew(void **state)
{
    CLEANUP(cache_layout_free) struct cache_layout *layout = open_as(*state, CACHE_COMMAND);
    struct contest contest = {.layout = layout};
    CLEANUP(fd_close) int lock = -1;
    struct error err = ERROR_INIT;
    struct stat held;
    struct stat named;
    pthread_t thread;
    int first = -1;

    assert_succeeds(cache_layout_lock(layout, NULL, &first, &err));
    atomic_store(&contest.holders, first);
    assert_int_equal(pthread_create(&thread, NULL, remove_lock_and_let_go, &contest), 0);
    assert_succeeds(cache_layout_lock(layout, NULL, &lock, &err));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(fstat(lock, &held), 0);
    assert_int_equal(fstatat(layout->root_fd, "lock", &named, 0), 0);
    assert_true(held.st_ino == named.st_ino);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(makes_all_places_for_us_alone),
        with_fixture(opens_again_what_it_made),
        with_fixture(makes_again_what_somebody_removed),
        with_fixture(closes_places_that_were_opened_to_others),
        with_fixture(takes_a_directory_that_uploads_or_mkfs_made),
        with_fixture(leaves_foreign_files_of_a_cache_alone),
        with_fixture(refuses_a_directory_of_somebodys_files),
        with_fixture(refuses_a_newer_format_and_touches_nothing),
        with_fixture(refuses_a_damaged_format_and_touches_nothing),
        with_fixture(refuses_a_format_with_a_nul),
        with_fixture(refuses_a_format_that_is_too_large),
        with_fixture(refuses_a_format_that_is_no_file),
        with_fixture(refuses_links_and_files_as_places),
        with_fixture(refuses_a_lock_that_is_no_file),
        with_fixture(refuses_what_others_may_enter),
        with_fixture(closes_a_cache_that_was_opened_to_others),
        with_fixture(what_cannot_be_a_directory_is_an_error),
        with_fixture(a_second_daemon_is_refused_and_a_command_is_not),
        with_fixture(a_daemon_that_ended_is_in_nobodys_way),
        with_fixture(an_observer_makes_nothing),
        with_fixture(an_observer_mends_nothing),
        with_fixture(one_thread_holds_the_lock_at_a_time),
        with_fixture(the_lock_holds_between_processes),
        with_fixture(waiting_for_the_lock_ends_when_cancelled),
        with_fixture(a_lock_that_was_removed_is_made_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
