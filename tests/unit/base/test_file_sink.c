/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_sink.h"

#include "support/child_process.h"
#include "support/pseudo_random.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

/*
 * The system calls that make a file durable go through these (the linker's --wrap), so that a
 * test sees their order and can make one fail.
 */
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int old_dir_fd, const char *old_path, int new_dir_fd, const char *new_path);
int __wrap_renameat(int old_dir_fd, const char *old_path, int new_dir_fd, const char *new_path);

static struct {
    char order[16]; /* f: fsync of a file, d: fsync of a directory, r: rename */
    char fails;     /* the one that fails, or NUL */
} durability;

static int note(char what)
{
    const size_t length = strlen(durability.order);

    if (length + 1 < sizeof durability.order)
        durability.order[length] = what;
    if (durability.fails != what)
        return 0;
    errno = EIO;
    return -1;
}

int __wrap_fsync(int fd)
{
    struct stat status;

    if (fstat(fd, &status) == 0 && note(S_ISDIR(status.st_mode) ? 'd' : 'f') < 0)
        return -1;
    return __real_fsync(fd);
}

int __wrap_renameat(int old_dir_fd, const char *old_path, int new_dir_fd, const char *new_path)
{
    if (note('r') < 0)
        return -1;
    return __real_renameat(old_dir_fd, old_path, new_dir_fd, new_path);
}

static int open_dir(void **state)
{
    memset(&durability, 0, sizeof durability);
    *state = temp_dir_new();
    return 0;
}

static int close_dir(void **state)
{
    temp_dir_free(*state);
    return 0;
}

static void assert_file_is(const struct temp_dir *dir, const char *name, const char *text)
{
    CLEANUP(memory_free) uint8_t *bytes = NULL;
    size_t size;

    bytes = temp_dir_read(dir, name, &size);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(bytes, text, size);
}

static struct byte_sink *publisher(const struct temp_dir *dir, const char *name)
{
    struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(file_sink_publish(temp_dir_fd(dir), name, 0600, &sink, &err));
    return sink;
}

/* --- publishing --- */

static void nothing_has_the_name_before_commit(void **state)
{
    struct byte_sink *sink = publisher(*state, "file");
    struct error err = ERROR_INIT;

    assert_false(temp_dir_has(*state, "file"));
    assert_succeeds(byte_sink_write(sink, "abc", 3, NULL, &err));
    assert_succeeds(byte_sink_write(sink, "def", 3, NULL, &err));
    assert_false(temp_dir_has(*state, "file"));
    assert_succeeds(byte_sink_commit(sink, NULL, &err));
    assert_file_is(*state, "file", "abcdef");
    byte_sink_free(sink);
    assert_file_is(*state, "file", "abcdef");
    assert_int_equal(temp_dir_count(*state), 1);
}

static void the_temporary_name_can_be_told_by_its_prefix(void **state)
{
    CLEANUP(byte_sink_free) struct byte_sink *sink = publisher(*state, "file");
    DIR *entries = opendir(temp_dir_path(*state));
    const struct dirent *entry;
    size_t found = 0;

    assert_int_equal(sink->state, BYTE_SINK_OPEN);
    assert_non_null(entries);
    while ((entry = readdir(entries)) != NULL)
        found += strncmp(entry->d_name, FILE_SINK_TEMPORARY_PREFIX,
                         strlen(FILE_SINK_TEMPORARY_PREFIX)) == 0;
    (void)closedir(entries);
    assert_int_equal(found, 1);
    assert_int_equal(temp_dir_count(*state), 1);
}

static void abort_leaves_nothing(void **state)
{
    struct byte_sink *sink = publisher(*state, "file");
    struct error err = ERROR_INIT;

    assert_succeeds(byte_sink_write(sink, "abc", 3, NULL, &err));
    byte_sink_abort(sink);
    assert_int_equal(temp_dir_count(*state), 0);
    byte_sink_free(sink);
    assert_int_equal(temp_dir_count(*state), 0);
}

static void freeing_without_commit_leaves_nothing(void **state)
{
    struct byte_sink *sink = publisher(*state, "file");
    struct error err = ERROR_INIT;

    assert_succeeds(byte_sink_write(sink, "abc", 3, NULL, &err));
    byte_sink_free(sink);
    assert_int_equal(temp_dir_count(*state), 0);
}

static void abort_leaves_the_file_that_was_there(void **state)
{
    struct byte_sink *sink;
    struct error err = ERROR_INIT;

    temp_dir_write(*state, "file", "old", 3);
    sink = publisher(*state, "file");
    assert_succeeds(byte_sink_write(sink, "new", 3, NULL, &err));
    byte_sink_free(sink);
    assert_file_is(*state, "file", "old");
    assert_int_equal(temp_dir_count(*state), 1);
}

