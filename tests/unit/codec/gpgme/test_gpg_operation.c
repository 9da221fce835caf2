/* SPDX-License-Identifier: Apache-2.0 */
/* One run of gpg: what it is given, and that it always ends. */
#include "codec/gpgme/gpg_operation.h"

#include "base/clock.h"
#include "codec/gpgme/gpg_helper.h"
#include "gpgme_bed.h"
#include "support/child_process.h"
#include "support/delay.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PASSPHRASE "correct horse"

/* The packet with "content" in the message: what gpg leaves of it. */
#define LITERAL_BYTES 15

struct fixture {
    struct gpgme_bed bed;
    struct gpg_helper *helper;
    struct secure_buffer *passphrase, *output;
    struct octets message;
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct error err = ERROR_INIT;

    memset(&fixture, 0, sizeof fixture);
    gpgme_bed_open(&fixture.bed);
    fixture.passphrase = bed_passphrase(PASSPHRASE);
    const struct gpg_helper_options options = {.has_home = true, .runtime = fixture.bed.runtime};
    if (gpg_helper_start(&options, &fixture.helper, &err) < 0 ||
        secure_buffer_new(bed_arena(), 4096, &fixture.output, &err) < 0)
        return -1;
    build_message(&fixture.message, PASSPHRASE, "content", 7);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    octets_clear(&fixture->message);
    secure_buffer_free(fixture->output);
    secure_buffer_free(fixture->passphrase);
    gpg_helper_free(fixture->helper);
    gpgme_bed_close(&fixture->bed);
    return secure_arena_used(bed_arena()) == 0 ? 0 : -1;
}

static struct gpg_operation *start_within(const struct fixture *fixture, unsigned stall_seconds,
                                          unsigned total_seconds)
{
    const struct gpg_operation_options options = {.helper = fixture->helper,
                                                  .verb = GPG_DECRYPT,
                                                  .arena = bed_arena(),
                                                  .passphrase = fixture->passphrase,
                                                  .stall_seconds = stall_seconds,
                                                  .total_seconds = total_seconds};
    struct gpg_operation *operation = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(gpg_operation_start(&options, NULL, &operation, &err));
    return operation;
}

static struct gpg_operation *start(const struct fixture *fixture, unsigned stall_seconds)
{
    return start_within(fixture, stall_seconds, 0);
}

static struct gpg_exchange wants_output(struct fixture *fixture)
{
    return (struct gpg_exchange){.output = secure_buffer_data(fixture->output),
                                 .output_size = secure_buffer_capacity(fixture->output)};
}

/* Feeds the rest of the message, from `done` on, and returns the bytes that came. */
static size_t finish(struct fixture *fixture, struct gpg_operation *operation, size_t done)
{
    struct gpg_exchange exchange = wants_output(fixture);
    struct error err = ERROR_INIT;
    size_t given = 0;

    while (!gpg_operation_has_ended(operation)) {
        exchange.input = fixture->message.data + done;
        exchange.input_size = fixture->message.size - done;
        exchange.is_last = done == fixture->message.size;
        assert_succeeds(gpg_operation_exchange(operation, &exchange, NULL, &err));
        done += exchange.taken;
        given += exchange.given;
    }
    return given;
}

static void a_sound_message_comes_through(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(gpg_operation_free) struct gpg_operation *operation = start(fixture, 0);

    assert_int_equal(finish(fixture, operation, 0), LITERAL_BYTES);
    assert_memory_equal(secure_buffer_bytes(fixture->output),
                        "\xcb\x0d"
                        "b",
                        3);
    assert_memory_equal(secure_buffer_bytes(fixture->output) + LITERAL_BYTES - 7, "content", 7);
    assert_true(gpg_operation_asked(operation));
    assert_true(gpg_operation_took_all(operation));
    assert_true(gpg_status_is_sound(gpg_operation_status(operation)));
}

