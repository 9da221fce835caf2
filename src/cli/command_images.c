/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/file_source.h"
#include "base/uuid.h"
#include "cli/command.h"
#include "cli/image_overview.h"
#include "cli/image_report.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/signal_cancel.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define COMMAND "images"

static const char help[] =
    "Usage: glancefs images [--json] [--cache DIR]\n"
    "       glancefs images list [--json]\n"
    "       glancefs images show [--json] ID\n"
    "       glancefs images add [OPTION]... FILE\n"
    "\n"
    "      without a word: the images that a mount can decrypt: id, status, stored size, size of\n"
    "      the plaintext, format, state of the key, whether it is in the cache, name. The key is\n"
    "      ok, none, gone, denied, unusable, or unknown while the key manager does not answer.\n"
    "list  one line per image: id, status, size, format, key, name.\n"
    "show  every property of one image.\n"
    "add   registers FILE, which is encrypted already, as a new active image and prints its id,\n"
    "      alone, on standard output. An image that cannot be uploaded is deleted again.\n"
    "\n"
    "  --id UUID           its id, by default a new one\n"
    "  --name NAME         a name for people\n"
    "  --key ID            os_encrypt_key_id: the secret that FILE was encrypted with\n"
    "  --format GPG|none   GPG (the default): OpenPGP with a passphrase; none: a plain image\n"
    "  --disk-format FMT   disk_format of the plaintext, by default raw\n"
    "  --decrypt-size N    os_decrypt_size: bytes of the plaintext\n"
    "  --property K=V      any other property, or one of the above, overriding it; repeatable\n"
    "  --json              JSON; for list and show as Glance answers it\n"
    "  --cache DIR         the cache to look into, else GLANCEFS_CACHE or the "
    "configuration\n" SESSION_OPTIONS_HELP "  --help              this text\n"
    "The directory of a local cloud is made by 'add' when it is absent.\n";

struct images_options {
    struct session_options session;
    const char *cache;
    bool as_json;
    bool shows_help;
    bool is_plain;
    const char *disk_format;
    struct image_property *properties; /* chosen ones; room for one per argument */
    size_t property_count;
};

static void add_property(struct images_options *options, const char *name, const char *value)
{
    options->properties[options->property_count++] =
        (struct image_property){.name = name, .value = value};
}

static int take_property(struct images_options *options, char *text)
{
    char *equals = strchr(text, '=');

    if (equals == NULL || equals == text)
        return command_usage_error(COMMAND, "--property takes NAME=VALUE, not '%s'", text);
    *equals = '\0';
    add_property(options, text, equals + 1);
    return 0;
}

static int take_format(struct images_options *options, const char *format)
{
    options->is_plain = strcasecmp(format, "none") == 0;
    if (!options->is_plain && strcasecmp(format, "GPG") != 0)
        return command_usage_error(COMMAND, "--format takes GPG or none, not '%s'", format);
    return 0;
}

static int take_key(struct images_options *options, const char *key_id)
{
    char id[UUID_TEXT_BYTES];

    if (!uuid_from_reference(key_id, id))
        return command_usage_error(COMMAND, "--key takes the id of a secret, not '%s'", key_id);
    add_property(options, "os_encrypt_key_id", key_id);
    return 0;
}

enum images_option {
    OPTION_CLOUD = 1,
    OPTION_OS_CLOUD,
    OPTION_CONFIG,
    OPTION_CACHE,
    OPTION_JSON,
    OPTION_ID,
    OPTION_NAME,
    OPTION_KEY,
    OPTION_FORMAT,
    OPTION_DISK_FORMAT,
    OPTION_DECRYPT_SIZE,
    OPTION_PROPERTY,
};

/* 0, or the exit code of a usage error. */
static int take_option(struct images_options *options, int option, char *value)
{
    switch (option) {
    case OPTION_CLOUD:
        options->session.cloud = value;
        return 0;
    case OPTION_OS_CLOUD:
        options->session.os_cloud = value;
        return 0;
    case OPTION_CONFIG:
        options->session.config_path = value;
        return 0;
    case OPTION_CACHE:
        options->cache = value;
        return 0;
    case OPTION_JSON:
        options->as_json = true;
        return 0;
    case OPTION_ID:
        command_fold_id(value);
        add_property(options, "id", value);
        return 0;
    case OPTION_NAME:
        add_property(options, "name", value);
        return 0;
    case OPTION_KEY:
        return take_key(options, value);
    case OPTION_FORMAT:
        return take_format(options, value);
    case OPTION_DISK_FORMAT:
        options->disk_format = value;
        return 0;
    case OPTION_DECRYPT_SIZE:
        add_property(options, "os_decrypt_size", value);
        return 0;
    default:
        return take_property(options, value);
    }
}

