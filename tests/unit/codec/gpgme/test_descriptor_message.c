/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with descriptors: they arrive, or none of them stays open. */
#include "codec/gpgme/descriptor_message.h"

#include "glancefs/cleanup.h"
#include "support/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    int ends[2];
    unsigned open; /* descriptors before the test */
};

static unsigned count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    (void)closedir(directory);
    return count;
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct error err = ERROR_INIT;

    if (descriptor_message_pair(fixture.ends, &err) < 0)
        return -1;
    fixture.open = count_descriptors();
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    const struct fixture *fixture = *state;
    const unsigned open = count_descriptors();

    (void)close(fixture->ends[0]);
    (void)close(fixture->ends[1]);
    return open == fixture->open ? 0 : -1;
}

static void bytes_and_descriptors_arrive(void **state)
{
    const struct fixture *fixture = *state;
    const int sent[] = {STDIN_FILENO, fixture->ends[0]};
    struct error err = ERROR_INIT;
    char bytes[8];
    size_t size;
    int fds[2];

    assert_succeeds(descriptor_message_send(fixture->ends[0], "bytes", 5, sent, 2, &err));
    assert_succeeds(
        descriptor_message_receive(fixture->ends[1], bytes, sizeof bytes, &size, fds, 2, &err));
    assert_int_equal(size, 5);
    assert_memory_equal(bytes, "bytes", 5);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        (void)close(fds[i]);
    }
}

static void a_message_may_come_without_descriptors(void **state)
{
    const struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    char byte;
    size_t size;
    int fds[2];

    assert_succeeds(descriptor_message_send(fixture->ends[0], "b", 1, NULL, 0, &err));
    assert_succeeds(descriptor_message_receive(fixture->ends[1], &byte, 1, &size, fds, 2, &err));
    assert_int_equal(fds[0], -1);
    assert_int_equal(fds[1], -1);
}

static void refuses_another_number_of_descriptors(void **state)
{
    const struct fixture *fixture = *state;
    const int sent[] = {STDIN_FILENO, STDOUT_FILENO};
    struct error err = ERROR_INIT;
    char byte;
    size_t size;
    int fds[2];

    for (size_t wanted = 0; wanted <= 2; wanted++) {
        const size_t given = wanted == 2 ? 1 : 2;

        assert_succeeds(descriptor_message_send(fixture->ends[0], "b", 1, sent, given, &err));
        assert_fails(ERROR_CORRUPT, descriptor_message_receive(fixture->ends[1], &byte, 1, &size,
                                                               fds, wanted, &err));
    }
}

static void refuses_a_message_that_is_cut(void **state)
{
    const struct fixture *fixture = *state;
    const int sent = STDIN_FILENO;
    struct error err = ERROR_INIT;
    char byte;
    size_t size;
    int fd;

    assert_succeeds(descriptor_message_send(fixture->ends[0], "bytes", 5, &sent, 1, &err));
    assert_fails(ERROR_CORRUPT,
                 descriptor_message_receive(fixture->ends[1], &byte, 1, &size, &fd, 1, &err));
}

static void the_end_of_a_peer_shows(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    char byte;
    size_t size = 1;

    assert_int_equal(shutdown(fixture->ends[0], SHUT_RDWR), 0);
    assert_succeeds(descriptor_message_receive(fixture->ends[1], &byte, 1, &size, NULL, 0, &err));
    assert_int_equal(size, 0);
    assert_fails(ERROR_SYSTEM, descriptor_message_send(fixture->ends[1], "b", 1, NULL, 0, &err));
    assert_int_equal(err.errnum, EPIPE);
}

static void never_waits_for_room(void **state)
{
    const struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    char byte;

    while (descriptor_message_send(fixture->ends[0], "b", 1, NULL, 0, &err) == 0)
        continue;
    assert_int_equal(err.errnum, EAGAIN);
    while (recv(fixture->ends[1], &byte, 1, MSG_DONTWAIT) == 1)
        continue;
}

#define message_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        message_test(bytes_and_descriptors_arrive),
        message_test(a_message_may_come_without_descriptors),
        message_test(refuses_another_number_of_descriptors),
        message_test(refuses_a_message_that_is_cut),
        message_test(the_end_of_a_peer_shows),
        message_test(never_waits_for_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
