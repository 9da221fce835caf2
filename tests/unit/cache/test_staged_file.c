/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/staged_file.h"

#include "support/child_process.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"

static int open_dir(void **state)
{
    *state = temp_dir_new();
    return 0;
}

static int close_dir(void **state)
{
    temp_dir_free(*state);
    return 0;
}

static void write_data(struct temp_dir *dir)
{
    temp_dir_write(dir, IMAGE_ID ".data", "data", 4);
}

/* --- names --- */

static void each_file_has_its_name(void **state)
{
    static const char *const names[] = {[STAGED_PART] = IMAGE_ID ".part",
                                        [STAGED_DATA] = IMAGE_ID ".data",
                                        [STAGED_JOURNAL] = IMAGE_ID ".json",
                                        [STAGED_NEW_JOURNAL] = IMAGE_ID ".json.new"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        char name[STAGED_NAME_BYTES];
        char id[UUID_TEXT_BYTES];
        enum staged_file file;

        staged_file_name(IMAGE_ID, (enum staged_file)i, name);
        assert_string_equal(name, names[i]);
        assert_true(staged_file_recognise(name, id, &file));
        assert_string_equal(id, IMAGE_ID);
        assert_int_equal(file, i);
    }
}

static void other_names_are_not_recognised(void **state)
{
    static const char *const names[] = {".",
                                        "..",
                                        "",
                                        IMAGE_ID,
                                        IMAGE_ID ".",
                                        IMAGE_ID ".dat",
                                        IMAGE_ID ".data~",
                                        IMAGE_ID ".JSON",
                                        "x" IMAGE_ID ".data",
                                        "11111111-2222-4333-8444-55555555555G.data",
                                        "11111111-2222-4333-8444-555555555555.json.new.new"};
    char id[UUID_TEXT_BYTES];
    enum staged_file file;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        assert_false(staged_file_recognise(names[i], id, &file));
}

/* --- the lock --- */

static void one_holds_the_lock_at_a_time(void **state)
{
    struct temp_dir *dir = *state;
    struct error err = ERROR_INIT;
    int first = -1, second = -1;

    write_data(dir);
    assert_false(staged_file_is_held(temp_dir_fd(dir), IMAGE_ID));
    assert_succeeds(staged_file_lock(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA, &first, &err));
    assert_fails(ERROR_BUSY,
                 staged_file_lock(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA, &second, &err));
    assert_true(staged_file_is_held(temp_dir_fd(dir), IMAGE_ID));
    (void)close(first);
    assert_false(staged_file_is_held(temp_dir_fd(dir), IMAGE_ID));
    assert_succeeds(staged_file_lock(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA, &second, &err));
    (void)close(second);
}

/* Asking must not get into a sender's way, as a lock taken for a moment would. */
static void asking_takes_no_lock(void **state)
{
    struct temp_dir *dir = *state;
    struct error err = ERROR_INIT;

    write_data(dir);
    for (int i = 0; i < 100; i++) {
        CLEANUP(fd_close) int lock = -1;

        assert_false(staged_file_is_held(temp_dir_fd(dir), IMAGE_ID));
        assert_succeeds(staged_file_lock(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA, &lock, &err));
    }
}

static int try_lock(void *context)
{
    const struct temp_dir *dir = context;
    CLEANUP(fd_close) int fd = -1;
    struct error err = ERROR_INIT;

    if (!staged_file_is_held(temp_dir_fd(dir), IMAGE_ID))
        return 200;
    return staged_file_lock(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA, &fd, &err) < 0 ? (int)err.kind
                                                                                    : 0;
}

static void other_processes_are_excluded(void **state)
{
    struct temp_dir *dir = *state;
    CLEANUP(fd_close) int lock = -1;
    struct error err = ERROR_INIT;

    write_data(dir);
    assert_succeeds(staged_file_lock(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA, &lock, &err));
    assert_int_equal(run_in_child(try_lock, dir), ERROR_BUSY);
}

static int lock_and_die(void *context)
{
    const struct temp_dir *dir = context;
    struct error err = ERROR_INIT;
    int fd;

    return staged_file_lock(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA, &fd, &err) < 0;
}