static void gpg_gets_no_environment_of_ours_and_a_group_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(gpg_operation_free) struct gpg_operation *operation = NULL;
    pid_t gpg = 0;

    assert_int_equal(setenv("OS_PASSWORD", "glancefs-test-secret", 1), 0);
    operation = start(fixture, 0);
    assert_int_equal(unsetenv("OS_PASSWORD"), 0);
    assert_true(processes_with_become(fixture->bed.runtime, 1));
    assert_int_equal(processes_with(fixture->bed.runtime, &gpg), 1);
    assert_int_equal(processes_with("glancefs-test-secret", NULL), 0);
    assert_int_not_equal(getpgid(gpg), getpgrp());
    assert_int_equal(finish(fixture, operation, 0), LITERAL_BYTES);
}

static void a_gpg_that_stalls_is_an_error_and_ended(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(gpg_operation_free) struct gpg_operation *operation = start(fixture, 1);
    struct gpg_exchange exchange = wants_output(fixture);
    struct error err = ERROR_INIT;

    assert_fails(ERROR_TIMEOUT, gpg_operation_exchange(operation, &exchange, NULL, &err));
    assert_int_equal(processes_with(fixture->bed.runtime, NULL), 1);
    gpg_operation_free(steal(&operation));
    assert_true(processes_with_become(fixture->bed.runtime, 0));
}

/* Bytes that it takes in between are no excuse. */
static void a_gpg_whose_time_is_up_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(gpg_operation_free) struct gpg_operation *operation = start_within(fixture, 0, 1);
    struct gpg_exchange exchange = wants_output(fixture);
    struct error err = ERROR_INIT;
    size_t done = 0;
    int result = 0;

    while (result == 0) {
        assert_in_range(done, 0, fixture->message.size - 1);
        exchange.input = fixture->message.data + done;
        exchange.input_size = 1;
        result = gpg_operation_exchange(operation, &exchange, NULL, &err);
        done += exchange.taken;
        (void)delay(100, NULL, &(struct error)ERROR_INIT);
    }
    assert_int_equal(err.kind, ERROR_TIMEOUT);
}

static bool blocks_no_signal(pid_t pid)
{
    char path[64], line[256];
    bool found = false;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
    file = fopen(path, "re");
    assert_non_null(file);
    while (!found && fgets(line, sizeof line, file) != NULL)
        found = strcmp(line, "SigBlk:\t0000000000000000\n") == 0;
    (void)fclose(file);
    return found;
}

/* One that cannot hear SIGTERM would take its time to be killed. */
static void a_gpg_of_a_daemon_that_blocks_signals_hears_its_end(void **state)
{
    struct fixture *fixture = *state;
    const struct gpg_helper_options options = {.has_home = true, .runtime = fixture->bed.runtime};
    struct error err = ERROR_INIT;
    sigset_t all, before;
    pid_t gpg = 0;

    gpg_helper_free(steal(&fixture->helper));
    assert_int_equal(sigfillset(&all), 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &all, &before), 0);
    assert_succeeds(gpg_helper_start(&options, &fixture->helper, &err));
    CLEANUP(gpg_operation_free) struct gpg_operation *operation = start(fixture, 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    assert_true(processes_with_become(fixture->bed.runtime, 1));
    assert_int_equal(processes_with(fixture->bed.runtime, &gpg), 1);
    assert_true(blocks_no_signal(gpg));
    assert_false(gpg_operation_has_ended(operation));
}

/* It does not hear SIGTERM while it is stopped. */
static void a_gpg_that_ignores_its_end_is_killed(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(gpg_operation_free) struct gpg_operation *operation = start(fixture, 0);
    pid_t gpg = 0;

    assert_true(processes_with_become(fixture->bed.runtime, 1));
    assert_int_equal(processes_with(fixture->bed.runtime, &gpg), 1);
    assert_int_equal(kill(gpg, SIGSTOP), 0);
    gpg_operation_free(steal(&operation));
    assert_true(processes_with_become(fixture->bed.runtime, 0));
}

static void *cancel_soon(void *context)
{
    struct error ignored = ERROR_INIT;

    (void)delay(50, NULL, &ignored);
    cancel_request(context);
    return NULL;
}

