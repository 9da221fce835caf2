/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/object_store.h"

#include "cache/object_directory.h"
#include "cache/wall_clock.h"
#include "store_fixture.h"
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

#define OTHER_NAME "99999999-8888-4777-a666-555555555555." STORE_SHA256

int __real_openat64(int dir_fd, const char *name, int flags, ...);
int __wrap_openat64(int dir_fd, const char *name, int flags, ...);

/* The kernel lets root open everything; the tests are to find the same whoever runs them. */
int __wrap_openat64(int dir_fd, const char *name, int flags, ...)
{
    struct stat status;
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
    if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || S_ISLNK(status.st_mode) ||
        (status.st_mode & S_IRUSR) != 0)
        return __real_openat64(dir_fd, name, flags, mode);
    errno = EACCES;
    return -1;
}

static int open_object(const struct store_fixture *fixture, int *ret_fd, struct error *err)
{
    return object_store_open(fixture->layout, STORE_NAME, STORE_NOW_NS, ret_fd, NULL, err);
}

static void assert_damaged(const struct store_fixture *fixture)
{
    struct error err = ERROR_INIT;
    int fd = -1;

    assert_fails(ERROR_CORRUPT, open_object(fixture, &fd, &err));
    assert_message_has(STORE_NAME);
    assert_int_equal(fd, -1);
}

static struct stat status_of(const struct store_fixture *fixture, enum cache_place place,
                             const char *file)
{
    CLEANUP(memory_free) char *path = store_path(fixture, place, STORE_NAME, file);
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    return status;
}

/* --- complete objects --- */

static void a_published_object_is_read(void **state)
{
    const struct store_fixture *fixture = *state;
    struct object_metadata metadata;
    struct error err = ERROR_INIT;

    store_publish(fixture);
    assert_store_object_is_right(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_OBJECTS), 1);
    assert_int_equal(store_count(fixture, CACHE_PLACE_PARTIAL), 0);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
    assert_succeeds(object_store_read_metadata(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME,
                                               &metadata, &err));
    assert_int_equal(metadata.fetched_at, STORE_NOW);
    assert_int_equal(metadata.size, STORE_SIZE);
}

static void all_of_it_is_for_us_alone(void **state)
{
    const struct store_fixture *fixture = *state;
    const mode_t before = umask(0);

    store_publish(fixture);
    (void)umask(before);
    assert_int_equal(status_of(fixture, CACHE_PLACE_OBJECTS, NULL).st_mode & ALLPERMS, 0700);
    assert_int_equal(status_of(fixture, CACHE_PLACE_OBJECTS, "data").st_mode & ALLPERMS, 0600);
    assert_int_equal(status_of(fixture, CACHE_PLACE_OBJECTS, "meta.json").st_mode & ALLPERMS, 0600);
}

static void what_was_never_fetched_is_not_found(void **state)
{
    const struct store_fixture *fixture = *state;
    struct object_metadata metadata;
    struct error err = ERROR_INIT;
    int fd = -1;

    assert_fails(ERROR_NOT_FOUND, open_object(fixture, &fd, &err));
    assert_false(object_store_has(fixture->layout, &fixture->metadata));
    assert_fails(ERROR_NOT_FOUND, object_store_read_metadata(fixture->layout, CACHE_PLACE_OBJECTS,
                                                             STORE_NAME, &metadata, &err));
    assert_fails(ERROR_NOT_FOUND,
                 object_store_discard(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME, &err));
    assert_fails(ERROR_NOT_FOUND,
                 object_store_quarantine(fixture->layout, STORE_NAME, 0, NULL, &err));
    assert_false(object_store_is_in_use(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME));
}

static int64_t last_use(const struct store_fixture *fixture)
{
    const struct stat status = status_of(fixture, CACHE_PLACE_OBJECTS, "meta.json");

    return wall_clock_from_file(&status.st_mtim);
}

/* Also back, when the clock went back: who judges takes what is after now for now. */
static void the_last_use_is_the_time_of_the_metadata(void **state)
{
    static const int64_t times[] = {SECONDS(STORE_NOW + 1000), STORE_NOW_NS - 1, SECONDS(1) - 1,
                                    -1};
    const struct store_fixture *fixture = *state;

    store_publish(fixture);
    assert_int_equal(last_use(fixture), STORE_NOW_NS);
    for (size_t i = 0; i < ELEMENTS_OF(times); i++) {
        CLEANUP(fd_close) int fd = -1;
        struct error err = ERROR_INIT;

        assert_succeeds(object_store_open(fixture->layout, STORE_NAME, times[i], &fd, NULL, &err));
        assert_int_equal(last_use(fixture), times[i]);
        assert_store_object_is_right(fixture);
    }
}

