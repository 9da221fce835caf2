/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that run gpg: what they are left with, and what becomes of them. */
#include "codec/gpgme/gpg_helper.h"

#include "codec/gpgme/descriptor_message.h"
#include "codec/gpgme/gpg_operation.h"
#include "gpgme_bed.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define PASSPHRASE "correct horse"

struct fixture {
    struct gpgme_bed bed;
    struct gpg_helper *helper;
    struct secure_buffer *passphrase;
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct error err = ERROR_INIT;

    memset(&fixture, 0, sizeof fixture);
    gpgme_bed_open(&fixture.bed);
    fixture.passphrase = bed_passphrase(PASSPHRASE);
    *state = &fixture;
    return gpg_helper_start(
        &(const struct gpg_helper_options){.has_home = true, .runtime = fixture.bed.runtime},
        &fixture.helper, &err);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    gpg_helper_free(fixture->helper);
    secure_buffer_free(fixture->passphrase);
    gpgme_bed_close(&fixture->bed);
    return secure_arena_used(bed_arena()) == 0 ? 0 : -1;
}

/* The child of `parent` with that name, which there must be. */
static pid_t child_of(pid_t parent, const char *name)
{
    char path[64], number[16], found[32];
    FILE *children, *comm;
    pid_t result = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", parent, parent);
    children = fopen(path, "re");
    assert_non_null(children);
    while (result == 0 && fscanf(children, "%15s", number) == 1) {
        (void)snprintf(path, sizeof path, "/proc/%s/comm", number);
        comm = fopen(path, "re");
        if (comm == NULL)
            continue;
        if (fscanf(comm, "%31s", found) == 1 && strcmp(found, name) == 0)
            result = (pid_t)strtol(number, NULL, 10);
        (void)fclose(comm);
    }
    (void)fclose(children);
    assert_int_not_equal(result, 0);
    return result;
}

static pid_t warden(void)
{
    return child_of(getpid(), "glancefs-warden");
}

static int start(const struct fixture *fixture, struct gpg_operation **ret, struct error *err)
{
    const struct gpg_operation_options options = {.helper = fixture->helper,
                                                  .verb = GPG_DECRYPT,
                                                  .arena = bed_arena(),
                                                  .passphrase = fixture->passphrase};

    return gpg_operation_start(&options, NULL, ret, err);
}

/* Has one gpg run and end, after which the server must be there. */
static void run_one(const struct fixture *fixture)
{
    CLEANUP(gpg_operation_free) struct gpg_operation *operation = NULL;
    struct gpg_exchange exchange = {.is_last = true};
    struct error err = ERROR_INIT;
    char output[64];

    exchange.output = output;
    exchange.output_size = sizeof output;
    assert_succeeds(start(fixture, &operation, &err));
    while (!gpg_operation_has_ended(operation))
        assert_succeeds(gpg_operation_exchange(operation, &exchange, NULL, &err));
}

static void line_of(pid_t pid, const char *name, char *ret, size_t size)
{
    const size_t length = strlen(name);
    char path[64];
    bool found = false;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
    file = fopen(path, "re");
    assert_non_null(file);
    while (!found && fgets(ret, (int)size, file) != NULL)
        found = strncmp(ret, name, length) == 0;
    (void)fclose(file);
    assert_true(found);
}

static void is_confined(pid_t pid)
{
    char line[256];

    line_of(pid, "CapEff:", line, sizeof line);
    assert_string_equal(line, "CapEff:\t0000000000000000\n");
    line_of(pid, "NoNewPrivs:", line, sizeof line);
    assert_string_equal(line, "NoNewPrivs:\t1\n");
}

static void confined_it_still_runs_gpg(void **state)
{
    const struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(gpg_helper_confine(fixture->helper, true, &err));
    run_one(fixture);
    is_confined(warden());
    is_confined(child_of(warden(), "glancefs-gpg"));
}

static void it_gives_up_capabilities_alone_when_told(void **state)
{
    const struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    char line[256];

    assert_succeeds(gpg_helper_confine(fixture->helper, false, &err));
    run_one(fixture);
    is_confined(warden());
    line_of(warden(), "Seccomp:", line, sizeof line);
    assert_string_equal(line, "Seccomp:\t0\n");
}

static void a_home_that_is_not_there_is_refused(void **state)
{
    const struct fixture *fixture = *state;
    const struct gpg_operation_options options = {.helper = fixture->helper,
                                                  .verb = GPG_DECRYPT,
                                                  .home = GPG_HOME_KEYRING,
                                                  .arena = bed_arena()};
    struct gpg_operation *operation = NULL;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_INVALID, gpg_operation_start(&options, NULL, &operation, &err));
}

