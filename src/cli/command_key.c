/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/key_file.h"
#include "cli/new_secret.h"
#include "cli/session.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define COMMAND "key"

static const char help[] =
    "Usage: glancefs key create [--name NAME] [--type passphrase|symmetric]\n"
    "       glancefs key import [--name NAME] [--type TYPE] FILE|-\n"
    "Stores a new secret in the cloud's key manager and prints its id, alone, on standard output.\n"
    "\n"
    "create  makes 256 random bits. A passphrase is their base64 text; a symmetric key is the 32\n"
    "        bytes themselves, whose 64 lower-case hex digits then serve as the passphrase.\n"
    "import  stores the exact bytes of FILE (- is standard input), a final line feed included.\n"
    "\n"
    "  --name NAME     a name for people\n"
    "  --type TYPE     passphrase (the default), symmetric, opaque, private, public, "
    "certificate\n" SESSION_OPTIONS_HELP "  --help          this text\n"
    "The directory of a local cloud is made when it is absent.\n";

struct key_options {
    struct session_options session;
    const char *name;
    const char *type; /* NULL: passphrase */
    bool shows_help;
};

/* 0, or the exit code of a usage error. */
static int parse_options(int argc, char **argv, struct key_options *options)
{
    static const struct option table[] = {
        {"cloud", required_argument, NULL, 'c'},
        {"os-cloud", required_argument, NULL, 'o'},
        {"config", required_argument, NULL, 'f'},
        {"name", required_argument, NULL, 'n'},
        {"type", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        if (option == 'c')
            options->session.cloud = optarg;
        else if (option == 'o')
            options->session.os_cloud = optarg;
        else if (option == 'f')
            options->session.config_path = optarg;
        else if (option == 'n')
            options->name = optarg;
        else if (option == 't')
            options->type = optarg;
        else if (option == 'h')
            options->shows_help = true;
        else
            return command_usage_error(COMMAND, "bad option '%s'", argv[optind - 1]);
    }
    return 0;
}

static const char *type_of(const struct key_options *options)
{
    return options->type == NULL ? SECRET_TYPE_PASSPHRASE : options->type;
}

/* Editors and echo(1) leave a line feed that nobody meant, and gpg would ignore it. */
static void warn_of_line_feed(const char *type, const struct secure_buffer *payload)
{
    const size_t size = secure_buffer_size(payload);

    if (strcmp(type, SECRET_TYPE_PASSPHRASE) == 0 && secure_buffer_bytes(payload)[size - 1] == '\n')
        (void)fprintf(stderr, "glancefs key: note: the passphrase ends with a line feed, which is "
                              "part of it\n");
}

static int fill_metadata(const struct key_options *options, struct secret_metadata *ret,
                         struct error *err)
{
    const char *name = options->name == NULL ? "" : options->name;
    const char *type = type_of(options);

    if (strlen(type) >= sizeof ret->secret_type)
        return error_set(err, ERROR_INVALID, "unknown secret type '%s'", type);
    if (strlen(name) >= sizeof ret->name)
        return error_set(err, ERROR_INVALID, "the name is longer than %zu bytes",
                         sizeof ret->name - 1);
    (void)snprintf(ret->secret_type, sizeof ret->secret_type, "%s", type);
    (void)snprintf(ret->name, sizeof ret->name, "%s", name);
    return 0;
}

/* Stores the bytes of `file`, or new ones when it is NULL. */
static int store_key(const struct key_options *options, const char *file, char ret_id[37],
                     struct error *err)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP(session_free) struct session *session = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    struct secret_metadata metadata;
    int result;

    if (fill_metadata(options, &metadata, err) < 0 ||
        session_load_options(&options->session, &config, err) < 0 ||
        session_make_local_cloud(config, COMMAND, err) < 0 ||
        session_open(config, SESSION_COMMAND_ARENA_BYTES, &session, err) < 0)
        return -1;
    result = file == NULL ? new_secret_make(metadata.secret_type, session->arena, &payload, err)
                          : key_file_read(file, session->arena, &payload, err);
    if (result < 0)
        return -1;
    if (file != NULL)
        warn_of_line_feed(metadata.secret_type, payload);
    return key_manager_store(session->cloud->keys, &metadata, payload, NULL, ret_id, err);
}

static int run(int argc, char **argv, bool imports)
{
    struct key_options options = {0};
    struct error err = ERROR_INIT;
    char id[37];
    int code = parse_options(argc, argv, &options);

    if (code != 0)
        return code;
    if (options.shows_help) {
        (void)fputs(help, stdout);
        return EXIT_CODE_OK;
    }
    if (argc - optind != (imports ? 1 : 0))
        return command_usage_error(COMMAND, imports
                                                ? "import takes one FILE, or - for standard input"
                                                : "create takes no argument");
    if (store_key(&options, imports ? argv[optind] : NULL, id, &err) < 0)
        return command_fail(COMMAND, &err);
    (void)printf("%s\n", id);
    return EXIT_CODE_OK;
}

int command_key(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "create") == 0)
        return run(argc - 1, argv + 1, false);
    if (argc >= 2 && strcmp(argv[1], "import") == 0)
        return run(argc - 1, argv + 1, true);
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        (void)fputs(help, stdout);
        return EXIT_CODE_OK;
    }
    return command_usage_error(COMMAND, "say create or import");
}