static void an_object_that_is_only_inspected_is_not_used(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(fd_close) int fd = -1;
    struct object_metadata metadata;
    struct error err = ERROR_INIT;

    store_publish(fixture);
    assert_succeeds(object_store_inspect(fixture->layout, STORE_NAME, &fd, &metadata, &err));
    assert_int_equal(metadata.size, STORE_SIZE);
    assert_true(object_store_is_in_use(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME));
    assert_int_equal(last_use(fixture), STORE_NOW_NS);
}

static void an_object_of_unknown_size_has_one_when_it_is_complete(void **state)
{
    struct store_fixture *fixture = *state;
    struct object_metadata metadata;
    struct error err = ERROR_INIT;

    fixture->metadata.size = OBJECT_SIZE_UNKNOWN;
    store_publish(fixture);
    assert_true(object_store_has(fixture->layout, &fixture->metadata));
    assert_succeeds(object_store_read_metadata(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME,
                                               &metadata, &err));
    assert_int_equal(metadata.size, STORE_SIZE);
}

static void an_empty_object_is_an_object(void **state)
{
    struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    CLEANUP(fd_close) int fd = -1;
    struct error err = ERROR_INIT;

    fixture->metadata.size = 0;
    assert_succeeds(
        object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
    assert_succeeds(object_store_grant(partial, &fixture->metadata, &err));
    assert_succeeds(object_store_publish(fixture->layout, partial, &fixture->metadata, STORE_NOW_NS,
                                         NULL, &err));
    assert_succeeds(open_object(fixture, &fd, &err));
}

/* --- damage --- */

static void data_of_another_size_are_damage(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *data = store_path(fixture, CACHE_PLACE_OBJECTS, STORE_NAME, "data");

    store_publish(fixture);
    assert_int_equal(truncate(data, STORE_SIZE - 1), 0);
    assert_damaged(fixture);
    assert_false(object_store_has(fixture->layout, &fixture->metadata));
    assert_int_equal(truncate(data, STORE_SIZE + 1), 0);
    assert_damaged(fixture);
    assert_int_equal(unlink(data), 0);
    assert_damaged(fixture);
    assert_false(object_store_has(fixture->layout, &fixture->metadata));
}

static void metadata_that_are_not_right_are_damage(void **state)
{
    static const char *const texts[] = {"", "{}", "{\"version\": 2}\n", "not json"};
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free)
    char *metadata = store_path(fixture, CACHE_PLACE_OBJECTS, STORE_NAME, "meta.json");

    store_publish(fixture);
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        CLEANUP(file_close) FILE *file = fopen(metadata, "w");

        assert_non_null(file);
        assert_true(fputs(texts[i], file) >= 0);
        assert_int_equal(fflush(file), 0);
        assert_damaged(fixture);
    }
    assert_int_equal(unlink(metadata), 0);
    assert_damaged(fixture);
}

static void metadata_of_a_download_are_damage_in_an_object(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *partial = store_path(fixture, CACHE_PLACE_PARTIAL, STORE_NAME, NULL);
    CLEANUP(memory_free) char *object = store_path(fixture, CACHE_PLACE_OBJECTS, STORE_NAME, NULL);

    store_leave_partial(fixture, STORE_SIZE);
    assert_int_equal(rename(partial, object), 0);
    assert_damaged(fixture);
}

static void another_objects_files_are_damage(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *own = store_path(fixture, CACHE_PLACE_OBJECTS, STORE_NAME, NULL);
    CLEANUP(memory_free) char *other = store_path(fixture, CACHE_PLACE_OBJECTS, OTHER_NAME, NULL);
    struct error err = ERROR_INIT;
    int fd = -1;

    store_publish(fixture);
    assert_int_equal(rename(own, other), 0);
    assert_fails(ERROR_CORRUPT,
                 object_store_open(fixture->layout, OTHER_NAME, STORE_NOW_NS, &fd, NULL, &err));
}

/* Replaces `path` by a link to a copy of it outside of the cache. */
static void make_it_a_link(const struct store_fixture *fixture, const char *path)
{
    CLEANUP(memory_free) char *target = temp_dir_join(fixture->dir, "target");

    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink(target, path), 0);
}