static void commit_replaces_the_file_that_was_there(void **state)
{
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;

    temp_dir_write(*state, "file", "a longer old text", 17);
    sink = publisher(*state, "file");
    assert_succeeds(byte_sink_write(sink, "new", 3, NULL, &err));
    assert_file_is(*state, "file", "a longer old text");
    assert_succeeds(byte_sink_commit(sink, NULL, &err));
    assert_file_is(*state, "file", "new");
    assert_int_equal(temp_dir_count(*state), 1);
}

static void an_empty_file_can_be_published(void **state)
{
    CLEANUP(byte_sink_free) struct byte_sink *sink = publisher(*state, "file");
    struct error err = ERROR_INIT;

    assert_succeeds(byte_sink_commit(sink, NULL, &err));
    assert_file_is(*state, "file", "");
}

static void the_mode_is_the_one_given(void **state)
{
    static const mode_t modes[] = {0600, 0400, 0640, 0644};
    const mode_t before = umask(0);

    for (size_t i = 0; i < ELEMENTS_OF(modes); i++) {
        CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
        struct error err = ERROR_INIT;
        struct stat status;

        assert_succeeds(file_sink_publish(temp_dir_fd(*state), "file", modes[i], &sink, &err));
        assert_succeeds(byte_sink_commit(sink, NULL, &err));
        assert_int_equal(fstatat(temp_dir_fd(*state), "file", &status, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(status.st_mode & 07777, modes[i]);
    }
    (void)umask(before);
}

/* Two writers of one name: each its own temporary file; the one that commits last stands. */
static void two_sinks_of_one_name_do_not_meet(void **state)
{
    struct byte_sink *first = publisher(*state, "file");
    struct byte_sink *second = publisher(*state, "file");
    struct error err = ERROR_INIT;

    assert_succeeds(byte_sink_write(first, "first", 5, NULL, &err));
    assert_succeeds(byte_sink_write(second, "second", 6, NULL, &err));
    assert_succeeds(byte_sink_commit(second, NULL, &err));
    assert_file_is(*state, "file", "second");
    assert_succeeds(byte_sink_commit(first, NULL, &err));
    assert_file_is(*state, "file", "first");
    byte_sink_free(first);
    byte_sink_free(second);
    assert_int_equal(temp_dir_count(*state), 1);
}

static void the_directory_descriptor_is_borrowed(void **state)
{
    const int fd = fcntl(temp_dir_fd(*state), F_DUPFD_CLOEXEC, 0);
    struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(file_sink_publish(fd, "file", 0600, &sink, &err));
    assert_int_equal(close(fd), 0);
    assert_succeeds(byte_sink_write(sink, "abc", 3, NULL, &err));
    assert_succeeds(byte_sink_commit(sink, NULL, &err));
    byte_sink_free(sink);
    assert_true(fcntl(temp_dir_fd(*state), F_GETFD) >= 0);
    assert_file_is(*state, "file", "abc");
}

/* What a link points to is not ours to write: the link itself is replaced. */
static void a_link_is_replaced_and_its_target_left_alone(void **state)
{
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
    CLEANUP(memory_free) char *path = temp_dir_join(*state, "link");
    struct error err = ERROR_INIT;
    struct stat status;

    temp_dir_write(*state, "target", "old", 3);
    assert_int_equal(symlinkat("target", temp_dir_fd(*state), "link"), 0);
    sink = publisher(*state, "link");
    assert_succeeds(byte_sink_write(sink, "new", 3, NULL, &err));
    assert_succeeds(byte_sink_commit(sink, NULL, &err));
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    assert_file_is(*state, "link", "new");
    assert_file_is(*state, "target", "old");
}

static void a_directory_in_the_way_is_an_error_and_leaves_nothing(void **state)
{
    struct byte_sink *sink;
    struct error err = ERROR_INIT;

    assert_int_equal(mkdirat(temp_dir_fd(*state), "file", 0700), 0);
    sink = publisher(*state, "file");
    assert_int_equal(byte_sink_commit(sink, NULL, &err), -1);
    assert_true(error_is_set(&err));
    byte_sink_free(sink);
    assert_int_equal(temp_dir_count(*state), 1);
}

static void a_missing_directory_is_an_error(void **state)
{
    CLEANUP(memory_free) char *path = temp_dir_join(*state, "absent/file");
    struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_NOT_FOUND, file_sink_publish_path(path, 0600, &sink, &err));
    assert_fails(ERROR_SYSTEM, file_sink_publish(-1, "file", 0600, &sink, &err));
    assert_null(sink);
}

static void a_cancelled_write_leaves_nothing(void **state)
{
    CLEANUP(byte_sink_free) struct byte_sink *sink = publisher(*state, "file");
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&cancel, &err));
    assert_succeeds(byte_sink_write(sink, "abc", 3, cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, byte_sink_write(sink, "def", 3, cancel, &err));
    assert_int_equal(temp_dir_count(*state), 0);
}

