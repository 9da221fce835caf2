/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of the program: each is one file command_<name>.c with one function, listed in the
 * table of main.c. A command parses its own arguments with getopt_long, prints its own --help and
 * returns an exit code of the list below, which scripts may rely on. After a command that succeeded
 * main() flushes and closes standard output, and fails when something of it was lost.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "glancefs/error.h"

enum exit_code {
    EXIT_CODE_OK = 0,          /* done; for decrypt: every byte is vouched for */
    EXIT_CODE_FAILED = 1,      /* any failure without a code of its own */
    EXIT_CODE_USAGE = 2,       /* bad arguments, option or configuration file */
    EXIT_CODE_NOT_FOUND = 3,   /* no such image, key, file or mount */
    EXIT_CODE_DENIED = 4,      /* permission, policy, or the key manager refused */
    EXIT_CODE_CORRUPT = 5,     /* damaged data or a wrong passphrase */
    EXIT_CODE_UNSUPPORTED = 6, /* a format or feature that is named but not served */
    EXIT_CODE_UNAVAILABLE = 7, /* a service did not answer, or in time */
    EXIT_CODE_EXISTS = 8,      /* already there or already active */
    EXIT_CODE_INTERRUPTED = 130,
};

struct command {
    const char *name;
    const char *summary;               /* one line for `glancefs --help` */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
};

/* One per command_<name>.c. */
int command_attach(int argc, char **argv);
int command_cache(int argc, char **argv);
int command_commit(int argc, char **argv);
int command_decrypt(int argc, char **argv);
int command_encrypt(int argc, char **argv);
int command_fetch(int argc, char **argv);
int command_images(int argc, char **argv);
int command_key(int argc, char **argv);
int command_mount(int argc, char **argv);
int command_status(int argc, char **argv);
int command_upload(int argc, char **argv);
int command_uploads(int argc, char **argv);

/** The exit code for an error kind. */
int exit_code_from_error(const struct error *err);

/** Prints "glancefs <command>: <message>" on standard error and gives the exit code. */
int command_fail(const char *command, const struct error *err);

/** Prints a usage error with a pointer to --help and gives EXIT_CODE_USAGE. */
__attribute__((format(printf, 2, 3))) int command_usage_error(const char *command,
                                                              const char *format, ...);

/** Puts "image <id>: " before the message unless that names the image already, as services do.
 *  Returns -1. */
int command_prefix_image(struct error *err, const char *id);

/** Folds the UUID `id` to lower case in place, as services know it; any other text stays as it is,
 *  for the service to refuse. */
void command_fold_id(char *id);

#endif
