/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_source.h"

#include "support/delay.h"
#include "support/pseudo_random.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void milliseconds_pass(unsigned milliseconds)
{
    struct error err = ERROR_INIT;

    (void)delay(milliseconds, NULL, &err);
}

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

/* --- regular files --- */

static void a_file_gives_its_bytes_at_any_offset(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct pseudo_random random = {.state = 7};
    struct error err = ERROR_INIT;
    uint8_t *bytes = pseudo_random_bytes(1, 70000);
    static uint8_t buffer[80000];

    temp_dir_write(*state, "file", bytes, 70000);
    assert_succeeds(file_source_open(temp_dir_fd(*state), "file", &source, &err));
    assert_int_equal(byte_source_size(source), 70000);
    assert_false(byte_source_is_forward_only(source));
    for (int i = 0; i < 300; i++) {
        const size_t offset = pseudo_random_below(&random, 71000);
        const size_t wanted = pseudo_random_below(&random, sizeof buffer);
        const size_t left = offset < 70000 ? 70000 - offset : 0;
        size_t size = 99;

        assert_succeeds(byte_source_pread(source, buffer, wanted, offset, NULL, &size, &err));
        assert_int_equal(size, wanted < left ? wanted : left);
        assert_memory_equal(buffer, bytes + (left == 0 ? 0 : offset), size);
    }
    free(bytes);
}

static void offsets_beyond_every_file_are_its_end(void **state)
{
    static const uint64_t offsets[] = {6,         7,          INT64_MAX - 5,
                                       INT64_MAX, UINT64_MAX, (uint64_t)INT64_MAX + 1};
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    uint8_t buffer[16];

    temp_dir_write(*state, "file", "abcdef", 6);
    assert_succeeds(file_source_open(temp_dir_fd(*state), "file", &source, &err));
    for (size_t i = 0; i < ELEMENTS_OF(offsets); i++) {
        size_t size = 99;

        assert_succeeds(byte_source_pread(source, buffer, 16, offsets[i], NULL, &size, &err));
        assert_int_equal(size, 0);
    }
}

static void a_file_in_memory_is_read_without_waiting(void **state)
{
    CLEANUP(fd_close) int fd = memfd_create("test", MFD_CLOEXEC);
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    uint8_t buffer[16];
    size_t size = 99;

    (void)state;
    assert_int_equal(write(fd, "abcdef", 6), 6);
    assert_succeeds(file_source_from_fd(fd, &source, &err));
    (void)steal_fd(&fd);
    assert_succeeds(file_source_pread_now(source, buffer, 16, 2, &size, &err));
    assert_int_equal(size, 4);
    assert_memory_equal(buffer, "cdef", 4);
}

/* Like procfs, which is neither in memory nor knows reads that do not wait. */
static void where_it_might_wait_unnoticed_it_does_not_read(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    uint8_t buffer[16];
    size_t size;

    (void)state;
    assert_succeeds(file_source_open(AT_FDCWD, "/proc/self/comm", &source, &err));
    assert_fails(ERROR_BUSY, file_source_pread_now(source, buffer, 16, 0, &size, &err));
}

static void an_empty_file_is_an_empty_source(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    uint8_t buffer[4];
    size_t size = 99;

    temp_dir_write(*state, "file", "", 0);
    assert_succeeds(file_source_open(temp_dir_fd(*state), "file", &source, &err));
    assert_int_equal(byte_source_size(source), 0);
    assert_succeeds(byte_source_pread(source, buffer, 4, 0, NULL, &size, &err));
    assert_int_equal(size, 0);
}

static void a_missing_file_is_not_found(void **state)
{
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    char *text = NULL;
    size_t size;

    assert_fails(ERROR_NOT_FOUND, file_source_open(temp_dir_fd(*state), "absent", &source, &err));
    assert_message_has("absent");
    assert_fails(ERROR_NOT_FOUND,
                 file_read_all(temp_dir_fd(*state), "absent", 10, &text, &size, &err));
    assert_message_has("absent");
    assert_null(source);
    assert_null(text);
}