/* --- durability --- */

static void commit_syncs_the_file_renames_and_syncs_the_directory(void **state)
{
    CLEANUP(byte_sink_free) struct byte_sink *sink = publisher(*state, "file");
    struct error err = ERROR_INIT;

    assert_succeeds(byte_sink_write(sink, "abc", 3, NULL, &err));
    assert_string_equal(durability.order, "");
    assert_succeeds(byte_sink_commit(sink, NULL, &err));
    assert_string_equal(durability.order, "frd");
}

static void an_abort_publishes_and_syncs_nothing(void **state)
{
    byte_sink_free(publisher(*state, "file"));
    assert_string_equal(durability.order, "");
}

static void fail_commit_at(const struct temp_dir *dir, char what)
{
    struct byte_sink *sink;
    struct error err = ERROR_INIT;

    temp_dir_write(dir, "file", "old", 3);
    sink = publisher(dir, "file");
    assert_succeeds(byte_sink_write(sink, "new", 3, NULL, &err));
    durability.fails = what;
    assert_fails(ERROR_SYSTEM, byte_sink_commit(sink, NULL, &err));
    assert_int_equal(err.errnum, EIO);
    assert_int_equal(sink->state, BYTE_SINK_ABORTED);
    byte_sink_free(sink);
}

static void a_failed_sync_publishes_nothing(void **state)
{
    fail_commit_at(*state, 'f');
    assert_string_equal(durability.order, "f");
    assert_file_is(*state, "file", "old");
    assert_int_equal(temp_dir_count(*state), 1);
}

static void a_failed_rename_publishes_nothing(void **state)
{
    fail_commit_at(*state, 'r');
    assert_file_is(*state, "file", "old");
    assert_int_equal(temp_dir_count(*state), 1);
}

/* The rename has happened: taking the new file away would lose the old one, too. */
static void a_failed_sync_of_the_directory_is_told_and_loses_no_file(void **state)
{
    fail_commit_at(*state, 'd');
    assert_string_equal(durability.order, "frd");
    assert_file_is(*state, "file", "new");
    assert_int_equal(temp_dir_count(*state), 1);
}

/* --- no space --- */

#define LIMIT_BYTES 65536

/* RLIMIT_FSIZE with SIGXFSZ ignored makes write fail with EFBIG half-way, as a full disk does. */
static int write_past_the_file_limit(void *context)
{
    const struct rlimit limit = {LIMIT_BYTES, LIMIT_BYTES};
    const struct temp_dir *dir = context;
    static const char block[4096];
    struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;
    int blocks = 0;

    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0 ||
        file_sink_publish(temp_dir_fd(dir), "file", 0600, &sink, &err) < 0)
        return 1;
    while (byte_sink_write(sink, block, sizeof block - 1, NULL, &err) == 0)
        if (++blocks > 1000)
            return 2;
    if (err.errnum != EFBIG || sink->state != BYTE_SINK_ABORTED)
        return 3;
    if (temp_dir_count(dir) != 0)
        return 4;
    if (byte_sink_commit(sink, NULL, &err) == 0)
        return 5;
    byte_sink_free(sink);
    return temp_dir_count(dir) == 0 ? 0 : 6;
}

static void a_write_that_fails_half_way_leaves_nothing(void **state)
{
    assert_int_equal(run_in_child(write_past_the_file_limit, *state), 0);
    assert_int_equal(temp_dir_count(*state), 0);
}

static void a_full_disk_is_no_space(void **state)
{
    CLEANUP(fd_close) int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_true(full >= 0);
    assert_succeeds(file_sink_to_fd(full, &sink, &err));
    assert_fails(ERROR_NO_SPACE, byte_sink_write(sink, "abc", 3, NULL, &err));
    assert_int_equal(err.errnum, ENOSPC);
}

/* --- by path --- */

static void a_path_is_published_beside_itself(void **state)
{
    CLEANUP(memory_free) char *path = temp_dir_join(*state, "sub/file");
    struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(mkdirat(temp_dir_fd(*state), "sub", 0700), 0);
    assert_succeeds(file_sink_publish_path(path, 0600, &sink, &err));
    assert_succeeds(byte_sink_write(sink, "abc", 3, NULL, &err));
    assert_false(temp_dir_has(*state, "sub/file"));
    assert_int_equal(temp_dir_count(*state), 1);
    assert_succeeds(byte_sink_commit(sink, NULL, &err));
    byte_sink_free(sink);
    assert_file_is(*state, "sub/file", "abc");
}

