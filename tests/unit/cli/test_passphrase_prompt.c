/* SPDX-License-Identifier: Apache-2.0 */
/* On a pseudo-terminal, whose other end plays the person. */
#include "cli/passphrase_prompt.h"

#include "cli/wake_on_cancel.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

struct terminal {
    int person, program;
};

static void open_terminal(struct terminal *terminal)
{
    terminal->person = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal->person >= 0);
    assert_int_equal(grantpt(terminal->person), 0);
    assert_int_equal(unlockpt(terminal->person), 0);
    terminal->program = open(ptsname(terminal->person), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal->program >= 0);
}

static void close_terminal(struct terminal *terminal)
{
    (void)close(terminal->program);
    (void)close(terminal->person);
}

static bool echoes(const struct terminal *terminal)
{
    struct termios settings;

    assert_int_equal(tcgetattr(terminal->program, &settings), 0);
    return (settings.c_lflag & ECHO) != 0;
}

/* A person who answers each question, that is each ": " on the screen. */
struct person {
    const struct terminal *terminal;
    const char *const *answers;
    size_t count;
    char screen[1024];
    size_t size;
};

static void *answer(void *context)
{
    struct person *person = context;

    for (size_t given = 0; given < person->count; given++) {
        do {
            ssize_t got = read(person->terminal->person, person->screen + person->size,
                               sizeof person->screen - 1 - person->size);

            if (got <= 0)
                return NULL;
            person->size += (size_t)got;
        } while (strstr(person->screen, ": ") == NULL);
        memset(strstr(person->screen, ": "), '.', 2);
        if (write(person->terminal->person, person->answers[given],
                  strlen(person->answers[given])) < 0)
            return NULL;
    }
    return NULL;
}

/* Asks once or twice while a person answers; what was on the screen is left in `person`. */
static int prompt(struct secure_arena *arena, struct person *person, bool twice,
                  struct secure_buffer **ret, struct error *err)
{
    struct terminal terminal;
    pthread_t thread;
    int result;

    open_terminal(&terminal);
    person->terminal = &terminal;
    assert_int_equal(pthread_create(&thread, NULL, answer, person), 0);
    result = twice ? passphrase_prompt_twice(terminal.program, arena, NULL, ret, err)
                   : passphrase_prompt(terminal.program, "Passphrase: ", arena, NULL, ret, err);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(echoes(&terminal));
    close_terminal(&terminal);
    return result;
}

static void a_line_without_its_end_is_the_passphrase(void **state)
{
    static const char *const answers[] = {"  correct horse \n"};
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = NULL;
    struct person person = {.answers = answers, .count = 1};
    struct error err = ERROR_INIT;

    assert_succeeds(prompt(*state, &person, false, &passphrase, &err));
    assert_int_equal(secure_buffer_size(passphrase), 16);
    assert_memory_equal(secure_buffer_bytes(passphrase), "  correct horse ", 16);
    assert_true(secure_arena_contains(*state, secure_buffer_bytes(passphrase)));
}

static void what_is_typed_is_not_shown(void **state)
{
    static const char *const answers[] = {"correct horse\n", "correct horse\n"};
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = NULL;
    struct person person = {.answers = answers, .count = 2};
    struct error err = ERROR_INIT;

    assert_succeeds(prompt(*state, &person, true, &passphrase, &err));
    assert_null(strstr(person.screen, "horse"));
}

static void an_empty_line_is_rejected(void **state)
{
    static const char *const answers[] = {"\n"};
    struct person person = {.answers = answers, .count = 1};
    struct secure_buffer *passphrase = NULL;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_KEY_REJECTED, prompt(*state, &person, false, &passphrase, &err));
    assert_null(passphrase);
}

static void two_different_lines_are_rejected(void **state)
{
    static const char *const answers[] = {"correct horse\n", "correct house\n"};
    struct person person = {.answers = answers, .count = 2};
    struct secure_buffer *passphrase = NULL;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_KEY_REJECTED, prompt(*state, &person, true, &passphrase, &err));
    assert_message_has("differ");
    assert_null(passphrase);
}

static void something_else_than_a_terminal_is_refused(void **state)
{
    CLEANUP(fd_close) int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct secure_buffer *passphrase = NULL;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_SYSTEM, passphrase_prompt(fd, "?", *state, NULL, &passphrase, &err));
}

static void *cancel_soon(void *context)
{
    (void)usleep(50000);
    cancel_request(context);
    return NULL;
}

/* Nobody ever answers: a blocking read that only the cancel token can end. */
static void a_cancelled_prompt_ends_and_restores_the_echo(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct secure_buffer *passphrase = NULL;
    struct cancel_listener listener;
    struct terminal terminal;
    struct error err = ERROR_INIT;
    pthread_t thread;
    int result;

    open_terminal(&terminal);
    assert_succeeds(cancel_new(&cancel, &err));
    wake_on_cancel_start(cancel, &listener);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, cancel), 0);
    result = passphrase_prompt(terminal.program, "Passphrase: ", *state, cancel, &passphrase, &err);
    assert_int_equal(pthread_join(thread, NULL), 0);
    wake_on_cancel_stop(cancel, &listener);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERROR_CANCELLED);
    assert_true(echoes(&terminal));
    close_terminal(&terminal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_without_its_end_is_the_passphrase),
        cmocka_unit_test(what_is_typed_is_not_shown),
        cmocka_unit_test(an_empty_line_is_rejected),
        cmocka_unit_test(two_different_lines_are_rejected),
        cmocka_unit_test(something_else_than_a_terminal_is_refused),
        cmocka_unit_test(a_cancelled_prompt_ends_and_restores_the_echo),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
