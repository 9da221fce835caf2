/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stream_command.h"

#include "base/clock.h"
#include "base/file_sink.h"
#include "base/file_source.h"
#include "cli/command.h"
#include "cli/key_file.h"
#include "cli/passphrase_prompt.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/signal_cancel.h"
#include "cli/wake_on_cancel.h"
#include "crypto/crypto_library.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* What a codec and its pieces need at most: a chunk of LIMIT_AEAD_CHUNK_BYTES, bzip2's 4 MiB, and
 * room for libgcrypt. A plain user may lock 8 MiB, and nearly every message needs 2. */
#define COMMAND_ARENA_BYTES (12 * MIB)

struct stream_options {
    const char *key_file;  /* NULL: ask */
    const char *output;    /* NULL: standard output */
    const char *input;     /* "-": standard input */
    struct config *config; /* engine and aead; nothing else of it is used */
    bool shows_help;
};

/* 0, or the exit code of a usage error. */
static int set_codec_option(const struct stream_command *command, struct config *config,
                            const char *name, const char *value, const char *origin)
{
    struct error err = ERROR_INIT;

    if (config_set(config, name, value, origin, &err) < 0)
        return command_usage_error(command->name, "%s", err.message);
    return 0;
}

/* 0, or the exit code of a usage error. */
static int take_option(const struct stream_command *command, int option, char **argv,
                       struct stream_options *options)
{
    if (option == 'k')
        options->key_file = optarg;
    else if (option == 'o')
        options->output = optarg;
    else if (option == 'h')
        options->shows_help = true;
    else if (option == 'e')
        return set_codec_option(command, options->config, "engine", optarg, "--engine");
    else if (option == 'a' && command->encrypts)
        return set_codec_option(command, options->config, "aead", optarg, "--aead");
    else
        return command_usage_error(command->name, "bad option '%s'", argv[optind - 1]);
    return 0;
}

/* 0, or the exit code of a usage error. */
static int parse_options(const struct stream_command *command, int argc, char **argv,
                         struct stream_options *options)
{
    static const struct option table[] = {
        {"key-file", required_argument, NULL, 'k'}, {"output", required_argument, NULL, 'o'},
        {"engine", required_argument, NULL, 'e'},   {"aead", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "ho:", table, NULL)) != -1) {
        int code = take_option(command, option, argv, options);

        if (code != 0)
            return code;
    }
    if (options->shows_help)
        return 0;
    if (argc - optind != 1)
        return command_usage_error(command->name, "name one FILE, or - for standard input");
    options->input = argv[optind];
    if (options->key_file != NULL && strcmp(options->key_file, "-") == 0 &&
        strcmp(options->input, "-") == 0)
        return command_usage_error(command->name, "standard input cannot be both key and data");
    return 0;
}

static int open_input(const char *path, struct byte_source **ret, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;

    fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_set_errno(err, errno, "%s", path);
    if (file_source_from_fd(fd, ret, err) < 0)
        return error_prefix(err, "%s", path);
    (void)steal_fd(&fd);
    return 0;
}

/* A rename over a device or pipe would replace it. */
static int open_output(const char *path, struct byte_sink **ret, struct error *err)
{
    struct stat status;

    if (path == NULL)
        return file_sink_to_fd(STDOUT_FILENO, ret, err);
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return error_set(err, ERROR_INVALID,
                         "%s: not a regular file (standard output can go anywhere)", path);
    return file_sink_publish_path(path, S_IRUSR | S_IWUSR, ret, err);
}

static int ask_passphrase(const struct stream_command *command, struct secure_arena *arena,
                          struct cancel *cancel, struct secure_buffer **ret, struct error *err)
{
    CLEANUP(fd_close) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    if (tty < 0)
        return error_set(err, ERROR_KEY_REJECTED,
                         "no terminal to ask for the passphrase: use --key-file");
    return command->encrypts ? passphrase_prompt_twice(tty, arena, cancel, ret, err)
                             : passphrase_prompt(tty, "Passphrase: ", arena, cancel, ret, err);
}