static int parse_options(int argc, char **argv, const struct option *table,
                         struct images_options *options)
{
    int option;
    int code = 0;

    opterr = 0;
    while (code == 0 && (option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        if (option == 'h')
            options->shows_help = true;
        else if (option == '?')
            return command_usage_error(COMMAND, "bad option '%s'", argv[optind - 1]);
        else
            code = take_option(options, option, optarg);
    }
    return code;
}

static int open_session(const struct images_options *options, bool makes_directory,
                        struct session **ret, struct error *err)
{
    CLEANUP(config_free) struct config *config = NULL;

    if (session_load_options(&options->session, &config, err) < 0)
        return -1;
    if (makes_directory && session_make_local_cloud(config, COMMAND, err) < 0)
        return -1;
    return session_open(config, SESSION_COMMAND_ARENA_BYTES, ret, err);
}

/* --- overview, list, show --- */

static int show_overview(const struct images_options *options, char **arguments, struct error *err)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP(session_free) struct session *session = NULL;

    (void)arguments;
    if (session_load_options(&options->session, &config, err) < 0 ||
        session_open(config, SESSION_COMMAND_ARENA_BYTES, &session, err) < 0)
        return -1;
    return image_overview_print(session->cloud,
                                options->cache != NULL ? options->cache : config->cache,
                                options->as_json, err);
}

static int list_images(const struct images_options *options, char **arguments, struct error *err)
{
    CLEANUP(session_free) struct session *session = NULL;
    CLEANUP(image_list_free) struct image_list *list = NULL;

    (void)arguments;
    if (open_session(options, false, &session, err) < 0 ||
        image_service_list(session->cloud->images, NULL, &list, err) < 0)
        return -1;
    if (options->as_json)
        return image_report_json_list(list, err);
    image_report_table(list);
    return 0;
}

static int show_image(const struct images_options *options, char **arguments, struct error *err)
{
    CLEANUP(session_free) struct session *session = NULL;
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    command_fold_id(arguments[0]);
    if (open_session(options, false, &session, err) < 0 ||
        image_service_get(session->cloud->images, arguments[0], NULL, &record, err) < 0)
        return -1;
    if (options->as_json)
        return image_report_json(record, err);
    image_report_properties(record);
    return 0;
}

/* --- add --- */

static int open_file(const char *path, struct byte_source **ret, struct error *err)
{
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return error_set_errno(err, errno, "%s", path);
    if (file_source_from_fd(fd, ret, err) < 0)
        return error_prefix(err, "%s", path);
    (void)steal_fd(&fd);
    if (byte_source_size(*ret) == BYTE_SOURCE_SIZE_UNKNOWN)
        return error_set(err, ERROR_INVALID, "%s is not a regular file", path);
    return 0;
}

/* What add sets by itself, then what the user chose: of two with one name the later wins. */
static int create_image(const struct images_options *options, struct image_service *images,
                        struct image_record **ret, struct error *err)
{
    const struct image_property own[] = {
        {"disk_format", options->disk_format},
        {"container_format", options->is_plain ? "bare" : "encrypted"},
        {"os_encrypt_format", "GPG"},
        {"os_encrypt_type", "symmetric"},
        {"os_encrypt_cipher", "AES256"},
        {"os_decrypt_container_format", "bare"},
    };
    const size_t own_count = options->is_plain ? 2 : sizeof own / sizeof own[0];
    const size_t count = own_count + options->property_count;
    CLEANUP(memory_free) struct image_property *all = calloc(count, sizeof *all);

