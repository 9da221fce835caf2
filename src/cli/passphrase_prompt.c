/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/passphrase_prompt.h"

#include <errno.h>
#include <string.h>
#include <termios.h>

/* The longest line that a terminal hands over (N_TTY_BUF_SIZE). */
#define TERMINAL_LINE_BYTES 4096

/* In canonical mode one read gives one line, whole. */
static int read_line(int tty, struct cancel *cancel, struct secure_buffer *line, struct error *err)
{
    ssize_t result;

    secure_buffer_set_size(line, TERMINAL_LINE_BYTES);
    do {
        if (cancel_check(cancel, err) < 0)
            return -1;
        result = read(tty, secure_buffer_data(line), TERMINAL_LINE_BYTES);
    } while (result < 0 && errno == EINTR);
    if (result < 0)
        return error_set_errno(err, errno, "terminal");
    if (result > 0 && secure_buffer_bytes(line)[result - 1] == '\n')
        result--;
    secure_buffer_set_size(line, (size_t)result);
    if (result == 0)
        return error_set(err, ERROR_KEY_REJECTED, "the passphrase is empty");
    return 0;
}

static int ask(int tty, const char *question, struct cancel *cancel, struct secure_buffer *line,
               struct error *err)
{
    struct termios before, silent;
    int result;

    if (tcgetattr(tty, &before) < 0)
        return error_set_errno(err, errno, "terminal");
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    silent.c_lflag |= ECHONL | ICANON;
    if (tcsetattr(tty, TCSAFLUSH, &silent) < 0)
        return error_set_errno(err, errno, "terminal");
    result = write(tty, question, strlen(question)) < 0 ? error_set_errno(err, errno, "terminal")
                                                        : read_line(tty, cancel, line, err);
    (void)tcsetattr(tty, TCSADRAIN, &before);
    return result;
}

int passphrase_prompt(int tty, const char *question, struct secure_arena *arena,
                      struct cancel *cancel, struct secure_buffer **ret, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *line = NULL;

    if (secure_buffer_new(arena, TERMINAL_LINE_BYTES, &line, err) < 0 ||
        ask(tty, question, cancel, line, err) < 0)
        return -1;
    *ret = steal(&line);
    return 0;
}

int passphrase_prompt_twice(int tty, struct secure_arena *arena, struct cancel *cancel,
                            struct secure_buffer **ret, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *first = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *second = NULL;

    if (passphrase_prompt(tty, "Passphrase: ", arena, cancel, &first, err) < 0 ||
        passphrase_prompt(tty, "Again: ", arena, cancel, &second, err) < 0)
        return -1;
    if (!secure_buffer_equal(first, second))
        return error_set(err, ERROR_KEY_REJECTED, "the two passphrases differ");
    *ret = steal(&first);
    return 0;
}
