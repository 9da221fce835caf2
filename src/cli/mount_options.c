/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/mount_options.h"

#include "cli/command.h"
#include "cli/session.h"
#include "fuse/given_device.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "mount"
#define LOCAL_PREFIX "local:"
#define OPENSTACK_NAME "openstack"
#define MAXIMUM_LONG_OPTIONS 96

/* What getopt_long gives; an option of the configuration is OPTION_CONFIG + its number. */
enum {
    OPTION_FOREGROUND = 'f',
    OPTION_HELP = 'h',
    OPTION_MOUNT = 'o',
    OPTION_FILE = 256,
    OPTION_OS_CLOUD,
    OPTION_CONFIG
};

/* Arguments in their order: the configuration file has to be read before any of them counts. */
struct assignment {
    const char *name; /* NULL for a list of mount options */
    const char *value;
};

struct command_line {
    const char *config_path;
    char *mount_config_path; /* from -o config=FILE, which counts when --config was not given */
    struct assignment *assignments; /* room for one per argument */
    size_t count;
    bool is_foreground;
    bool shows_help;
};

void mount_options_print_help(void)
{
    const struct config_option *option;

    (void)printf(
        "Usage: glancefs mount --cloud CLOUD --cache DIR [OPTION]... MOUNT\n"
        "       glancefs mount [OPTION]... CLOUD MOUNT\n"
        "\n"
        "Shows the encrypted images of CLOUD as decrypted files, MOUNT/decrypt/<id>, until "
        "MOUNT is\nunmounted. What is written to MOUNT/encrypt/<id>.part and then renamed to <id> "
        "is encrypted\nand becomes the data of that queued image. Returns when the mount is "
        "usable.\n"
        "\n"
        "  -f, --foreground    stay, and log to standard error\n"
        "  -o NAME=VALUE,...   options; each may also be given as --NAME VALUE\n"
        "  --config FILE       configuration file, by default " CONFIG_DEFAULT_PATH
        " when it exists\n"
        "  -h, --help          this text\n"
        "\nOptions, which the file and the environment (GLANCEFS_NAME) may hold, too:\n");
    for (size_t i = 0; (option = config_option_at(i)) != NULL; i++)
        (void)printf("  %s=%s\n      %s%s%s%s\n", option->name, option->values, option->help,
                     *option->initial != '\0' ? " [" : "", option->initial,
                     *option->initial != '\0' ? "]" : "");
}

/* --- arguments --- */

/* The fixed long options, then one for each option of the configuration; ends with zeros. */
static void list_long_options(struct option table[MAXIMUM_LONG_OPTIONS])
{
    static const struct option fixed[] = {
        {"foreground", no_argument, NULL, OPTION_FOREGROUND},
        {"help", no_argument, NULL, OPTION_HELP},
        {"config", required_argument, NULL, OPTION_FILE},
        {"os-cloud", required_argument, NULL, OPTION_OS_CLOUD}, /* as openstackclient spells it */
    };
    const size_t fixed_count = sizeof fixed / sizeof fixed[0];
    const struct config_option *option;

    memset(table, 0, MAXIMUM_LONG_OPTIONS * sizeof *table);
    memcpy(table, fixed, sizeof fixed);
    for (size_t i = 0; (option = config_option_at(i)) != NULL; i++) {
        if (fixed_count + i + 1 >= MAXIMUM_LONG_OPTIONS)
            break;
        table[fixed_count + i] =
            (struct option){option->name, required_argument, NULL, OPTION_CONFIG + (int)i};
    }
}

static void assign(struct command_line *line, const char *name, const char *value)
{
    line->assignments[line->count++] = (struct assignment){.name = name, .value = value};
}

/* Finds config=FILE among mount options; the last one counts. */
static int find_config_path(struct command_line *line, const char *options, struct error *err)
{
    static const char prefix[] = "config=";

    while (options != NULL) {
        const char *comma = strchr(options, ',');

        if (strncmp(options, prefix, sizeof prefix - 1) == 0) {
            const char *path = options + sizeof prefix - 1;
            const size_t length = comma == NULL ? strlen(path) : (size_t)(comma - path);

            free(line->mount_config_path);
            line->mount_config_path = strndup(path, length);
            if (line->mount_config_path == NULL)
                return error_set(err, ERROR_EXHAUSTED, "out of memory");
        }
        options = comma == NULL ? NULL : comma + 1;
    }
    return 0;
}

/* 0, or the exit code; getopt has printed what is wrong. */
static int parse_options(int argc, char **argv, struct command_line *line)
{
    struct option long_options[MAXIMUM_LONG_OPTIONS];
    int option;

    list_long_options(long_options);
    while ((option = getopt_long(argc, argv, "fho:", long_options, NULL)) != -1) {
        if (option == OPTION_FOREGROUND)
            line->is_foreground = true;
        else if (option == OPTION_HELP)
            line->shows_help = true;
        else if (option == OPTION_FILE)
            line->config_path = optarg;
        else if (option == OPTION_OS_CLOUD)
            assign(line, "os_cloud", optarg);
        else if (option == OPTION_MOUNT)
            assign(line, NULL, optarg);
        else if (option >= OPTION_CONFIG)
            assign(line, config_option_at((size_t)(option - OPTION_CONFIG))->name, optarg);
        else
            return command_usage_error(COMMAND, "bad arguments");
    }
    return 0;
}