static void undo_the_link(const struct store_fixture *fixture, const char *path)
{
    CLEANUP(memory_free) char *target = temp_dir_join(fixture->dir, "target");

    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(target, path), 0);
}

static void data_that_chmod_closed_to_us_are_read(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free)
    char *path = store_path(fixture, CACHE_PLACE_OBJECTS, STORE_NAME, OBJECT_DATA);

    store_publish(fixture);
    assert_int_equal(chmod(path, 0), 0);
    assert_store_object_is_right(fixture);
    assert_int_equal(status_of(fixture, CACHE_PLACE_OBJECTS, "data").st_mode & ALLPERMS, 0600);
}

static void data_that_chmod_closed_to_us_are_discarded(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free)
    char *path = store_path(fixture, CACHE_PLACE_OBJECTS, STORE_NAME, OBJECT_DATA);
    struct error err = ERROR_INIT;

    store_publish(fixture);
    assert_int_equal(chmod(path, 0), 0);
    assert_succeeds(object_store_discard(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME, &err));
    assert_int_equal(store_count(fixture, CACHE_PLACE_OBJECTS), 0);
}

static void metadata_that_are_closed_to_us_are_damage(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free)
    char *path = store_path(fixture, CACHE_PLACE_OBJECTS, STORE_NAME, OBJECT_METADATA);
    struct error err = ERROR_INIT;

    store_publish(fixture);
    assert_int_equal(chmod(path, 0), 0);
    assert_damaged(fixture);
    assert_succeeds(object_store_quarantine_damaged(fixture->layout, STORE_NAME, NULL, &err));
}

static void links_are_not_followed(void **state)
{
    static const char *const files[] = {NULL, "data", "meta.json"};
    const struct store_fixture *fixture = *state;

    store_publish(fixture);
    for (size_t i = 0; i < ELEMENTS_OF(files); i++) {
        CLEANUP(memory_free)
        char *path = store_path(fixture, CACHE_PLACE_OBJECTS, STORE_NAME, files[i]);

        make_it_a_link(fixture, path);
        assert_damaged(fixture);
        assert_false(object_store_has(fixture->layout, &fixture->metadata));
        undo_the_link(fixture, path);
        assert_store_object_is_right(fixture);
    }
}

/* Neither hangs who opens it, nor may it be read. */
static void what_is_no_file_is_damage(void **state)
{
    static const char *const files[] = {"data", "meta.json"};
    const struct store_fixture *fixture = *state;

    store_publish(fixture);
    for (size_t i = 0; i < ELEMENTS_OF(files); i++) {
        CLEANUP(memory_free)
        char *path = store_path(fixture, CACHE_PLACE_OBJECTS, STORE_NAME, files[i]);

        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_damaged(fixture);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_damaged(fixture);
        assert_int_equal(rmdir(path), 0);
        object_store_empty_trash(fixture->layout);
        {
            struct error err = ERROR_INIT;

            assert_succeeds(object_store_quarantine(fixture->layout, STORE_NAME, 0, NULL, &err));
        }
        store_publish(fixture);
    }
}

/* --- removal --- */

static void what_is_discarded_is_gone_and_its_data_are_removed_later(void **state)
{
    const struct store_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    int fd = -1;

    store_publish(fixture);
    assert_succeeds(object_store_discard(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME, &err));
    assert_fails(ERROR_NOT_FOUND, open_object(fixture, &fd, &err));
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 1);
    object_store_empty_trash(fixture->layout);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
    store_publish(fixture);
    assert_store_object_is_right(fixture);
}

static void what_is_in_use_is_not_discarded(void **state)
{
    const struct store_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    int first = -1;
    int second = -1;

    store_publish(fixture);
    assert_succeeds(open_object(fixture, &first, &err));
    assert_succeeds(open_object(fixture, &second, &err));
    for (int reader = 0; reader < 2; reader++) {
        assert_true(object_store_is_in_use(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME));
        assert_fails(ERROR_BUSY,
                     object_store_discard(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME, &err));
        assert_store_object_is_right(fixture);
        (void)close(reader == 0 ? first : second);
    }
    assert_false(object_store_is_in_use(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME));
    assert_succeeds(object_store_discard(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME, &err));
}

