/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_NAME ".program-output"
#define ERRORS_NAME ".program-errors"
#define MAXIMUM_ARGUMENTS 64
/* Of the child, before it is the program. */
#define EXIT_NOT_STARTED 125

static void redirect(int dir_fd, const char *path, int flags, int to)
{
    int fd = openat(dir_fd, path, flags, 0600);

    if (fd < 0 || dup2(fd, to) < 0)
        _exit(EXIT_NOT_STARTED);
    (void)close(fd);
}

/* Settings of whoever runs the tests are no part of them. */
static void clear_settings(void)
{
    for (char **variable = environ; *variable != NULL;) {
        char name[256];
        size_t length = strcspn(*variable, "=");

        if (strncmp(*variable, "GLANCEFS_", 9) != 0 || length >= sizeof name) {
            variable++;
            continue;
        }
        memcpy(name, *variable, length);
        name[length] = '\0';
        (void)unsetenv(name);
    }
}

static void become_program(const struct temp_dir *dir, const char *input, const char *output,
                           const char *const *arguments)
{
    const char *argv[MAXIMUM_ARGUMENTS + 2] = {"glancefs"};

    for (size_t i = 0; i < MAXIMUM_ARGUMENTS && arguments[i] != NULL; i++)
        argv[i + 1] = arguments[i];
    redirect(temp_dir_fd(dir), input == NULL ? "/dev/null" : input, O_RDONLY, STDIN_FILENO);
    redirect(temp_dir_fd(dir), output, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
    redirect(temp_dir_fd(dir), ERRORS_NAME, O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
    clear_settings();
    (void)execv(GLANCEFS_PROGRAM, (char *const *)argv);
    _exit(EXIT_NOT_STARTED);
}

static pid_t start(const struct temp_dir *dir, const char *input, const char *output,
                   const char *const *arguments)
{
    pid_t child = fork();

    if (child == 0)
        become_program(dir, input, output, arguments);
    if (child < 0)
        abort();
    return child;
}

pid_t program_start(const struct temp_dir *dir, const char *input, const char *const *arguments)
{
    return start(dir, input, OUTPUT_NAME, arguments);
}

struct program_run *program_finish(const struct temp_dir *dir, pid_t child)
{
    struct program_run *run = calloc(1, sizeof *run);
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            abort();
    if (run == NULL)
        abort();
    run->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
    run->output = (char *)temp_dir_read(dir, OUTPUT_NAME, NULL);
    run->errors = (char *)temp_dir_read(dir, ERRORS_NAME, NULL);
    return run;
}

struct program_run *program_run(const struct temp_dir *dir, const char *input,
                                const char *const *arguments)
{
    return program_finish(dir, program_start(dir, input, arguments));
}

struct program_run *program_run_onto(const struct temp_dir *dir, const char *output,
                                     const char *const *arguments)
{
    temp_dir_write(dir, OUTPUT_NAME, "", 0);
    return program_finish(dir, start(dir, NULL, output, arguments));
}

void program_run_free(struct program_run *run)
{
    if (run == NULL)
        return;
    free(run->output);
    free(run->errors);
    free(run);
}
