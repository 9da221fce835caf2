/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cache_access.h"
#include "cli/cache_fetch.h"
#include "cli/command.h"
#include "cli/image_work.h"
#include "cli/signal_cancel.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define COMMAND "fetch"
#define DEFAULT_JOBS 3

static const char help[] =
    "Usage: glancefs fetch [OPTION]... ID...\n"
    "Fetches images into the cache, beside a running mount or before one, so that their first "
    "open\n"
    "need not wait for the network. What was begun is resumed, what is there is left alone. Size\n"
    "and os_hash_value are checked, and image signatures where the option signature asks for\n"
    "them. Nothing is decrypted and no key is asked for: that is for the mount at the first open,\n"
    "as is the signature of what was there already. Other projects' images are refused as by a\n"
    "mount (foreign_owners).\n"
    "\n"
    "Each image is told on a line: its id, fetched or present, its size. One that cannot be had "
    "does\n"
    "not stop the others; the exit code is that of the first of them. When interrupted, what came\n"
    "is kept.\n"
    "\n"
    "  --jobs N        images at a time, 1 to 16, by default 3\n"
    "  --json          one JSON object per image on a line of its own, as soon as it is known:\n"
    "                  image_id, result (fetched, present, failed, interrupted), size, "
    "error\n" CACHE_OPTIONS_HELP "  --help          this text\n";

struct fetch_options {
    struct cache_options cache;
    unsigned jobs;
    bool as_json;
    bool shows_help;
};

static int take_jobs(struct fetch_options *options, const char *text)
{
    char *end;
    long jobs;

    errno = 0;
    jobs = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || jobs < 1 || jobs > IMAGE_WORK_JOBS_MAXIMUM)
        return command_usage_error(COMMAND, "--jobs takes a number from 1 to %d, not '%s'",
                                   IMAGE_WORK_JOBS_MAXIMUM, text);
    options->jobs = (unsigned)jobs;
    return 0;
}

/* 0, or the exit code of a usage error. */
static int parse_options(int argc, char **argv, struct fetch_options *options)
{
    static const struct option table[] = {CACHE_OPTION_ROWS,
                                          {"jobs", required_argument, NULL, 'n'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int option;
    int code = 0;

    opterr = 0;
    while (code == 0 && (option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        if (option == 'n')
            code = take_jobs(options, optarg);
        else if (option == 'j')
            options->as_json = true;
        else if (option == 'h')
            options->shows_help = true;
        else if (!cache_options_take(&options->cache, option, optarg))
            code = command_usage_error(COMMAND, "bad option '%s'", argv[optind - 1]);
    }
    return code;
}

/* The exit code. */
static int fetch_all(const struct fetch_options *options, char **ids, size_t count)
{
    CLEANUP(cache_access_free) struct cache_access *access = NULL;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(memory_free) struct image_task *tasks = calloc(count, sizeof *tasks);
    struct image_work work = {.command = COMMAND,
                              .verb = COMMAND,
                              .tasks = tasks,
                              .count = count,
                              .jobs = options->jobs,
                              .as_json = options->as_json,
                              .run = cache_fetch_image};
    struct error err = ERROR_INIT;

    if (tasks == NULL) {
        (void)error_set(&err, ERROR_EXHAUSTED, "out of memory");
        return command_fail(COMMAND, &err);
    }
    if (cache_access_open(&options->cache, CACHE_COMMAND, CLOUD_NEEDED, true, &access, &err) < 0 ||
        signal_cancel_start(&cancel, &err) < 0 || cache_fetch_prepare(access, cancel, &err) < 0)
        return command_fail(COMMAND, &err);
    for (size_t i = 0; i < count; i++) {
        command_fold_id(ids[i]);
        tasks[i].image_id = ids[i];
    }
    work.context = access;
    work.cancel = cancel;
    return image_work_run(&work);
}

int command_fetch(int argc, char **argv)
{
    struct fetch_options options = {.jobs = DEFAULT_JOBS};
    const int code = parse_options(argc, argv, &options);

    if (code != 0)
        return code;
    if (options.shows_help) {
        (void)fputs(help, stdout);
        return EXIT_CODE_OK;
    }
    if (optind == argc)
        return command_usage_error(COMMAND, "name at least one image");
    return fetch_all(&options, argv + optind, (size_t)(argc - optind));
}
