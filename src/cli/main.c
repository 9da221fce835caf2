/* SPDX-License-Identifier: Apache-2.0 */
/* The program: hardens the process, then runs one command of the table. */
#include "base/process.h"
#include "cli/command.h"
#include "cli/mount_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct command commands[] = {
    {"mount", "mount a cloud's images as decrypted files", command_mount},
    {"attach", "mount for a daemon that may not, and hand it the device", command_attach},
    {"status", "show what a mount is doing", command_status},
    {"decrypt", "decrypt an OpenPGP symmetric message, no mount needed", command_decrypt},
    {"encrypt", "encrypt a file as an OpenPGP symmetric message", command_encrypt},
    {"commit", "seal a file that was written into a mount", command_commit},
    {"upload", "encrypt a file and make it an image", command_upload},
    {"uploads", "list, retry, drop and wait for what was written into a mount", command_uploads},
    {"fetch", "fetch images into the cache before somebody wants them", command_fetch},
    {"cache", "list, verify, evict and prune what is in the cache", command_cache},
    {"images", "list, show and add images of a cloud", command_images},
    {"key", "create or import a key in a cloud's key manager", command_key},
};

static void print_help(FILE *stream)
{
    (void)fprintf(stream, "Usage: glancefs COMMAND [ARGUMENT]...\n"
                          "Decrypted views of encrypted OpenStack images.\n\nCommands:\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        (void)fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
    (void)fprintf(stream,
                  "\n'glancefs COMMAND --help' explains a command.\n"
                  "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 denied, 5 corrupt data or "
                  "wrong passphrase,\n6 not supported, 7 a service is not available, 8 exists, "
                  "130 interrupted.\n");
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int dispatch(int argc, char **argv)
{
    const struct command *command;

    if (argc < 2) {
        print_help(stderr);
        return EXIT_CODE_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return EXIT_CODE_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        (void)printf("glancefs %s\n", GLANCEFS_VERSION);
        return EXIT_CODE_OK;
    }
    command = find_command(argv[1]);
    /* mount.fuse3, and so `mount -t fuse.glancefs` and fstab, run "glancefs SOURCE MOUNT -o ...". */
    if (command == NULL && mount_options_is_source(argv[1]))
        return command_mount(argc, argv);
    if (command == NULL) {
        (void)fprintf(stderr, "glancefs: no command '%s' (see glancefs --help)\n", argv[1]);
        return EXIT_CODE_USAGE;
    }
    return command->run(argc - 1, argv + 1);
}

/* An id that was printed but not written is lost to the script that wants it. Commands that write
 * without stdio have closed the descriptor themselves. */
static int finish_output(const char *command)
{
    struct error err = ERROR_INIT;

    errno = 0;
    if (fflush(stdout) == 0 && ferror(stdout) == 0 && (close(STDOUT_FILENO) == 0 || errno == EBADF))
        return EXIT_CODE_OK;
    (void)error_set_errno(&err, errno == 0 ? EIO : errno, "standard output");
    (void)command_fail(command, &err);
    return EXIT_CODE_FAILED;
}

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    int code;

    if (process_open_standard(&err) < 0)
        return EXIT_CODE_FAILED;
    process_bind_now(argv);
    process_keep_heap_small();
    process_keep_child_status();
    if (process_harden(&err) < 0) {
        (void)fprintf(stderr, "glancefs: %s\n", err.message);
        return EXIT_CODE_FAILED;
    }
    code = dispatch(argc, argv);
    return code == EXIT_CODE_OK ? finish_output(argv[1]) : code;
}