/* MOUNT, or CLOUD MOUNT. Where to mount, or NULL when that was not understood and told. */
static const char *parse_positionals(int argc, char **argv, struct command_line *line)
{
    const int count = argc - optind;

    if (count == 2)
        assign(line, "cloud", argv[optind]);
    if (count == 1 || count == 2)
        return argv[argc - 1];
    (void)command_usage_error(COMMAND,
                              count < 1 ? "where to mount is missing" : "too many arguments");
    return NULL;
}

/* --- configuration --- */

static int apply(struct config *config, const struct assignment *assignment, struct error *err)
{
    char origin[64];

    if (assignment->name == NULL)
        return config_set_mount_options(config, assignment->value, err);
    (void)snprintf(origin, sizeof origin, "--%s", assignment->name);
    return config_set(config, assignment->name, assignment->value, origin, err);
}

/* A daemon's working directory is not the caller's. The result is to be freed. */
static char *absolute_path(const char *path)
{
    char directory[PATH_MAX];
    char *absolute = NULL;

    if (*path == '/')
        return strdup(path);
    if (getcwd(directory, sizeof directory) == NULL ||
        asprintf(&absolute, "%s/%s", directory, path) < 0)
        return NULL;
    return absolute;
}

/* Makes the path in option `name` absolute, which `prefix` may precede. */
static int make_absolute(struct config *config, const char *name, const char *value,
                         const char *prefix, struct error *err)
{
    CLEANUP(memory_free) char *path = NULL;
    CLEANUP(memory_free) char *text = NULL;

    path = absolute_path(value + strlen(prefix));
    if (path == NULL || asprintf(&text, "%s%s", prefix, path) < 0)
        return error_set(err, ERROR_SYSTEM, "cannot make %s absolute", value);
    return config_set(config, name, text, "working directory", err);
}

static int complete_config(struct config *config, struct error *err)
{
    if (config_validate(config, err) < 0)
        return -1;
    if (config->cloud == NULL)
        return error_set(err, ERROR_INVALID,
                         "no cloud: give --cloud, GLANCEFS_CLOUD or 'cloud' in a configuration "
                         "file");
    if (config->cache == NULL)
        return error_set(err, ERROR_INVALID,
                         "no cache: give --cache, GLANCEFS_CACHE or 'cache' in a configuration "
                         "file");
    if (strncmp(config->cloud, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) == 0 &&
        make_absolute(config, "cloud", config->cloud, LOCAL_PREFIX, err) < 0)
        return -1;
    return make_absolute(config, "cache", config->cache, "", err);
}

static int build_config(struct command_line *line, struct config **ret, struct error *err)
{
    CLEANUP(config_free) struct config *config = NULL;

    for (size_t i = 0; i < line->count; i++)
        if (line->assignments[i].name == NULL &&
            find_config_path(line, line->assignments[i].value, err) < 0)
            return -1;
    if (session_load_config(line->config_path != NULL ? line->config_path : line->mount_config_path,
                            &config, err) < 0)
        return -1;
    for (size_t i = 0; i < line->count; i++)
        if (apply(config, &line->assignments[i], err) < 0)
            return -1;
    if (complete_config(config, err) < 0)
        return -1;
    *ret = steal(&config);
    return 0;
}

/* Everything but the arguments' memory is freed by the caller. */
static int parse(int argc, char **argv, struct command_line *line, struct mount_options *ret)
{
    const char *mount_point;
    struct error err = ERROR_INIT;
    const int exit_code = parse_options(argc, argv, line);

    ret->shows_help = line->shows_help;
    ret->is_foreground = line->is_foreground;
    if (exit_code != 0 || ret->shows_help)
        return exit_code;
    mount_point = parse_positionals(argc, argv, line);
    if (mount_point == NULL)
        return EXIT_CODE_USAGE;
    if (build_config(line, &ret->config, &err) < 0)
        return command_fail(COMMAND, &err);
    if (!given_device_is_named(mount_point, &ret->given_fd))
        ret->given_fd = -1;
    ret->mount_point = absolute_path(mount_point);
    if (ret->mount_point == NULL) {
        (void)error_set_errno(&err, errno, "working directory");
        return command_fail(COMMAND, &err);
    }
    return 0;
}

int mount_options_parse(int argc, char **argv, struct mount_options *ret)
{
    struct command_line line = {.assignments = calloc((size_t)argc + 1, sizeof *line.assignments)};
    int exit_code = EXIT_CODE_FAILED;

    if (line.assignments != NULL)
        exit_code = parse(argc, argv, &line, ret);
    free(line.assignments);
    free(line.mount_config_path);
    return exit_code;
}

bool mount_options_is_source(const char *word)
{
    const size_t length = strlen(OPENSTACK_NAME);

    return strncmp(word, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) == 0 ||
           (strncmp(word, OPENSTACK_NAME, length) == 0 &&
            (word[length] == '\0' || word[length] == ':'));
}

void mount_options_clear(struct mount_options *options)
{
    config_free(options->config);
    free(options->mount_point);
}