static void the_lock_dies_with_its_holder(void **state)
{
    struct temp_dir *dir = *state;
    CLEANUP(fd_close) int lock = -1;
    struct error err = ERROR_INIT;

    write_data(dir);
    assert_int_equal(run_in_child(lock_and_die, dir), 0);
    assert_succeeds(staged_file_lock(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA, &lock, &err));
}

static void what_is_absent_or_no_file_is_not_locked(void **state)
{
    struct temp_dir *dir = *state;
    struct error err = ERROR_INIT;
    int fd;

    assert_fails(ERROR_NOT_FOUND,
                 staged_file_lock(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA, &fd, &err));
    temp_dir_write(dir, "target", "data", 4);
    assert_int_equal(symlinkat("target", temp_dir_fd(dir), IMAGE_ID ".data"), 0);
    assert_fails(ERROR_SYSTEM,
                 staged_file_lock(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA, &fd, &err));
    assert_int_equal(unlinkat(temp_dir_fd(dir), IMAGE_ID ".data", 0), 0);
    assert_int_equal(mkfifoat(temp_dir_fd(dir), IMAGE_ID ".data", 0600), 0);
    assert_fails(ERROR_INVALID,
                 staged_file_lock(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA, &fd, &err));
    assert_false(staged_file_is_held(temp_dir_fd(dir), IMAGE_ID));
}

/* --- the part file --- */

static void a_new_part_is_private_empty_and_locked(void **state)
{
    struct temp_dir *dir = *state;
    CLEANUP(fd_close) int fd = -1;
    struct error err = ERROR_INIT;
    struct stat status;
    int second;

    assert_succeeds(staged_file_create_part(temp_dir_fd(dir), IMAGE_ID, &fd, &err));
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_size, 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_fails(ERROR_BUSY, staged_file_create_part(temp_dir_fd(dir), IMAGE_ID, &second, &err));
}

static void an_abandoned_part_is_replaced(void **state)
{
    struct temp_dir *dir = *state;
    CLEANUP(fd_close) int fd = -1;
    struct error err = ERROR_INIT;
    struct stat status;

    temp_dir_write(dir, IMAGE_ID ".part", "old", 3);
    assert_succeeds(staged_file_create_part(temp_dir_fd(dir), IMAGE_ID, &fd, &err));
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, 0);
}

static void a_link_in_its_place_is_neither_followed_nor_replaced(void **state)
{
    struct temp_dir *dir = *state;
    CLEANUP(memory_free) uint8_t *kept = NULL;
    struct error err = ERROR_INIT;
    int fd;

    temp_dir_write(dir, "target", "kept", 4);
    assert_int_equal(symlinkat("target", temp_dir_fd(dir), IMAGE_ID ".part"), 0);
    assert_fails(ERROR_SYSTEM, staged_file_create_part(temp_dir_fd(dir), IMAGE_ID, &fd, &err));
    kept = temp_dir_read(dir, "target", NULL);
    assert_string_equal((char *)kept, "kept");
}

static void removing_what_is_absent_is_fine(void **state)
{
    struct temp_dir *dir = *state;
    struct error err = ERROR_INIT;

    write_data(dir);
    assert_true(staged_file_exists(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA));
    assert_succeeds(staged_file_remove(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA, &err));
    assert_false(staged_file_exists(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA));
    assert_succeeds(staged_file_remove(temp_dir_fd(dir), IMAGE_ID, STAGED_DATA, &err));
}

#define file_test(name) cmocka_unit_test_setup_teardown(name, open_dir, close_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_has_its_name),
        cmocka_unit_test(other_names_are_not_recognised),
        file_test(one_holds_the_lock_at_a_time),
        file_test(asking_takes_no_lock),
        file_test(other_processes_are_excluded),
        file_test(the_lock_dies_with_its_holder),
        file_test(what_is_absent_or_no_file_is_not_locked),
        file_test(a_new_part_is_private_empty_and_locked),
        file_test(an_abandoned_part_is_replaced),
        file_test(a_link_in_its_place_is_neither_followed_nor_replaced),
        file_test(removing_what_is_absent_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
