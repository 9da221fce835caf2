/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/staging_directory.h"

#include "cache/staged_file.h"
#include "support/child_process.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define OTHER_ID "99999999-8888-4777-a666-555555555555"
#define BYTES "the whole ciphertext"
#define SIZE (sizeof BYTES - 1)

/* --- the system calls that change the directory, one step each --- */

enum mishap { MISHAP_NONE, MISHAP_KILL, MISHAP_FAILURE };

/* Exit status of a child that was "killed". */
#define KILLED 99

static enum mishap mishap;
static int steps_before_mishap = INT_MAX;
static bool writes_part_after_rename; /* the next rename; as another writer would */

/* True when this call is to fail. The kill comes before the call is carried out. */
static bool step_fails(void)
{
    if (steps_before_mishap-- > 0 || mishap == MISHAP_NONE)
        return false;
    if (mishap == MISHAP_KILL)
        _exit(KILLED);
    mishap = MISHAP_NONE;
    errno = ENOSPC;
    return true;
}

int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __real_renameat(int old_dir_fd, const char *old_name, int new_dir_fd, const char *new_name);
int __real_unlinkat(int dir_fd, const char *name, int flags);
ssize_t __real_write(int fd, const void *bytes, size_t size);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_renameat(int old_dir_fd, const char *old_name, int new_dir_fd, const char *new_name);
int __wrap_unlinkat(int dir_fd, const char *name, int flags);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);

int __wrap_fdatasync(int fd)
{
    return step_fails() ? -1 : __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
    return step_fails() ? -1 : __real_fsync(fd);
}

int __wrap_renameat(int old_dir_fd, const char *old_name, int new_dir_fd, const char *new_name)
{
    const int result =
        step_fails() ? -1 : __real_renameat(old_dir_fd, old_name, new_dir_fd, new_name);

    if (writes_part_after_rename) {
        writes_part_after_rename = false;
        (void)close(openat(old_dir_fd, IMAGE_ID ".part", O_WRONLY | O_CREAT | O_EXCL, 0600));
    }
    return result;
}

int __wrap_unlinkat(int dir_fd, const char *name, int flags)
{
    return step_fails() ? -1 : __real_unlinkat(dir_fd, name, flags);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    return step_fails() ? -1 : __real_write(fd, bytes, size);
}

static void arm(enum mishap what, int steps)
{
    mishap = what;
    steps_before_mishap = steps;
}

static void disarm(void)
{
    arm(MISHAP_NONE, INT_MAX);
}

/* --- the directory of a test --- */

struct fixture {
    struct temp_dir *dir;
    char *path;
    int fd;
};

static int open_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct error err = ERROR_INIT;

    if (fixture == NULL)
        return -1;
    fixture->dir = temp_dir_new();
    fixture->path = temp_dir_join(fixture->dir, "cache");
    *state = fixture;
    return staging_directory_open(fixture->path, &fixture->fd, &err);
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;

    disarm();
    (void)close(fixture->fd);
    temp_dir_free(fixture->dir);
    free(fixture->path);
    free(fixture);
    return 0;
}

/* What the next start does. */
static void purge(const struct fixture *fixture)
{
    CLEANUP(fd_close) int fd = -1;
    struct error err = ERROR_INIT;

    assert_succeeds(staging_directory_open(fixture->path, &fd, &err));
}

static bool has(const struct fixture *fixture, enum staged_file file)
{
    return staged_file_exists(fixture->fd, IMAGE_ID, file);
}

static bool is_empty(const struct fixture *fixture)
{
    return !has(fixture, STAGED_PART) && !has(fixture, STAGED_DATA) &&
           !has(fixture, STAGED_JOURNAL) && !has(fixture, STAGED_NEW_JOURNAL);
}

static int make_journal(const char *id, struct upload_journal **ret, struct error *err)
{
    if (upload_journal_new(id, "local:/srv/cloud", "", ret, err) < 0)
        return -1;
    (*ret)->stored_bytes = SIZE;
    memset((*ret)->sha512, '5', sizeof(*ret)->sha512 - 1);
    memset((*ret)->md5, 'd', sizeof(*ret)->md5 - 1);
    return 0;
}

/* Begins, writes and seals; steps count from the seal on. */
static int write_and_seal(const struct fixture *fixture, enum mishap what, int steps,
                          struct error *err)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
    CLEANUP(fd_close) int fd = -1;

    if (make_journal(IMAGE_ID, &journal, err) < 0 ||
        staging_directory_begin(fixture->fd, IMAGE_ID, &fd, err) < 0 ||
        write(fd, BYTES, SIZE) != (ssize_t)SIZE)
        return -1;
    arm(what, steps);
    return staging_directory_seal(fixture->fd, fd, journal, err);
}