    if (all == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    memcpy(all, own, own_count * sizeof *all);
    memcpy(all + own_count, options->properties, options->property_count * sizeof *all);
    return image_service_create(images, all, count, NULL, ret, err);
}

/* Shows how far it is; `data` passes on. */
static int upload_file(struct image_service *images, const struct image_record *record,
                       struct byte_source **data, struct cancel *cancel, struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *shown = NULL;
    struct progress progress;
    uint64_t decrypt_size;
    bool has_size;
    int result;

    if (image_record_decrypt_size(record, &has_size, &decrypt_size, err) < 0 ||
        progress_source_new(*data, &progress, &shown, err) < 0)
        return -1;
    (void)steal(data);
    progress_start(&progress, stderr, isatty(STDERR_FILENO) != 0, "adding", byte_source_size(shown),
                   clock_monotonic_ns());
    result = image_service_upload(images, image_record_id(record), shown, cancel, err);
    progress_finish(&progress);
    return result;
}

static int add_image(const struct images_options *options, char **arguments, struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *data = NULL;
    CLEANUP(session_free) struct session *session = NULL;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error ignored = ERROR_INIT;

    if (open_file(arguments[0], &data, err) < 0 || open_session(options, true, &session, err) < 0 ||
        signal_cancel_start(&cancel, err) < 0 ||
        create_image(options, session->cloud->images, &record, err) < 0)
        return -1;
    if (upload_file(session->cloud->images, record, &data, cancel, err) < 0) {
        (void)image_service_remove(session->cloud->images, image_record_id(record), NULL, &ignored);
        return -1;
    }
    (void)printf("%s\n", image_record_id(record));
    return 0;
}

/* --- choice of the subcommand --- */

/* Every table ends with these: the options of a session, and the end. */
#define COMMON_OPTIONS                                                                             \
    {"cloud", required_argument, NULL, OPTION_CLOUD},                                              \
        {"os-cloud", required_argument, NULL, OPTION_OS_CLOUD},                                    \
        {"config", required_argument, NULL, OPTION_CONFIG}, {"help", no_argument, NULL, 'h'},      \
    {                                                                                              \
        NULL, 0, NULL, 0                                                                           \
    }

static const struct option report_options[] = {{"json", no_argument, NULL, OPTION_JSON},
                                               COMMON_OPTIONS};

static const struct option overview_options[] = {{"json", no_argument, NULL, OPTION_JSON},
                                                 {"cache", required_argument, NULL, OPTION_CACHE},
                                                 COMMON_OPTIONS};

static const struct option add_options[] = {
    {"id", required_argument, NULL, OPTION_ID},
    {"name", required_argument, NULL, OPTION_NAME},
    {"key", required_argument, NULL, OPTION_KEY},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"disk-format", required_argument, NULL, OPTION_DISK_FORMAT},
    {"decrypt-size", required_argument, NULL, OPTION_DECRYPT_SIZE},
    {"property", required_argument, NULL, OPTION_PROPERTY},
    COMMON_OPTIONS};

static const struct subcommand {
    const char *name;
    const struct option *options;
    int argument_count;
    const char *arguments; /* what a wrong count is told */
    int (*run)(const struct images_options *options, char **arguments, struct error *err);
} subcommands[] = {
    {"list", report_options, 0, "no argument", list_images},
    {"show", report_options, 1, "one image ID", show_image},
    {"add", add_options, 1, "one FILE", add_image},
};

static const struct subcommand overview = {COMMAND, overview_options, 0, "no argument",
                                           show_overview};

static int print_help(void)
{
    (void)fputs(help, stdout);
    return EXIT_CODE_OK;
}

static int run(const struct subcommand *subcommand, int argc, char **argv)
{
    CLEANUP(memory_free)
    struct image_property *properties = calloc((size_t)argc, sizeof *properties);
    struct images_options options = {.disk_format = "raw", .properties = properties};
    struct error err = ERROR_INIT;
    int code;

    if (properties == NULL) {
        (void)error_set(&err, ERROR_EXHAUSTED, "out of memory");
        return command_fail(COMMAND, &err);
    }
    code = parse_options(argc, argv, subcommand->options, &options);
    if (code != 0)
        return code;
    if (options.shows_help)
        return print_help();
    if (argc - optind != subcommand->argument_count)
        return command_usage_error(COMMAND, "%s takes %s", subcommand->name, subcommand->arguments);
    if (subcommand->run(&options, argv + optind, &err) < 0)
        return command_fail(COMMAND, &err);
    return EXIT_CODE_OK;
}

int command_images(int argc, char **argv)
{
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return print_help();
    for (size_t i = 0; argc >= 2 && i < sizeof subcommands / sizeof subcommands[0]; i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return run(&subcommands[i], argc - 1, argv + 1);
    if (argc < 2 || argv[1][0] == '-')
        return run(&overview, argc, argv);
    return command_usage_error(COMMAND, "say list, show or add, or none of them");
}
