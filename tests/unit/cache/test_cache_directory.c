/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_directory.h"

#include "base/file_sink.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define ID "11111111-2222-4333-8444-555555555555"
#define OTHER_ID "11111111-2222-4333-8444-555555555556"

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

static mode_t mode_of(const char *path)
{
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode & 07777;
}

static int open_directory(const struct fixture *fixture)
{
    struct error err = ERROR_INIT;
    int fd = -1;

    assert_succeeds(cache_directory_open(fixture->path, &fd, &err));
    assert_true(fd >= 0);
    return fd;
}

static void assert_refused(const char *path, enum error_kind kind)
{
    struct error err = ERROR_INIT;
    int fd = -1;

    assert_int_equal(cache_directory_open(path, &fd, &err), -1);
    assert_int_equal(err.kind, kind);
    assert_message_has(path);
    assert_int_equal(fd, -1);
}

static void make_file(int fd, const char *name, size_t size)
{
    CLEANUP(fd_close) int file = openat(fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, (off_t)size), 0);
}

static bool has(int fd, const char *name)
{
    struct stat status;

    return fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* --- who may enter --- */

static void an_absent_directory_is_made_for_us_alone(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(memory_free) char *objects = temp_dir_join(fixture->dir, "cache/objects");
    const mode_t before = umask(0);
    const int fd = open_directory(fixture);

    (void)umask(before);
    assert_int_equal(mode_of(fixture->path), 0700);
    assert_int_equal(mode_of(objects), 0700);
    (void)close(fd);
    (void)close(open_directory(fixture));
}

static void an_empty_directory_of_ours_is_closed_to_others(void **state)
{
    static const mode_t modes[] = {0755, 0777, 0750, 0710, 0701, 0704};
    const struct fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(modes); i++) {
        CLEANUP(memory_free) char *objects = temp_dir_join(fixture->dir, "cache/objects");

        assert_int_equal(mkdir(fixture->path, 0700), 0);
        assert_int_equal(chmod(fixture->path, modes[i]), 0);
        (void)close(open_directory(fixture));
        assert_int_equal(mode_of(fixture->path), 0700);
        assert_int_equal(rmdir(objects), 0);
        assert_int_equal(rmdir(fixture->path), 0);
    }
}

static void a_cache_that_was_opened_to_others_is_closed_again(void **state)
{
    const struct fixture *fixture = *state;
    const int fd = open_directory(fixture);

    make_file(fd, ID, 10);
    (void)close(fd);
    assert_int_equal(chmod(fixture->path, 0755), 0);
    (void)close(open_directory(fixture));
    assert_int_equal(mode_of(fixture->path), 0700);
}

static void a_directory_in_use_that_others_may_enter_is_refused_and_left_alone(void **state)
{
    static const mode_t modes[] = {0755, 0770, 0707, 0710, 0701, 01777};
    const struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    temp_dir_write(fixture->dir, "cache/somebodys-file", "x", 1);
    for (size_t i = 0; i < ELEMENTS_OF(modes); i++) {
        assert_int_equal(chmod(fixture->path, modes[i]), 0);
        assert_refused(fixture->path, ERROR_DENIED);
        assert_int_equal(mode_of(fixture->path), modes[i]);
        assert_false(temp_dir_has(fixture->dir, "cache/objects"));
    }
}

/* An empty /tmp is still everybody's. */
static void a_sticky_directory_is_refused_though_empty(void **state)
{
    const struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    assert_int_equal(chmod(fixture->path, 01777), 0);
    assert_refused(fixture->path, ERROR_DENIED);
    assert_int_equal(mode_of(fixture->path), 01777);
}

static void a_directory_in_use_by_us_alone_is_taken(void **state)
{
    const struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    temp_dir_write(fixture->dir, "cache/lost+found", "x", 1);
    (void)close(open_directory(fixture));
    assert_true(temp_dir_has(fixture->dir, "cache/lost+found"));
}

/* Only root can give a directory away, so only a run as root tells; another uid owns "/" else. */
static void the_directory_of_somebody_else_is_refused(void **state)
{
    const struct fixture *fixture = *state;

    if (geteuid() != 0) {
        assert_refused("/", ERROR_DENIED);
        return;
    }
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    assert_int_equal(chown(fixture->path, 12345, 12345), 0);
    assert_refused(fixture->path, ERROR_DENIED);
}

static void what_cannot_be_a_directory_is_an_error(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(memory_free) char *below_nothing = temp_dir_join(fixture->dir, "absent/cache");
    CLEANUP(memory_free) char *file = temp_dir_join(fixture->dir, "file");

    assert_refused(below_nothing, ERROR_NOT_FOUND);
    temp_dir_write(fixture->dir, "file", "x", 1);
    assert_refused(file, ERROR_SYSTEM);
}

