/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_directory.h"

#include "support/temp_dir.h"
#include "support/testing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

    assert_succeeds(cache_directory_open_subdirectory(fixture->path, "objects", &fd, &err));
    assert_true(fd >= 0);
    return fd;
}

static void assert_refused(const char *path, enum error_kind kind)
{
    struct error err = ERROR_INIT;
    int fd = -1;

    assert_int_equal(cache_directory_open_subdirectory(path, "objects", &fd, &err), -1);
    assert_int_equal(err.kind, kind);
    assert_message_has(path);
    assert_int_equal(fd, -1);
}

static void make_file(int fd, const char *name)
{
    CLEANUP(fd_close) int file = openat(fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(file >= 0);
}

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

    make_file(fd, "object");
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

/* Whoever only stages uploads does not open the cache's layout, which would tell. */
static void a_cache_of_another_format_is_refused_and_left_alone(void **state)
{
    static const struct {
        const char *text;
        enum error_kind kind;
    } formats[] = {{"glancefs-cache 2\n", ERROR_UNSUPPORTED}, {"damaged\n", ERROR_CORRUPT}};
    const struct fixture *fixture = *state;

    (void)close(open_directory(fixture));
    CLEANUP(memory_free) char *objects = temp_dir_join(fixture->dir, "cache/objects");
    assert_int_equal(rmdir(objects), 0);
    for (size_t i = 0; i < ELEMENTS_OF(formats); i++) {
        temp_dir_write(fixture->dir, "cache/format", formats[i].text, strlen(formats[i].text));
        assert_int_equal(chmod(fixture->path, 0755), 0);
        assert_refused(fixture->path, formats[i].kind);
        assert_int_equal(mode_of(fixture->path), 0755);
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

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(an_absent_directory_is_made_for_us_alone),
        with_fixture(an_empty_directory_of_ours_is_closed_to_others),
        with_fixture(a_cache_that_was_opened_to_others_is_closed_again),
        with_fixture(a_directory_in_use_that_others_may_enter_is_refused_and_left_alone),
        with_fixture(a_cache_of_another_format_is_refused_and_left_alone),
        with_fixture(a_sticky_directory_is_refused_though_empty),
        with_fixture(a_directory_in_use_by_us_alone_is_taken),
        with_fixture(the_directory_of_somebody_else_is_refused),
        with_fixture(what_cannot_be_a_directory_is_an_error),
        with_fixture(a_link_as_objects_directory_is_refused),
        with_fixture(a_file_as_objects_directory_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