static void a_download_in_hand_is_not_discarded(void **state)
{
    const struct store_fixture *fixture = *state;
    struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(
        object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
    assert_true(object_store_is_in_use(fixture->layout, CACHE_PLACE_PARTIAL, STORE_NAME));
    assert_fails(ERROR_BUSY,
                 object_store_discard(fixture->layout, CACHE_PLACE_PARTIAL, STORE_NAME, &err));
    partial_object_free(partial);
    assert_false(object_store_is_in_use(fixture->layout, CACHE_PLACE_PARTIAL, STORE_NAME));
    assert_succeeds(object_store_discard(fixture->layout, CACHE_PLACE_PARTIAL, STORE_NAME, &err));
}

static void what_has_no_data_or_is_no_directory_is_discarded(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = store_path(fixture, CACHE_PLACE_OBJECTS, STORE_NAME, NULL);
    CLEANUP(memory_free) char *target = temp_dir_join(fixture->dir, "target");
    struct error err = ERROR_INIT;

    temp_dir_write(fixture->dir, "target", "x", 1);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_succeeds(object_store_discard(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME, &err));
    assert_int_equal(symlink(target, path), 0);
    assert_succeeds(object_store_discard(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME, &err));
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_succeeds(object_store_discard(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME, &err));
    object_store_empty_trash(fixture->layout);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
    assert_true(temp_dir_has(fixture->dir, "target"));
}

/* --- quarantine --- */

static uint64_t inode_of_data(const struct store_fixture *fixture, enum cache_place place)
{
    return status_of(fixture, place, "data").st_ino;
}

static void what_is_set_aside_is_kept_but_not_served(void **state)
{
    const struct store_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    uint64_t inode;
    int fd = -1;

    store_publish(fixture);
    inode = inode_of_data(fixture, CACHE_PLACE_OBJECTS);
    assert_succeeds(object_store_quarantine(fixture->layout, STORE_NAME, inode, NULL, &err));
    assert_fails(ERROR_NOT_FOUND, open_object(fixture, &fd, &err));
    assert_int_equal(inode_of_data(fixture, CACHE_PLACE_QUARANTINE), inode);
    assert_int_equal(store_count(fixture, CACHE_PLACE_OBJECTS), 0);
}

static void an_object_that_is_open_is_set_aside(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(fd_close) int fd = -1;
    struct error err = ERROR_INIT;
    char byte;

    store_publish(fixture);
    assert_succeeds(open_object(fixture, &fd, &err));
    assert_succeeds(object_store_quarantine(
        fixture->layout, STORE_NAME, inode_of_data(fixture, CACHE_PLACE_OBJECTS), NULL, &err));
    assert_int_equal(pread(fd, &byte, 1, 0), 1);
    store_publish(fixture);
    assert_store_object_is_right(fixture);
}

static void another_inode_is_not_set_aside(void **state)
{
    const struct store_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    uint64_t inode;

    store_publish(fixture);
    inode = inode_of_data(fixture, CACHE_PLACE_OBJECTS);
    assert_fails(ERROR_NOT_FOUND,
                 object_store_quarantine(fixture->layout, STORE_NAME, inode + 1, NULL, &err));
    assert_store_object_is_right(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_QUARANTINE), 0);
}

/* Who met damage comes late: somebody has set it aside and fetched it anew. */
static void what_is_sound_by_now_is_not_set_aside_as_damaged(void **state)
{
    const struct store_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    store_publish(fixture);
    temp_dir_write(fixture->dir, "cache/objects/" STORE_NAME "/data", "x", 1);
    assert_succeeds(object_store_quarantine_damaged(fixture->layout, STORE_NAME, NULL, &err));
    assert_fails(ERROR_NOT_FOUND,
                 object_store_quarantine_damaged(fixture->layout, STORE_NAME, NULL, &err));
    store_publish(fixture);
    assert_fails(ERROR_NOT_FOUND,
                 object_store_quarantine_damaged(fixture->layout, STORE_NAME, NULL, &err));
    assert_store_object_is_right(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_QUARANTINE), 1);
}

static void one_object_of_a_name_is_kept_aside(void **state)
{
    const struct store_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    uint64_t second;

    store_publish(fixture);
    assert_succeeds(object_store_quarantine(fixture->layout, STORE_NAME, 0, NULL, &err));
    store_publish(fixture);
    second = inode_of_data(fixture, CACHE_PLACE_OBJECTS);
    assert_succeeds(object_store_quarantine(fixture->layout, STORE_NAME, 0, NULL, &err));
    assert_int_equal(store_count(fixture, CACHE_PLACE_QUARANTINE), 1);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
    assert_int_equal(inode_of_data(fixture, CACHE_PLACE_QUARANTINE), second);
}