/* The last errors of a written file show when it is closed. */
static int close_output(const struct stream_options *options, struct error *err)
{
    if (options->output == NULL && close(STDOUT_FILENO) < 0)
        return error_set_errno(err, errno, "write");
    return 0;
}

/* Those are about what was read; a system's error says itself what failed. */
static int name_input(const struct stream_options *options, struct error *err)
{
    if (err->kind == ERROR_CORRUPT || err->kind == ERROR_UNSUPPORTED ||
        err->kind == ERROR_TOO_LARGE)
        (void)error_prefix(err, "%s",
                           strcmp(options->input, "-") == 0 ? "standard input" : options->input);
    return -1;
}

static int run_job(const struct stream_command *command, const struct stream_options *options,
                   struct stream_job *job, struct byte_source **input, struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *counted = NULL;
    CLEANUP(byte_sink_free) struct byte_sink *output = NULL;
    const bool is_terminal =
        isatty(STDERR_FILENO) != 0 && (options->output != NULL || isatty(STDOUT_FILENO) == 0);
    struct progress progress;
    int result;

    progress_start(&progress, stderr, is_terminal, command->name, byte_source_size(*input),
                   clock_monotonic_ns());
    if (progress_source_new(*input, &progress, &counted, err) < 0)
        return -1;
    (void)steal(input);
    if (open_output(options->output, &output, err) < 0)
        return -1;
    job->input = counted;
    job->output = output;
    result = command->run(job, err);
    progress_finish(&progress);
    return result < 0 ? name_input(options, err) : close_output(options, err);
}

/* Whatever may block without a cancel token (opening a pipe, a key from one) comes before the token
 * takes the signals, so that they still end the process then. */
static int run_with_signals(const struct stream_command *command,
                            const struct stream_options *options, struct stream_job *job,
                            struct byte_source **input, struct secure_buffer **passphrase,
                            struct error *err)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct cancel_listener waker;
    int result = 0;

    if (signal_cancel_start(&cancel, err) < 0)
        return -1;
    wake_on_cancel_start(cancel, &waker);
    if (*passphrase == NULL)
        result = ask_passphrase(command, job->arena, cancel, passphrase, err);
    if (result == 0) {
        job->cancel = cancel;
        job->passphrase = *passphrase;
        result = run_job(command, options, job, input, err);
    }
    wake_on_cancel_stop(cancel, &waker);
    return result;
}

static int run(const struct stream_command *command, const struct stream_options *options,
               struct error *err)
{
    static const struct sigaction ignore = {.sa_handler = SIG_IGN};
    CLEANUP(byte_source_free) struct byte_source *input = NULL;
    CLEANUP(secure_arena_free) struct secure_arena *arena = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = NULL;
    CLEANUP(codecs_free) struct codecs *codecs = NULL;
    struct stream_job job = {0};

    /* A closed pipe is then an error of write, told like any other. */
    (void)sigaction(SIGPIPE, &ignore, NULL);
    if (open_input(options->input, &input, err) < 0 ||
        secure_arena_new(COMMAND_ARENA_BYTES, &arena, err) < 0 ||
        crypto_library_setup(arena, err) < 0 ||
        session_make_codecs(options->config, &codecs, err) < 0)
        return -1;
    if (options->key_file != NULL && key_file_read(options->key_file, arena, &passphrase, err) < 0)
        return -1;
    job.arena = arena;
    job.codecs = codecs;
    return run_with_signals(command, options, &job, &input, &passphrase, err);
}

int stream_command_run(const struct stream_command *command, int argc, char **argv)
{
    CLEANUP(config_free) struct config *config = NULL;
    struct stream_options options = {.input = "-"};
    struct error err = ERROR_INIT;
    int code;

    if (config_new(&config, &err) < 0)
        return command_fail(command->name, &err);
    options.config = config;
    code = parse_options(command, argc, argv, &options);
    if (code != 0)
        return code;
    if (options.shows_help) {
        (void)fputs(command->help, stdout);
        return EXIT_CODE_OK;
    }
    if (run(command, &options, &err) < 0)
        return command_fail(command->name, &err);
    return EXIT_CODE_OK;
}