static void links_are_not_followed(void **state)
{
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    char *text = NULL;
    size_t size;

    temp_dir_write(*state, "target", "secret", 6);
    assert_int_equal(symlinkat("target", temp_dir_fd(*state), "link"), 0);
    assert_int_equal(symlinkat("nowhere", temp_dir_fd(*state), "dangling"), 0);
    assert_int_equal(file_source_open(temp_dir_fd(*state), "link", &source, &err), -1);
    assert_int_equal(err.errnum, ELOOP);
    assert_int_equal(file_source_open(temp_dir_fd(*state), "dangling", &source, &err), -1);
    assert_int_equal(err.errnum, ELOOP);
    assert_int_equal(file_read_all(temp_dir_fd(*state), "link", 10, &text, &size, &err), -1);
    assert_int_equal(err.errnum, ELOOP);
    assert_null(source);
    assert_null(text);
}

static size_t open_descriptors(void)
{
    size_t count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Neither may opening a FIFO wait for a writer. */
static void what_is_no_regular_file_is_refused(void **state)
{
    static const char *const names[] = {"directory", "fifo", "socket"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP(fd_close) int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    size_t before;

    assert_int_equal(mkdirat(temp_dir_fd(*state), "directory", 0700), 0);
    assert_int_equal(mkfifoat(temp_dir_fd(*state), "fifo", 0600), 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", temp_dir_path(*state));
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    before = open_descriptors();
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        assert_int_equal(file_source_open(temp_dir_fd(*state), names[i], &source, &err), -1);
        assert_message_has(names[i]);
    }
    assert_int_equal(file_source_open(AT_FDCWD, "/dev/zero", &source, &err), -1);
    assert_int_equal(open_descriptors(), before);
    assert_null(source);
}

static void freeing_closes_the_descriptor(void **state)
{
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    size_t before;

    temp_dir_write(*state, "file", "abc", 3);
    before = open_descriptors();
    assert_succeeds(file_source_open(temp_dir_fd(*state), "file", &source, &err));
    assert_int_equal(open_descriptors(), before + 1);
    byte_source_free(source);
    assert_int_equal(open_descriptors(), before);
}

static void a_taken_over_file_is_read_from_its_start(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    char buffer[8];
    size_t size;
    int fd;

    temp_dir_write(*state, "file", "abcdef", 6);
    fd = openat(temp_dir_fd(*state), "file", O_RDONLY | O_CLOEXEC);
    assert_int_equal(lseek(fd, 4, SEEK_SET), 4);
    assert_succeeds(file_source_from_fd(fd, &source, &err));
    assert_int_equal(byte_source_size(source), 6);
    assert_succeeds(byte_source_pread(source, buffer, 8, 0, NULL, &size, &err));
    assert_int_equal(size, 6);
    assert_memory_equal(buffer, "abcdef", 6);
}

/* On failure the descriptor stays the caller's: open, and closed by nobody else. */
static void a_descriptor_that_is_refused_stays_the_callers(void **state)
{
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    const int fd = temp_dir_fd(*state);

    assert_int_equal(file_source_from_fd(fd, &source, &err), -1);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    assert_int_equal(file_source_from_fd(-1, &source, &err), -1);
    assert_int_equal(err.errnum, EBADF);
    assert_null(source);
}

static void a_descriptor_that_cannot_be_read_is_an_error(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    char buffer[4];
    size_t size;
    int fd;

    temp_dir_write(*state, "file", "abcdef", 6);
    fd = openat(temp_dir_fd(*state), "file", O_WRONLY | O_CLOEXEC);
    assert_succeeds(file_source_from_fd(fd, &source, &err));
    assert_fails(ERROR_SYSTEM, byte_source_pread(source, buffer, 4, 0, NULL, &size, &err));
    assert_int_equal(err.errnum, EBADF);
}

static void a_cancelled_token_ends_a_file_read(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;
    char buffer[4];
    size_t size;

    temp_dir_write(*state, "file", "abcdef", 6);
    assert_succeeds(file_source_open(temp_dir_fd(*state), "file", &source, &err));
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, byte_source_pread(source, buffer, 4, 0, cancel, &size, &err));
}

/* --- pipes and sockets --- */

static struct byte_source *pipe_source(int *ret_write_fd)
{
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_succeeds(file_source_from_fd(fds[0], &source, &err));
    *ret_write_fd = fds[1];
    return source;
}

static void a_pipe_is_forward_only_and_of_unknown_size(void **state)
{
    int fd = -1;
    CLEANUP(byte_source_free) struct byte_source *source = pipe_source(&fd);
    struct error err = ERROR_INIT;
    char buffer[8];
    size_t size;

    (void)state;
    assert_true(byte_source_is_forward_only(source));
    assert_int_equal(byte_source_size(source), BYTE_SOURCE_SIZE_UNKNOWN);
    assert_int_equal(write(fd, "abcdef", 6), 6);
    (void)close(fd);
    assert_succeeds(byte_source_pread(source, buffer, 4, 0, NULL, &size, &err));
    assert_int_equal(size, 4);
    for (uint64_t offset = 0; offset < 9; offset++) {
        if (offset == 4)
            continue;
        assert_fails(ERROR_SYSTEM, byte_source_pread(source, buffer, 1, offset, NULL, &size, &err));
        assert_int_equal(err.errnum, ESPIPE);
    }
    assert_succeeds(byte_source_pread(source, buffer, 8, 4, NULL, &size, &err));
    assert_int_equal(size, 2);
    assert_memory_equal(buffer, "ef", 2);
    assert_succeeds(byte_source_pread(source, buffer, 8, 6, NULL, &size, &err));
    assert_int_equal(size, 0);
}

static void *write_in_small_pieces(void *argument)
{
    const int fd = *(const int *)argument;

    for (int i = 0; i < 300; i++) {
        const char piece[3] = {(char)i, (char)(i >> 4), 'x'};

        if (write(fd, piece, sizeof piece) != sizeof piece)
            break;
        if (i % 30 == 0)
            milliseconds_pass(1);
    }
    (void)close(fd);
    return NULL;
}

/* read(2) gives what is there; pread of a source gives all that was asked for. */
static void a_slow_pipe_still_gives_whole_reads(void **state)
{
    int fd = -1;
    CLEANUP(byte_source_free) struct byte_source *source = pipe_source(&fd);
    struct error err = ERROR_INIT;
    char buffer[100];
    pthread_t writer;
    size_t size;

    (void)state;
    assert_int_equal(pthread_create(&writer, NULL, write_in_small_pieces, &fd), 0);
    for (uint64_t offset = 0; offset < 900; offset += 100) {
        assert_succeeds(byte_source_pread(source, buffer, 100, offset, NULL, &size, &err));
        assert_int_equal(size, 100);
    }
    assert_succeeds(byte_source_pread(source, buffer, 100, 900, NULL, &size, &err));
    assert_int_equal(size, 0);
    assert_int_equal(pthread_join(writer, NULL), 0);
}

static void a_socket_is_a_source_too(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    char buffer[8];
    size_t size;
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_succeeds(file_source_from_fd(fds[0], &source, &err));
    assert_int_equal(write(fds[1], "abc", 3), 3);
    (void)close(fds[1]);
    assert_succeeds(byte_source_pread(source, buffer, 8, 0, NULL, &size, &err));
    assert_int_equal(size, 3);
}

struct waiting_read {
    struct byte_source *source;
    struct cancel *cancel;
    size_t wanted;
    char buffer[32];
    size_t size;
    int result;
    struct error err;
    atomic_bool done;
};

static void *read_and_wait(void *argument)
{
    struct waiting_read *read = argument;

    read->result = byte_source_pread(read->source, read->buffer, read->wanted, 0, read->cancel,
                                     &read->size, &read->err);
    atomic_store(&read->done, true);
    return NULL;
}

static bool is_done_within(const atomic_bool *done, unsigned milliseconds)
{
    for (unsigned i = 0; i < milliseconds && !atomic_load(done); i++)
        milliseconds_pass(1);
    return atomic_load(done);
}

static void a_read_that_waits_on_a_pipe_leaves_when_cancelled(void **state)
{
    int fd = -1;
    CLEANUP(byte_source_free) struct byte_source *source = pipe_source(&fd);
    struct waiting_read read = {.source = source, .wanted = 4};
    struct error err = ERROR_INIT;
    pthread_t thread;
    bool left;

    (void)state;
    assert_succeeds(cancel_new(&read.cancel, &err));
    assert_int_equal(pthread_create(&thread, NULL, read_and_wait, &read), 0);
    milliseconds_pass(50);
    cancel_request(read.cancel);
    left = is_done_within(&read.done, 2000);
    (void)close(fd); /* so that the test ends in any case */
    assert_int_equal(pthread_join(thread, NULL), 0);
    cancel_unref(read.cancel);
    assert_true(left);
    assert_int_equal(read.result, -1);
    assert_int_equal(read.err.kind, ERROR_CANCELLED);
}

/* After a read that was cancelled half-way, its offset gives its bytes or nothing. */
static void a_cancelled_read_never_moves_later_bytes_to_its_offset(void **state)
{
    int fd = -1;
    CLEANUP(byte_source_free) struct byte_source *source = pipe_source(&fd);
    struct waiting_read read = {.source = source, .wanted = 15};
    struct error err = ERROR_INIT;
    pthread_t thread;
    char buffer[5];
    size_t size = 0;

    (void)state;
    assert_succeeds(cancel_new(&read.cancel, &err));
    assert_int_equal(write(fd, "01234", 5), 5);
    assert_int_equal(pthread_create(&thread, NULL, read_and_wait, &read), 0);
    milliseconds_pass(50);
    cancel_request(read.cancel);
    milliseconds_pass(50);
    assert_int_equal(write(fd, "56789", 5), 5);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(read.err.kind, ERROR_CANCELLED);
    assert_int_equal(write(fd, "ABCDE", 5), 5);
    (void)close(fd);
    if (byte_source_pread(source, buffer, 5, 0, NULL, &size, &err) == 0) {
        assert_int_equal(size, 5);
        assert_memory_equal(buffer, "01234", 5);
    }
    cancel_unref(read.cancel);
}

static void do_nothing(int number)
{
    (void)number;
}

/* A signal that has nothing to do with the caller must not end a read. */
static void a_signal_without_a_cancelled_token_ends_nothing(void **state)
{
    int fd = -1;
    CLEANUP(byte_source_free) struct byte_source *source = pipe_source(&fd);
    struct waiting_read read = {.source = source, .wanted = 4};
    const struct sigaction action = {.sa_handler = do_nothing}; /* no SA_RESTART */
    struct sigaction before;
    pthread_t thread;

    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    assert_int_equal(pthread_create(&thread, NULL, read_and_wait, &read), 0);
    for (int i = 0; i < 5; i++) {
        milliseconds_pass(10);
        assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
    }
    milliseconds_pass(10);
    assert_false(atomic_load(&read.done));
    assert_int_equal(write(fd, "abcd", 4), 4);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(read.result, 0);
    assert_memory_equal(read.buffer, "abcd", 4);
    (void)close(fd);
    (void)sigaction(SIGUSR1, &before, NULL);
}

/* --- whole files --- */

static void a_whole_file_is_read_and_nul_terminated(void **state)
{
    CLEANUP(memory_free) char *text = NULL;
    struct error err = ERROR_INIT;
    size_t size = 99;

    temp_dir_write(*state, "file", "ab\0cd", 5);
    assert_succeeds(file_read_all(temp_dir_fd(*state), "file", 100, &text, &size, &err));
    assert_int_equal(size, 5);
    assert_memory_equal(text, "ab\0cd", 6);
}

static void an_empty_file_is_read_as_an_empty_text(void **state)
{
    CLEANUP(memory_free) char *text = NULL;
    struct error err = ERROR_INIT;
    size_t size = 99;

    temp_dir_write(*state, "file", "", 0);
    assert_succeeds(file_read_all(temp_dir_fd(*state), "file", 0, &text, &size, &err));
    assert_int_equal(size, 0);
    assert_string_equal(text, "");
}

static void the_limit_itself_is_allowed_and_one_more_is_too_large(void **state)
{
    CLEANUP(memory_free) char *text = NULL;
    char *none = NULL;
    struct error err = ERROR_INIT;
    size_t size;

    temp_dir_write(*state, "file", "abcdef", 6);
    assert_succeeds(file_read_all(temp_dir_fd(*state), "file", 6, &text, &size, &err));
    assert_string_equal(text, "abcdef");
    assert_fails(ERROR_TOO_LARGE,
                 file_read_all(temp_dir_fd(*state), "file", 5, &none, &size, &err));
    assert_message_has("file");
    assert_fails(ERROR_TOO_LARGE,
                 file_read_all(temp_dir_fd(*state), "file", 0, &none, &size, &err));
    assert_null(none);
}

/* A sparse terabyte must not be allocated before it is found too large. */
static void a_huge_file_is_too_large_at_once(void **state)
{
    char *text = NULL;
    struct error err = ERROR_INIT;
    size_t size;

    temp_dir_write(*state, "file", "", 0);
    {
        CLEANUP(memory_free) char *path = temp_dir_join(*state, "file");

        assert_int_equal(truncate(path, (off_t)1 << 40), 0);
    }
    assert_fails(ERROR_TOO_LARGE,
                 file_read_all(temp_dir_fd(*state), "file", 1000, &text, &size, &err));
    assert_null(text);
}

/* Files of procfs are regular and say that their size is 0: only reading tells. */
static void a_file_that_holds_more_than_its_size_says_is_read_whole(void **state)
{
    CLEANUP(memory_free) char *text = NULL;
    struct error err = ERROR_INIT;
    char expected[1024] = "";
    char *none = NULL;
    size_t size, expected_size;
    FILE *version = fopen("/proc/version", "re");

    (void)state;
    assert_non_null(version);
    expected_size = fread(expected, 1, sizeof expected, version);
    (void)fclose(version);
    assert_true(expected_size > 10);
    assert_succeeds(file_read_all(AT_FDCWD, "/proc/version", 4096, &text, &size, &err));
    assert_int_equal(size, expected_size);
    assert_memory_equal(text, expected, size);
    assert_fails(ERROR_TOO_LARGE, file_read_all(AT_FDCWD, "/proc/version", 9, &none, &size, &err));
}

#define in_dir(test) cmocka_unit_test_setup_teardown(test, open_dir, close_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_dir(a_file_gives_its_bytes_at_any_offset),
        in_dir(offsets_beyond_every_file_are_its_end),
        cmocka_unit_test(a_file_in_memory_is_read_without_waiting),
        cmocka_unit_test(where_it_might_wait_unnoticed_it_does_not_read),
        in_dir(an_empty_file_is_an_empty_source),
        in_dir(a_missing_file_is_not_found),
        in_dir(links_are_not_followed),
        in_dir(what_is_no_regular_file_is_refused),
        in_dir(freeing_closes_the_descriptor),
        in_dir(a_taken_over_file_is_read_from_its_start),
        in_dir(a_descriptor_that_is_refused_stays_the_callers),
        in_dir(a_descriptor_that_cannot_be_read_is_an_error),
        in_dir(a_cancelled_token_ends_a_file_read),
        cmocka_unit_test(a_pipe_is_forward_only_and_of_unknown_size),
        cmocka_unit_test(a_slow_pipe_still_gives_whole_reads),
        cmocka_unit_test(a_socket_is_a_source_too),
        cmocka_unit_test(a_read_that_waits_on_a_pipe_leaves_when_cancelled),
        cmocka_unit_test(a_cancelled_read_never_moves_later_bytes_to_its_offset),
        cmocka_unit_test(a_signal_without_a_cancelled_token_ends_nothing),
        in_dir(a_whole_file_is_read_and_nul_terminated),
        in_dir(an_empty_file_is_read_as_an_empty_text),
        in_dir(the_limit_itself_is_allowed_and_one_more_is_too_large),
        in_dir(a_huge_file_is_too_large_at_once),
        in_dir(a_file_that_holds_more_than_its_size_says_is_read_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