static void a_cancelled_wait_ends_at_once_and_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(gpg_operation_free) struct gpg_operation *operation = start(fixture, 0);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct gpg_exchange exchange = wants_output(fixture);
    struct error err = ERROR_INIT;
    uint64_t begin;
    pthread_t thread;
    size_t done;

    assert_succeeds(cancel_new(&cancel, &err));
    exchange.input = fixture->message.data;
    exchange.input_size = fixture->message.size - 1;
    assert_succeeds(gpg_operation_exchange(operation, &exchange, NULL, &err));
    done = exchange.taken;
    exchange.input_size = 0;
    begin = clock_monotonic_ns();
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, cancel), 0);
    assert_fails(ERROR_CANCELLED, gpg_operation_exchange(operation, &exchange, cancel, &err));
    assert_in_range(clock_monotonic_ns() - begin, 0, 10 * NANOSECONDS_PER_SECOND);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_fails(ERROR_CANCELLED, gpg_operation_exchange(operation, &exchange, cancel, &err));
    assert_int_equal(finish(fixture, operation, done), LITERAL_BYTES);
    assert_true(gpg_status_is_sound(gpg_operation_status(operation)));
}

static void a_gpg_that_dies_ends_the_exchange(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(gpg_operation_free) struct gpg_operation *operation = start(fixture, 0);
    pid_t gpg = 0;

    assert_true(processes_with_become(fixture->bed.runtime, 1));
    assert_int_equal(processes_with(fixture->bed.runtime, &gpg), 1);
    assert_int_equal(kill(gpg, SIGKILL), 0);
    assert_int_equal(finish(fixture, operation, 0), 0);
    assert_false(gpg_status_is_sound(gpg_operation_status(operation)));
    assert_false(gpg_operation_asked(operation));
}

/* Is killed with gpg in the middle of a message. */
static int die_with_gpg(void *context)
{
    const struct fixture *fixture = context;
    const struct gpg_helper_options helper_options = {.has_home = true,
                                                      .runtime = fixture->bed.runtime};
    struct gpg_operation_options options = {.verb = GPG_DECRYPT};
    struct gpg_exchange exchange = {.input = fixture->message.data,
                                    .input_size = fixture->message.size - 1};
    struct secure_buffer *passphrase = NULL;
    struct gpg_operation *operation = NULL;
    struct gpg_helper *helper = NULL;
    struct error err = ERROR_INIT;

    if (gpg_helper_start(&helper_options, &helper, &err) < 0 ||
        secure_arena_new(SECURE_ARENA_MINIMUM_BYTES, &options.arena, &err) < 0 ||
        secure_buffer_copy_of(options.arena, PASSPHRASE, strlen(PASSPHRASE), &passphrase, &err) < 0)
        return 1;
    options.helper = helper;
    options.passphrase = passphrase;
    if (gpg_operation_start(&options, NULL, &operation, &err) < 0 ||
        gpg_operation_exchange(operation, &exchange, NULL, &err) < 0 ||
        processes_with(fixture->bed.runtime, NULL) == 0)
        return 2;
    (void)raise(SIGKILL);
    return 3;
}

static void a_killed_parent_leaves_no_gpg_and_no_agent(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(run_in_child(die_with_gpg, fixture), 256 + SIGKILL);
    assert_true(processes_with_become(fixture->bed.runtime, 0));
}

#define operation_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        operation_test(a_sound_message_comes_through),
        operation_test(gpg_gets_no_environment_of_ours_and_a_group_of_its_own),
        operation_test(a_gpg_that_stalls_is_an_error_and_ended),
        operation_test(a_gpg_whose_time_is_up_is_an_error),
        operation_test(a_gpg_of_a_daemon_that_blocks_signals_hears_its_end),
        operation_test(a_gpg_that_ignores_its_end_is_killed),
        operation_test(a_cancelled_wait_ends_at_once_and_loses_nothing),
        operation_test(a_gpg_that_dies_ends_the_exchange),
        operation_test(a_killed_parent_leaves_no_gpg_and_no_agent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