static void nonsense_on_a_socket_ends_that_socket_only(void **state)
{
    const struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    uint8_t answer[LIMIT_GPG_MESSAGE_BYTES];
    size_t size;
    int socket;

    assert_succeeds(gpg_helper_connect(fixture->helper, &socket, &err));
    assert_succeeds(descriptor_message_send(socket, "\xff nonsense", 10, NULL, 0, &err));
    assert_succeeds(
        descriptor_message_receive(socket, answer, sizeof answer, &size, NULL, 0, &err));
    assert_fails(ERROR_CORRUPT, gpg_answer_read(answer, size, &err));
    assert_succeeds(
        descriptor_message_receive(socket, answer, sizeof answer, &size, NULL, 0, &err));
    assert_int_equal(size, 0);
    (void)close(socket);
    run_one(fixture);
}

static void a_killed_server_is_told_and_leaves_nothing(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(gpg_operation_free) struct gpg_operation *operation = NULL;
    struct gpg_operation *another = NULL;
    struct gpg_exchange exchange = {.input_size = 0};
    struct error err = ERROR_INIT;

    assert_succeeds(start(fixture, &operation, &err));
    assert_int_equal(kill(child_of(warden(), "glancefs-gpg"), SIGKILL), 0);
    assert_fails(ERROR_UNAVAILABLE, gpg_operation_exchange(operation, &exchange, NULL, &err));
    assert_true(processes_with_become(fixture->bed.runtime, 0));
    assert_false(gpg_helper_is_alive(fixture->helper));
    assert_fails(ERROR_UNAVAILABLE, start(fixture, &another, &err));
    assert_int_equal(err.errnum, EIO);
}

static void a_killed_child_takes_its_gpg_along(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(gpg_operation_free) struct gpg_operation *operation = NULL;
    struct gpg_exchange exchange = {.input_size = 0};
    struct error err = ERROR_INIT;

    assert_succeeds(start(fixture, &operation, &err));
    assert_true(processes_with_become(fixture->bed.runtime, 1));
    assert_int_equal(kill(child_of(child_of(warden(), "glancefs-gpg"), "glancefs-gpg-op"), SIGKILL),
                     0);
    assert_fails(ERROR_UNAVAILABLE, gpg_operation_exchange(operation, &exchange, NULL, &err));
    assert_true(gpg_leaves(fixture->bed.runtime));
    assert_true(gpg_helper_is_alive(fixture->helper));
    run_one(fixture);
}

static void a_server_without_a_warden_cleans_up(void **state)
{
    const struct fixture *fixture = *state;

    run_one(fixture);
    assert_int_equal(kill(warden(), SIGKILL), 0);
    assert_true(gpg_helper_is_alive(fixture->helper));
    run_one(fixture);
}

/* As a terminal sends it, or a service manager that stops a service. */
static void signals_do_not_end_it(void **state)
{
    const struct fixture *fixture = *state;
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    pid_t server;

    run_one(fixture);
    server = child_of(warden(), "glancefs-gpg");
    for (size_t i = 0; i < ELEMENTS_OF(signals); i++) {
        assert_int_equal(kill(warden(), signals[i]), 0);
        assert_int_equal(kill(server, signals[i]), 0);
    }
    run_one(fixture);
    assert_int_equal(child_of(warden(), "glancefs-gpg"), server);
}

static void what_it_cannot_start_with_is_told(void **state)
{
    struct gpg_helper *helper = NULL;
    struct error err = ERROR_INIT;
    const struct gpg_helper_options options[] = {
        {.keyring = "/nowhere"},
        {.has_home = true, .runtime = "relative"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(options); i++)
        assert_fails(ERROR_INVALID, gpg_helper_start(&options[i], &helper, &err));
}

#define helper_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        helper_test(confined_it_still_runs_gpg),
        helper_test(it_gives_up_capabilities_alone_when_told),
        helper_test(a_home_that_is_not_there_is_refused),
        helper_test(nonsense_on_a_socket_ends_that_socket_only),
        helper_test(a_killed_server_is_told_and_leaves_nothing),
        helper_test(a_killed_child_takes_its_gpg_along),
        helper_test(a_server_without_a_warden_cleans_up),
        helper_test(signals_do_not_end_it),
        helper_test(what_it_cannot_start_with_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