static void what_is_no_directory_is_set_aside(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = store_path(fixture, CACHE_PLACE_OBJECTS, STORE_NAME, NULL);
    struct error err = ERROR_INIT;

    assert_int_equal(symlink("/nowhere", path), 0);
    assert_damaged(fixture);
    assert_succeeds(object_store_quarantine(fixture->layout, STORE_NAME, 0, NULL, &err));
    store_publish(fixture);
    assert_store_object_is_right(fixture);
}

/* --- trash --- */

static void the_trash_takes_whatever_is_in_it_and_follows_no_link(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *link = store_path(fixture, CACHE_PLACE_TRASH, "link", NULL);
    CLEANUP(memory_free) char *outside = temp_dir_join(fixture->dir, "outside");
    CLEANUP(memory_free) char *directory = store_path(fixture, CACHE_PLACE_TRASH, "1", NULL);
    CLEANUP(memory_free) char *inner = store_path(fixture, CACHE_PLACE_TRASH, "1", "empty");

    assert_int_equal(mkdir(outside, 0700), 0);
    temp_dir_write(fixture->dir, "outside/file", "x", 1);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(mkdir(directory, 0700), 0);
    assert_int_equal(mkdir(inner, 0700), 0);
    temp_dir_write(fixture->dir, "cache/trash/1/data", "x", 1);
    temp_dir_write(fixture->dir, "cache/trash/1/.glancefs-tmp-1", "x", 1);
    temp_dir_write(fixture->dir, "cache/trash/file", "x", 1);
    object_store_empty_trash(fixture->layout);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
    assert_true(temp_dir_has(fixture->dir, "outside/file"));
}

static void the_trash_takes_directories_in_directories(void **state)
{
    const struct store_fixture *fixture = *state;
    static const char *const directories[] = {"1", "1/2", "1/2/3", "1/2/3/4"};
    CLEANUP(memory_free) char *link = store_path(fixture, CACHE_PLACE_TRASH, "1/2/3", "link");
    CLEANUP(memory_free) char *outside = temp_dir_join(fixture->dir, "outside");

    assert_int_equal(mkdir(outside, 0700), 0);
    temp_dir_write(fixture->dir, "outside/file", "x", 1);
    for (size_t i = 0; i < ELEMENTS_OF(directories); i++) {
        CLEANUP(memory_free)
        char *path = store_path(fixture, CACHE_PLACE_TRASH, directories[i], NULL);

        assert_int_equal(mkdir(path, 0700), 0);
    }
    temp_dir_write(fixture->dir, "cache/trash/1/2/3/4/data", "x", 1);
    assert_int_equal(symlink(outside, link), 0);
    object_store_empty_trash(fixture->layout);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
    assert_true(temp_dir_has(fixture->dir, "outside/file"));
}

#define store_test(name)                                                                           \
    cmocka_unit_test_setup_teardown(name, open_store_fixture, close_store_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_published_object_is_read),
        store_test(all_of_it_is_for_us_alone),
        store_test(what_was_never_fetched_is_not_found),
        store_test(the_last_use_is_the_time_of_the_metadata),
        store_test(an_object_that_is_only_inspected_is_not_used),
        store_test(an_object_of_unknown_size_has_one_when_it_is_complete),
        store_test(an_empty_object_is_an_object),
        store_test(data_of_another_size_are_damage),
        store_test(metadata_that_are_not_right_are_damage),
        store_test(metadata_of_a_download_are_damage_in_an_object),
        store_test(another_objects_files_are_damage),
        store_test(data_that_chmod_closed_to_us_are_read),
        store_test(data_that_chmod_closed_to_us_are_discarded),
        store_test(metadata_that_are_closed_to_us_are_damage),
        store_test(links_are_not_followed),
        store_test(what_is_no_file_is_damage),
        store_test(what_is_discarded_is_gone_and_its_data_are_removed_later),
        store_test(what_is_in_use_is_not_discarded),
        store_test(a_download_in_hand_is_not_discarded),
        store_test(what_has_no_data_or_is_no_directory_is_discarded),
        store_test(what_is_set_aside_is_kept_but_not_served),
        store_test(an_object_that_is_open_is_set_aside),
        store_test(another_inode_is_not_set_aside),
        store_test(what_is_sound_by_now_is_not_set_aside_as_damaged),
        store_test(one_object_of_a_name_is_kept_aside),
        store_test(what_is_no_directory_is_set_aside),
        store_test(the_trash_takes_whatever_is_in_it_and_follows_no_link),
        store_test(the_trash_takes_directories_in_directories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