/* The objects directory decides where ciphertext goes: a link must not lead it elsewhere. */
static void a_link_as_objects_directory_is_refused(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(memory_free) char *objects = temp_dir_join(fixture->dir, "cache/objects");
    CLEANUP(memory_free) char *elsewhere = temp_dir_join(fixture->dir, "elsewhere");

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    assert_int_equal(mkdir(elsewhere, 0700), 0);
    assert_int_equal(symlink(elsewhere, objects), 0);
    assert_refused(fixture->path, ERROR_SYSTEM);
}

static void a_file_as_objects_directory_is_refused(void **state)
{
    const struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    temp_dir_write(fixture->dir, "cache/objects", "x", 1);
    assert_refused(fixture->path, ERROR_SYSTEM);
}

/* --- what is in it --- */

static void leftovers_of_downloads_are_removed_and_nothing_else(void **state)
{
    const struct fixture *fixture = *state;
    const int first = open_directory(fixture);
    int second;

    make_file(first, FILE_SINK_TEMPORARY_PREFIX "1", 100);
    make_file(first, FILE_SINK_TEMPORARY_PREFIX "another-one", 0);
    make_file(first, ID ".0123", 10);
    make_file(first, "x" FILE_SINK_TEMPORARY_PREFIX, 10);
    (void)close(first);
    second = open_directory(fixture);
    assert_false(has(second, FILE_SINK_TEMPORARY_PREFIX "1"));
    assert_false(has(second, FILE_SINK_TEMPORARY_PREFIX "another-one"));
    assert_true(has(second, ID ".0123"));
    assert_true(has(second, "x" FILE_SINK_TEMPORARY_PREFIX));
    (void)close(second);
}

static void a_leftover_that_is_a_link_takes_nothing_with_it(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(memory_free) char *target = temp_dir_join(fixture->dir, "target");
    int fd = open_directory(fixture);

    temp_dir_write(fixture->dir, "target", "x", 1);
    assert_int_equal(symlinkat(target, fd, FILE_SINK_TEMPORARY_PREFIX "l"), 0);
    (void)close(fd);
    fd = open_directory(fixture);
    assert_false(has(fd, FILE_SINK_TEMPORARY_PREFIX "l"));
    assert_true(temp_dir_has(fixture->dir, "target"));
    (void)close(fd);
}

static void objects_of_the_image_are_removed_and_no_other_images(void **state)
{
    const struct fixture *fixture = *state;
    const int fd = open_directory(fixture);
    static const char *const others[] = {ID, ID ".aaaa", ID ".bbbb"};
    static const char *const kept[] = {OTHER_ID, OTHER_ID ".aaaa", ID "x"};

    for (size_t i = 0; i < ELEMENTS_OF(others); i++)
        make_file(fd, others[i], 1);
    for (size_t i = 0; i < ELEMENTS_OF(kept); i++)
        make_file(fd, kept[i], 1);
    cache_directory_remove_objects(fd, ID);
    for (size_t i = 0; i < ELEMENTS_OF(others); i++)
        assert_false(has(fd, others[i]));
    for (size_t i = 0; i < ELEMENTS_OF(kept); i++)
        assert_true(has(fd, kept[i]));
    (void)close(fd);
}

static void usage_counts_objects_but_no_downloads(void **state)
{
    const struct fixture *fixture = *state;
    const int fd = open_directory(fixture);
    struct ciphertext_cache_usage usage = {.objects = 99, .stored_bytes = 99};
    struct error err = ERROR_INIT;

    assert_succeeds(cache_directory_usage(fd, &usage, &err));
    assert_int_equal(usage.objects, 0);
    assert_int_equal(usage.stored_bytes, 0);
    make_file(fd, ID, 1000);
    make_file(fd, OTHER_ID ".aa", 234);
    make_file(fd, FILE_SINK_TEMPORARY_PREFIX "1", 5000);
    assert_succeeds(cache_directory_usage(fd, &usage, &err));
    assert_int_equal(usage.objects, 2);
    assert_int_equal(usage.stored_bytes, 1234);
    /* Twice: looking must not move a position that the next look starts from. */
    assert_succeeds(cache_directory_usage(fd, &usage, &err));
    assert_int_equal(usage.objects, 2);
    (void)close(fd);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(an_absent_directory_is_made_for_us_alone),
        with_fixture(an_empty_directory_of_ours_is_closed_to_others),
        with_fixture(a_cache_that_was_opened_to_others_is_closed_again),
        with_fixture(a_directory_in_use_that_others_may_enter_is_refused_and_left_alone),
        with_fixture(a_sticky_directory_is_refused_though_empty),
        with_fixture(a_directory_in_use_by_us_alone_is_taken),
        with_fixture(the_directory_of_somebody_else_is_refused),
        with_fixture(what_cannot_be_a_directory_is_an_error),
        with_fixture(a_link_as_objects_directory_is_refused),
        with_fixture(a_file_as_objects_directory_is_refused),
        with_fixture(leftovers_of_downloads_are_removed_and_nothing_else),
        with_fixture(a_leftover_that_is_a_link_takes_nothing_with_it),
        with_fixture(objects_of_the_image_are_removed_and_no_other_images),
        with_fixture(usage_counts_objects_but_no_downloads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
