/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the program as a script would and keeps all that it says. */
#ifndef TESTS_CLI_PROGRAM_H
#define TESTS_CLI_PROGRAM_H

#include "glancefs/cleanup.h"
#include "support/temp_dir.h"

#include <sys/types.h>

/** One finished run. */
struct program_run {
    int exit_code; /* 256 + signal number when one ended it */
    char *output;  /* standard output, NUL-terminated */
    char *errors;  /* standard error */
};

/**
 * Runs `glancefs` with `arguments` (NULL at the end), GLANCEFS_* taken out of the environment,
 * standard input from file `input` of `dir` (NULL: empty). Files for its output stand in `dir`.
 */
struct program_run *program_run(const struct temp_dir *dir, const char *input,
                                const char *const *arguments);

/** Runs it likewise, without input and with device `output` as its standard output. */
struct program_run *program_run_onto(const struct temp_dir *dir, const char *output,
                                     const char *const *arguments);

/** Frees; NULL is allowed. */
void program_run_free(struct program_run *run);
DEFINE_CLEANUP(struct program_run, program_run_free)

/** Starts it likewise and gives its process id. */
pid_t program_start(const struct temp_dir *dir, const char *input, const char *const *arguments);

/** Waits for a started one and collects what it said. */
struct program_run *program_finish(const struct temp_dir *dir, pid_t child);

/** `RUN(dir, input, "key", "create")` */
#define RUN(dir, input, ...) program_run(dir, input, (const char *const[]){__VA_ARGS__, NULL})

#endif