static void a_bare_name_is_published_in_the_working_directory(void **state)
{
    CLEANUP(fd_close) int before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(chdir(temp_dir_path(*state)), 0);
    assert_succeeds(file_sink_publish_path("file", 0600, &sink, &err));
    assert_succeeds(byte_sink_commit(sink, NULL, &err));
    byte_sink_free(sink);
    assert_int_equal(fchdir(before), 0);
    assert_file_is(*state, "file", "");
}

static void a_path_that_names_a_directory_is_refused_at_once(void **state)
{
    struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(file_sink_publish_path(temp_dir_path(*state), 0600, &sink, &err), -1);
    assert_int_equal(err.errnum, EISDIR);
    assert_int_equal(file_sink_publish_path("/", 0600, &sink, &err), -1);
    assert_null(sink);
    assert_int_equal(temp_dir_count(*state), 0);
}

/* --- descriptors --- */

static void a_borrowed_descriptor_gets_the_bytes_and_stays_open(void **state)
{
    struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;
    char buffer[8];
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_succeeds(file_sink_to_fd(fds[1], &sink, &err));
    assert_succeeds(byte_sink_write(sink, "abc", 3, NULL, &err));
    assert_int_equal(read(fds[0], buffer, sizeof buffer), 3);
    assert_succeeds(byte_sink_commit(sink, NULL, &err));
    byte_sink_free(sink);
    assert_true(fcntl(fds[1], F_GETFD) >= 0);
    assert_succeeds(file_sink_to_fd(fds[1], &sink, &err));
    byte_sink_free(sink);
    assert_int_equal(write(fds[1], "d", 1), 1);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void a_reader_that_went_away_is_an_error(void **state)
{
    struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;
    int fds[2];

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    (void)close(fds[0]);
    assert_succeeds(file_sink_to_fd(fds[1], &sink, &err));
    assert_fails(ERROR_SYSTEM, byte_sink_write(sink, "abc", 3, NULL, &err));
    assert_int_equal(err.errnum, EPIPE);
    byte_sink_free(sink);
    (void)close(fds[1]);
    (void)signal(SIGPIPE, SIG_DFL);
}

#define PIPED_BYTES (1024 * 1024)

/* Takes all that comes, and counts. */
static void *drain(void *argument)
{
    static const struct timespec pause = {.tv_nsec = 1000000};
    char buffer[65536];
    size_t total = 0;
    ssize_t got;

    while ((got = read(*(const int *)argument, buffer, sizeof buffer)) > 0) {
        total += (size_t)got;
        (void)nanosleep(&pause, NULL);
    }
    return (void *)total;
}

static void a_descriptor_that_does_not_block_is_waited_for(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(5, PIPED_BYTES);
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;
    pthread_t reader;
    void *total;
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    assert_succeeds(file_sink_to_fd(fds[1], &sink, &err));
    assert_int_equal(pthread_create(&reader, NULL, drain, &fds[0]), 0);
    assert_succeeds(byte_sink_write(sink, bytes, PIPED_BYTES, NULL, &err));
    (void)close(fds[1]);
    assert_int_equal(pthread_join(reader, &total), 0);
    assert_int_equal((size_t)total, PIPED_BYTES);
    (void)close(fds[0]);
}

static void *cancel_soon(void *argument)
{
    static const struct timespec pause = {.tv_nsec = 20000000};

    (void)nanosleep(&pause, NULL);
    cancel_request(argument);
    return NULL;
}

static void a_wait_for_a_reader_is_cancelled(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(5, PIPED_BYTES);
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;
    pthread_t canceller;
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_succeeds(cancel_new(&cancel, &err));
    assert_succeeds(file_sink_to_fd(fds[1], &sink, &err));
    assert_int_equal(pthread_create(&canceller, NULL, cancel_soon, cancel), 0);
    assert_fails(ERROR_CANCELLED, byte_sink_write(sink, bytes, PIPED_BYTES, cancel, &err));
    assert_int_equal(pthread_join(canceller, NULL), 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* --- small files --- */

static void a_small_file_is_published_whole(void **state)
{
    struct error err = ERROR_INIT;
    struct stat status;

    assert_succeeds(file_publish(temp_dir_fd(*state), "file", 0600, "abc", 3, &err));
    assert_file_is(*state, "file", "abc");
    assert_string_equal(durability.order, "frd");
    assert_succeeds(file_publish(temp_dir_fd(*state), "file", 0600, "", 0, &err));
    assert_file_is(*state, "file", "");
    assert_int_equal(fstatat(temp_dir_fd(*state), "file", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(temp_dir_count(*state), 1);
}

static void a_small_file_that_fails_leaves_nothing(void **state)
{
    struct error err = ERROR_INIT;

    durability.fails = 'f';
    assert_fails(ERROR_SYSTEM, file_publish(temp_dir_fd(*state), "file", 0600, "abc", 3, &err));
    assert_int_equal(temp_dir_count(*state), 0);
}

static void leftovers_of_killed_publishers_can_be_removed(void **state)
{
    static const char *const others[] = {"file", ".glancefs", ".glancefs-tm",
                                         "x" FILE_SINK_TEMPORARY_PREFIX "1"};

    for (size_t i = 0; i < ELEMENTS_OF(others); i++)
        temp_dir_write(*state, others[i], "x", 1);
    temp_dir_write(*state, FILE_SINK_TEMPORARY_PREFIX "1", "x", 1);
    temp_dir_write(*state, FILE_SINK_TEMPORARY_PREFIX "2", "", 0);
    file_sink_remove_leftovers(temp_dir_fd(*state));
    assert_int_equal(temp_dir_count(*state), ELEMENTS_OF(others));
    for (size_t i = 0; i < ELEMENTS_OF(others); i++)
        assert_true(temp_dir_has(*state, others[i]));
    file_sink_remove_leftovers(-1);
}

static void random_chunks_are_written_as_they_are(void **state)
{
    CLEANUP(byte_sink_free) struct byte_sink *sink = publisher(*state, "file");
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(3, 300000);
    CLEANUP(memory_free) uint8_t *written = NULL;
    struct pseudo_random random = {.state = 4};
    struct error err = ERROR_INIT;
    size_t done = 0, size;

    while (done < 300000) {
        size_t chunk = pseudo_random_below(&random, 20000);

        if (chunk > 300000 - done)
            chunk = 300000 - done;
        assert_succeeds(byte_sink_write(sink, bytes + done, chunk, NULL, &err));
        done += chunk;
    }
    assert_succeeds(byte_sink_commit(sink, NULL, &err));
    written = temp_dir_read(*state, "file", &size);
    assert_int_equal(size, 300000);
    assert_memory_equal(written, bytes, size);
}

#define in_dir(test) cmocka_unit_test_setup_teardown(test, open_dir, close_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_dir(nothing_has_the_name_before_commit),
        in_dir(the_temporary_name_can_be_told_by_its_prefix),
        in_dir(abort_leaves_nothing),
        in_dir(freeing_without_commit_leaves_nothing),
        in_dir(abort_leaves_the_file_that_was_there),
        in_dir(commit_replaces_the_file_that_was_there),
        in_dir(an_empty_file_can_be_published),
        in_dir(the_mode_is_the_one_given),
        in_dir(two_sinks_of_one_name_do_not_meet),
        in_dir(the_directory_descriptor_is_borrowed),
        in_dir(a_link_is_replaced_and_its_target_left_alone),
        in_dir(a_directory_in_the_way_is_an_error_and_leaves_nothing),
        in_dir(a_missing_directory_is_an_error),
        in_dir(a_cancelled_write_leaves_nothing),
        in_dir(commit_syncs_the_file_renames_and_syncs_the_directory),
        in_dir(an_abort_publishes_and_syncs_nothing),
        in_dir(a_failed_sync_publishes_nothing),
        in_dir(a_failed_rename_publishes_nothing),
        in_dir(a_failed_sync_of_the_directory_is_told_and_loses_no_file),
        in_dir(a_write_that_fails_half_way_leaves_nothing),
        cmocka_unit_test(a_full_disk_is_no_space),
        in_dir(a_path_is_published_beside_itself),
        in_dir(a_bare_name_is_published_in_the_working_directory),
        in_dir(a_path_that_names_a_directory_is_refused_at_once),
        cmocka_unit_test(a_borrowed_descriptor_gets_the_bytes_and_stays_open),
        cmocka_unit_test(a_reader_that_went_away_is_an_error),
        cmocka_unit_test(a_descriptor_that_does_not_block_is_waited_for),
        cmocka_unit_test(a_wait_for_a_reader_is_cancelled),
        in_dir(a_small_file_is_published_whole),
        in_dir(a_small_file_that_fails_leaves_nothing),
        in_dir(leftovers_of_killed_publishers_can_be_removed),
        in_dir(random_chunks_are_written_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