static void seal(const struct fixture *fixture)
{
    struct error err = ERROR_INIT;

    assert_succeeds(write_and_seal(fixture, MISHAP_NONE, INT_MAX, &err));
}

/* The journal is there, sound, and stands over all of the bytes. */
static void assert_sealed(const struct fixture *fixture)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
    CLEANUP(memory_free)
    uint8_t *bytes = temp_dir_read(fixture->dir, "cache/staging/" IMAGE_ID ".data", NULL);
    struct error err = ERROR_INIT;

    assert_succeeds(staging_directory_read_journal(fixture->fd, IMAGE_ID, &journal, &err));
    assert_string_equal((char *)bytes, BYTES);
    assert_int_equal(journal->stored_bytes, SIZE);
    assert_false(has(fixture, STAGED_PART));
    assert_false(has(fixture, STAGED_NEW_JOURNAL));
}

/* --- life --- */

static void the_directory_is_private(void **state)
{
    const struct fixture *fixture = *state;
    struct stat status;

    assert_int_equal(fstat(fixture->fd, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
}

static void a_sealed_upload_is_data_and_journal(void **state)
{
    const struct fixture *fixture = *state;
    struct stat status;

    seal(fixture);
    assert_sealed(fixture);
    assert_int_equal(fstatat(fixture->fd, IMAGE_ID ".json", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    purge(fixture);
    assert_sealed(fixture);
}

static void removal_leaves_nothing(void **state)
{
    const struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    seal(fixture);
    assert_succeeds(staging_directory_remove(fixture->fd, IMAGE_ID, &err));
    assert_true(is_empty(fixture));
    assert_succeeds(staging_directory_remove(fixture->fd, IMAGE_ID, &err));
}

static void a_journal_is_replaced_whole(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
    CLEANUP(upload_journal_free) struct upload_journal *read_back = NULL;
    struct error err = ERROR_INIT;

    seal(fixture);
    assert_succeeds(make_journal(IMAGE_ID, &journal, &err));
    journal->attempts = 7;
    assert_succeeds(staging_directory_write_journal(fixture->fd, journal, &err));
    assert_succeeds(staging_directory_read_journal(fixture->fd, IMAGE_ID, &read_back, &err));
    assert_int_equal(read_back->attempts, 7);
    assert_sealed(fixture);
}

/* --- a kill or a failure at each step --- */

struct killed_work {
    const struct fixture *fixture;
    int (*work)(const struct fixture *fixture, int steps, struct error *err);
    int steps;
};

static int work_until_killed(void *context)
{
    const struct killed_work *killed = context;
    struct error err = ERROR_INIT;

    return killed->work(killed->fixture, killed->steps, &err) < 0 ? 1 : 0;
}

static int seal_killed(const struct fixture *fixture, int steps, struct error *err)
{
    return write_and_seal(fixture, MISHAP_KILL, steps, err);
}

static int rewrite_killed(const struct fixture *fixture, int steps, struct error *err)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;

    if (make_journal(IMAGE_ID, &journal, err) < 0)
        return -1;
    journal->attempts = 7;
    arm(MISHAP_KILL, steps);
    return staging_directory_write_journal(fixture->fd, journal, err);
}

static int remove_killed(const struct fixture *fixture, int steps, struct error *err)
{
    arm(MISHAP_KILL, steps);
    return staging_directory_remove(fixture->fd, IMAGE_ID, err);
}

/* True while the work was killed: there may be one more step. */
static bool is_killed_at(const struct fixture *fixture, int steps,
                         int (*work)(const struct fixture *, int, struct error *))
{
    struct killed_work killed = {fixture, work, steps};
    const int status = run_in_child(work_until_killed, &killed);

    assert_true(status == KILLED || status == 0);
    return status == KILLED;
}

static void killed_at_any_step_a_seal_is_whole_or_nothing(void **state)
{
    const struct fixture *fixture = *state;
    int sealed = 0, steps = 0;
    bool was_killed;

    do {
        struct error err = ERROR_INIT;

        was_killed = is_killed_at(fixture, steps++, seal_killed);
        purge(fixture);
        if (has(fixture, STAGED_JOURNAL)) {
            assert_sealed(fixture);
            sealed++;
        } else {
            assert_true(is_empty(fixture));
            assert_int_equal(sealed, 0);
        }
        assert_succeeds(staging_directory_remove(fixture->fd, IMAGE_ID, &err));
    } while (was_killed);
    assert_int_equal(steps, 9);
    assert_int_equal(sealed, 2); /* killed before the last fsync, and not at all */
}

static void killed_at_any_step_a_journal_is_the_old_one_or_the_new_one(void **state)
{
    const struct fixture *fixture = *state;
    int steps = 0;
    bool was_killed;

    seal(fixture);
    do {
        CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
        struct error err = ERROR_INIT;

        was_killed = is_killed_at(fixture, steps++, rewrite_killed);
        purge(fixture);
        assert_sealed(fixture);
        assert_succeeds(staging_directory_read_journal(fixture->fd, IMAGE_ID, &journal, &err));
        assert_int_equal(journal->attempts, steps < 5 ? 0 : 7);
    } while (was_killed);
    assert_int_equal(steps, 6);
}

static void killed_at_any_step_a_removal_leaves_all_or_nothing(void **state)
{
    const struct fixture *fixture = *state;
    int steps = 0, kept = 0;
    bool was_killed;

    do {
        seal(fixture);
        was_killed = is_killed_at(fixture, steps++, remove_killed);
        purge(fixture);
        kept += has(fixture, STAGED_JOURNAL);
        if (has(fixture, STAGED_JOURNAL)) {
            struct error err = ERROR_INIT;

            assert_sealed(fixture);
            assert_succeeds(staging_directory_remove(fixture->fd, IMAGE_ID, &err));
        }
        assert_true(is_empty(fixture));
    } while (was_killed);
    assert_int_equal(steps, 5);
    assert_int_equal(kept, 2);
}

static void a_seal_that_fails_at_any_step_is_no_seal(void **state)
{
    const struct fixture *fixture = *state;

    for (int steps = 0; steps < 8; steps++) {
        struct error err = ERROR_INIT;

        assert_fails(ERROR_NO_SPACE, write_and_seal(fixture, MISHAP_FAILURE, steps, &err));
        disarm();
        assert_true(is_empty(fixture));
    }
    seal(fixture);
    assert_sealed(fixture);
}

static void a_journal_that_cannot_be_replaced_stays(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
    struct error err = ERROR_INIT;

    seal(fixture);
    assert_succeeds(make_journal(IMAGE_ID, &journal, &err));
    journal->attempts = 7;
    for (int steps = 0; steps < 5; steps++) {
        arm(MISHAP_FAILURE, steps);
        assert_fails(ERROR_NO_SPACE, staging_directory_write_journal(fixture->fd, journal, &err));
        disarm();
        assert_sealed(fixture);
    }
}

static void a_removal_that_fails_can_be_repeated(void **state)
{
    const struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    for (int steps = 0; steps < 4; steps++) {
        seal(fixture);
        arm(MISHAP_FAILURE, steps);
        assert_fails(ERROR_NO_SPACE, staging_directory_remove(fixture->fd, IMAGE_ID, &err));
        disarm();
        assert_true(has(fixture, STAGED_DATA));
        assert_succeeds(staging_directory_remove(fixture->fd, IMAGE_ID, &err));
        assert_true(is_empty(fixture));
    }
}

/* --- who may begin --- */

static void nobody_begins_over_a_sealed_upload(void **state)
{
    const struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    int fd;

    seal(fixture);
    assert_fails(ERROR_EXISTS, staging_directory_begin(fixture->fd, IMAGE_ID, &fd, &err));
    assert_sealed(fixture);
}

/* Somebody is between the rename and the journal. */
static void nobody_begins_while_another_one_is_sealing(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(fd_close) int sealing = -1;
    struct error err = ERROR_INIT;
    int fd;

    assert_succeeds(staging_directory_begin(fixture->fd, IMAGE_ID, &sealing, &err));
    assert_int_equal(renameat(fixture->fd, IMAGE_ID ".part", fixture->fd, IMAGE_ID ".data"), 0);
    assert_fails(ERROR_BUSY, staging_directory_begin(fixture->fd, IMAGE_ID, &fd, &err));
    purge(fixture);
    assert_true(has(fixture, STAGED_DATA));
    assert_false(has(fixture, STAGED_PART));
}

static void what_a_dead_sealer_left_is_in_nobodys_way(void **state)
{
    const struct fixture *fixture = *state;

    temp_dir_write(fixture->dir, "cache/staging/" IMAGE_ID ".data", "old", 3);
    temp_dir_write(fixture->dir, "cache/staging/" IMAGE_ID ".json.new", "{", 1);
    seal(fixture);
    assert_sealed(fixture);
}

/* It came past its first look before the rename, and makes its .part right after it. */
static void a_failed_seal_leaves_another_writers_part_alone(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
    CLEANUP(fd_close) int first = -1;
    struct error err = ERROR_INIT;

    assert_succeeds(make_journal(IMAGE_ID, &journal, &err));
    journal->cloud[0] = '\xff'; /* cannot be printed */
    assert_succeeds(staging_directory_begin(fixture->fd, IMAGE_ID, &first, &err));
    writes_part_after_rename = true;
    assert_fails(ERROR_INVALID, staging_directory_seal(fixture->fd, first, journal, &err));
    assert_false(writes_part_after_rename);
    assert_true(has(fixture, STAGED_PART));
    assert_false(has(fixture, STAGED_DATA));
}

/* --- purge and list --- */

static void the_purge_takes_only_what_is_ours_and_abandoned(void **state)
{
    static const char *const kept[] = {
        "cache/staging/README", "cache/staging/.hidden", "cache/staging/" OTHER_ID ".json",
        "cache/staging/" OTHER_ID ".data", "cache/staging/" IMAGE_ID ".json"};
    static const char *const purged[] = {"cache/staging/" IMAGE_ID ".part",
                                         "cache/staging/00000000-0000-4000-8000-000000000001.data",
                                         "cache/staging/00000000-0000-4000-8000-000000000002.part"};
    const struct fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(kept); i++)
        temp_dir_write(fixture->dir, kept[i], "x", 1);
    for (size_t i = 0; i < ELEMENTS_OF(purged); i++)
        temp_dir_write(fixture->dir, purged[i], "x", 1);
    purge(fixture);
    for (size_t i = 0; i < ELEMENTS_OF(kept); i++)
        assert_true(temp_dir_has(fixture->dir, kept[i]));
    for (size_t i = 0; i < ELEMENTS_OF(purged); i++)
        assert_false(temp_dir_has(fixture->dir, purged[i]));
}

static void journals_are_listed_whatever_is_in_them(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(memory_free) char(*ids)[UUID_TEXT_BYTES] = NULL;
    struct error err = ERROR_INIT;
    size_t count = 9;

    assert_succeeds(staging_directory_list(fixture->fd, &ids, &count, &err));
    assert_int_equal(count, 0);
    temp_dir_write(fixture->dir, "cache/staging/" OTHER_ID ".json", "x", 1);
    temp_dir_write(fixture->dir, "cache/staging/" IMAGE_ID ".data", "x", 1);
    temp_dir_write(fixture->dir, "cache/staging/nonsense.json", "x", 1);
    assert_succeeds(staging_directory_list(fixture->fd, &ids, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(ids[0], OTHER_ID);
}

static void a_journal_that_is_no_file_is_damaged(void **state)
{
    const struct fixture *fixture = *state;
    struct upload_journal *journal = NULL;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_NOT_FOUND,
                 staging_directory_read_journal(fixture->fd, IMAGE_ID, &journal, &err));
    assert_int_equal(mkfifoat(fixture->fd, IMAGE_ID ".json", 0600), 0);
    assert_fails(ERROR_CORRUPT,
                 staging_directory_read_journal(fixture->fd, IMAGE_ID, &journal, &err));
}

#define staging_test(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        staging_test(the_directory_is_private),
        staging_test(a_sealed_upload_is_data_and_journal),
        staging_test(removal_leaves_nothing),
        staging_test(a_journal_is_replaced_whole),
        staging_test(killed_at_any_step_a_seal_is_whole_or_nothing),
        staging_test(killed_at_any_step_a_journal_is_the_old_one_or_the_new_one),
        staging_test(killed_at_any_step_a_removal_leaves_all_or_nothing),
        staging_test(a_seal_that_fails_at_any_step_is_no_seal),
        staging_test(a_journal_that_cannot_be_replaced_stays),
        staging_test(a_removal_that_fails_can_be_repeated),
        staging_test(nobody_begins_over_a_sealed_upload),
        staging_test(nobody_begins_while_another_one_is_sealing),
        staging_test(what_a_dead_sealer_left_is_in_nobodys_way),
        staging_test(a_failed_seal_leaves_another_writers_part_alone),
        staging_test(the_purge_takes_only_what_is_ours_and_abandoned),
        staging_test(journals_are_listed_whatever_is_in_them),
        staging_test(a_journal_that_is_no_file_is_damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
