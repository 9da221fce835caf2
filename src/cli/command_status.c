/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/status_view.h"
#include "glancefs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define COMMAND "status"
#define LONGEST_INTERVAL_SECONDS 3600

/* ECMA-48: cursor home, erase below. */
#define CLEAR_SCREEN "\033[H\033[J"

static const char help[] =
    "Usage: glancefs status [--json | --watch[=SECONDS]] MOUNT\n"
    "Shows what the mount MOUNT is doing.\n"
    "\n"
    "  --json      as the mount itself says it, for scripts\n"
    "  --watch     again and again, each second, or with --watch=SECONDS less often:\n"
    "              on a terminal in place, elsewhere as lines of what is running\n"
    "  -h, --help  this text\n";

DEFINE_CLEANUP(struct json_object, json_object_put)

/* --- reading --- */

/* Reads MOUNT/status. Not by its size: that is the one of the text frozen last. */
static int read_status(const char *mount_point, char **ret, struct error *err)
{
    CLEANUP(memory_free) char *path = NULL;
    CLEANUP(file_close) FILE *file = NULL;
    size_t capacity = 0;
    char *text = NULL;

    if (asprintf(&path, "%s/status", mount_point) < 0)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    file = fopen(path, "re");
    if (file == NULL)
        return error_set_errno(err, errno, "%s", path);
    if (getdelim(&text, &capacity, '\0', file) < 0) {
        free(text);
        return error_set_errno(err, errno, "%s", path);
    }
    *ret = text;
    return 0;
}

static int parse_status(const char *text, const char *mount_point, struct json_object **ret,
                        struct error *err)
{
    struct json_object *status = json_tokener_parse(text);

    if (json_object_is_type(status, json_type_object) &&
        json_object_object_get_ex(status, "counters", NULL)) {
        *ret = status;
        return 0;
    }
    (void)json_object_put(status);
    return error_set(err, ERROR_NOT_FOUND, "%s is no mount of glancefs", mount_point);
}

/* --- showing --- */

/* How it is to be shown. */
struct presentation {
    bool is_json;
    unsigned interval_seconds; /* 0: once */
};

/* On a terminal each status takes the place of the one before; elsewhere lines tell what runs. */
static void show_again(struct json_object *status, bool is_terminal)
{
    if (!is_terminal) {
        status_view_show_running(status, stdout);
        return;
    }
    (void)fputs(CLEAR_SCREEN, stdout);
    status_view_show(status, true, stdout);
}

static int show_now(const char *mount_point, const struct presentation *presentation,
                    struct error *err)
{
    CLEANUP(memory_free) char *text = NULL;
    CLEANUP(json_object_put) struct json_object *status = NULL;
    const bool is_terminal = isatty(STDOUT_FILENO) == 1;

    if (read_status(mount_point, &text, err) < 0 ||
        parse_status(text, mount_point, &status, err) < 0)
        return -1;
    if (presentation->is_json)
        (void)fputs(text, stdout);
    else if (presentation->interval_seconds > 0)
        show_again(status, is_terminal);
    else
        status_view_show(status, is_terminal, stdout);
    return fflush(stdout) == 0 ? 0 : error_set_errno(err, errno, "standard output");
}

static int run(const char *mount_point, const struct presentation *presentation)
{
    const struct timespec pause = {.tv_sec = presentation->interval_seconds};
    struct error err = ERROR_INIT;

    for (;;) {
        if (show_now(mount_point, presentation, &err) < 0)
            return command_fail(COMMAND, &err);
        if (presentation->interval_seconds == 0)
            return EXIT_CODE_OK;
        (void)nanosleep(&pause, NULL);
    }
}

/* Seconds from 1 on; 0 for any other text. */
static unsigned parse_interval(const char *text)
{
    unsigned long seconds;
    char *end;

    if (*text < '0' || *text > '9')
        return 0;
    seconds = strtoul(text, &end, 10);
    return *end == '\0' && seconds <= LONGEST_INTERVAL_SECONDS ? (unsigned)seconds : 0;
}

int command_status(int argc, char **argv)
{
    static const struct option long_options[] = {{"json", no_argument, NULL, 'j'},
                                                 {"watch", optional_argument, NULL, 'w'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {NULL, 0, NULL, 0}};
    struct presentation presentation = {.is_json = false};
    int option;

    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (option == 'j') {
            presentation.is_json = true;
        } else if (option == 'w') {
            presentation.interval_seconds = parse_interval(optarg != NULL ? optarg : "1");
            if (presentation.interval_seconds == 0)
                return command_usage_error(COMMAND, "--watch takes seconds, 1 to %d",
                                           LONGEST_INTERVAL_SECONDS);
        } else if (option == 'h') {
            (void)fputs(help, stdout);
            return EXIT_CODE_OK;
        } else {
            return command_usage_error(COMMAND, "bad arguments");
        }
    }
    if (argc - optind != 1)
        return command_usage_error(COMMAND, "give one mount point");
    if (presentation.is_json && presentation.interval_seconds > 0)
        return command_usage_error(COMMAND, "--json and --watch do not go together");
    return run(argv[optind], &presentation);
}
