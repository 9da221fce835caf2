/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/monitor.h"
#include "base/uuid.h"
#include "cli/cloud_staging.h"
#include "cli/command.h"
#include "cli/session.h"
#include "cli/signal_cancel.h"
#include "cli/upload_progress.h"
#include "cli/upload_report.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COMMAND "uploads"

/* A year is as good as for ever. */
#define TIMEOUT_MAXIMUM_SECONDS (366L * 24 * 3600)

static const char help[] =
    "Usage: glancefs uploads list [--json]\n"
    "       glancefs uploads retry [--to OTHER-ID] ID\n"
    "       glancefs uploads drop ID\n"
    "       glancefs uploads wait [--timeout SECONDS] ID...\n"
    "What was written into a mount and sealed waits in the cache directory, encrypted, until it "
    "is\n"
    "the image's data. These commands work beside a running mount.\n"
    "\n"
    "list   one line per sealed upload that is not active yet: image id, state, size, bytes sent,\n"
    "       attempts, and why the last one failed.\n"
    "retry  sends one now, also one that failed, to its image or to another queued one.\n"
    "drop   deletes one for good; the image stays as it is.\n"
    "wait   returns when all of these images are active; a failure ends it.\n"
    "\n"
    "  --to OTHER-ID     another queued image to send it to\n"
    "  --timeout SECONDS how long to wait; without it, as long as it takes\n"
    "  --json            for list: a JSON array\n"
    "  --cache DIR       the cache directory, else GLANCEFS_CACHE or the "
    "configuration\n" SESSION_OPTIONS_HELP "  --help            this text\n";

struct uploads_options {
    struct session_options session;
    const char *cache;
    const char *target;
    long timeout_seconds; /* 0: none */
    bool as_json;
    bool shows_help;
};

/* What a subcommand works with. */
struct uploads_job {
    const struct uploads_options *options;
    struct upload_staging *staging;
    char **ids;
    int id_count;
    struct cancel *cancel;
};

/* --- options --- */

enum uploads_option {
    OPTION_CLOUD = 1,
    OPTION_OS_CLOUD,
    OPTION_CONFIG,
    OPTION_CACHE,
    OPTION_JSON,
    OPTION_TO,
    OPTION_TIMEOUT,
};

static int take_timeout(struct uploads_options *options, const char *text)
{
    char *end;

    errno = 0;
    options->timeout_seconds = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || options->timeout_seconds < 1 ||
        options->timeout_seconds > TIMEOUT_MAXIMUM_SECONDS)
        return command_usage_error(COMMAND, "--timeout takes a number of seconds, not '%s'", text);
    return 0;
}

static int take_target(struct uploads_options *options, char *id)
{
    command_fold_id(id);
    options->target = id;
    if (!uuid_is_valid(id))
        return command_usage_error(COMMAND, "--to takes the id of an image, not '%s'", id);
    return 0;
}

/* 0, or the exit code of a usage error. */
static int take_option(struct uploads_options *options, int option, char *value)
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
    case OPTION_TO:
        return take_target(options, value);
    case OPTION_TIMEOUT:
        return take_timeout(options, value);
    default:
        options->shows_help = true;
        return 0;
    }
}

static int parse_options(int argc, char **argv, const struct option *table,
                         struct uploads_options *options)
{
    int option;
    int code = 0;

    opterr = 0;
    while (code == 0 && (option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        if (option == '?')
            return command_usage_error(COMMAND, "bad option '%s'", argv[optind - 1]);
        code = take_option(options, option, optarg);
    }
    return code;
}

/* --- subcommands --- */

static int list_uploads(const struct uploads_job *job, struct error *err)
{
    CLEANUP(memory_free) struct upload_info *infos = NULL;
    size_t count;

    if (upload_staging_list(job->staging, &infos, &count, err) < 0)
        return -1;
    if (job->options->as_json)
        return upload_report_json(infos, count, err);
    upload_report_table(infos, count);
    return 0;
}

static int retry_upload(const struct uploads_job *job, struct error *err)
{
    return upload_with_progress(job->staging, job->ids[0], job->options->target, job->cancel, err);
}

static int drop_upload(const struct uploads_job *job, struct error *err)
{
    return upload_staging_drop(job->staging, job->ids[0], err);
}

static int wait_for_uploads(const struct uploads_job *job, struct error *err)
{
    for (int i = 0; i < job->id_count; i++)
        if (upload_staging_wait(job->staging, job->ids[i], job->cancel, err) < 0)
            return err->kind == ERROR_CANCELLED ? -1 : error_prefix(err, "%s", job->ids[i]);
    return 0;
}

/* --- the time limit --- */

/* Cancels at its deadline. */
struct time_limit {
    struct cancel *cancel;
    uint64_t deadline_ns;
    struct monitor monitor; /* guards what follows */
    bool ended;
    bool has_passed;
};

static void *cancel_in_time(void *argument)
{
    struct time_limit *limit = argument;
    const struct timespec deadline = {
        .tv_sec = (time_t)(limit->deadline_ns / NANOSECONDS_PER_SECOND),
        .tv_nsec = (long)(limit->deadline_ns % NANOSECONDS_PER_SECOND)};
    int result = 0;

    monitor_lock(&limit->monitor);
    while (!limit->ended && result != ETIMEDOUT)
        result = pthread_cond_clockwait(&limit->monitor.changed, &limit->monitor.mutex,
                                        CLOCK_MONOTONIC, &deadline);
    limit->has_passed = !limit->ended;
    monitor_unlock(&limit->monitor);
    if (limit->has_passed)
        cancel_request(limit->cancel);
    return NULL;
}

static int wait_in_time(const struct uploads_job *job, struct error *err)
{
    const long seconds = job->options->timeout_seconds;
    struct time_limit limit = {.cancel = job->cancel};
    pthread_t thread;
    int result;

    if (seconds == 0)
        return wait_for_uploads(job, err);
    limit.deadline_ns = clock_monotonic_ns() + (uint64_t)seconds * NANOSECONDS_PER_SECOND;
    monitor_init(&limit.monitor);
    result = pthread_create(&thread, NULL, cancel_in_time, &limit);
    if (result != 0)
        return error_set_errno(err, result, "thread");
    result = wait_for_uploads(job, err);
    monitor_lock(&limit.monitor);
    limit.ended = true;
    monitor_changed(&limit.monitor);
    monitor_unlock(&limit.monitor);
    (void)pthread_join(thread, NULL);
    monitor_destroy(&limit.monitor);
    if (result < 0 && err->kind == ERROR_CANCELLED && limit.has_passed)
        return error_set(err, ERROR_TIMEOUT, "not done after %ld seconds", seconds);
    return result;
}

/* --- choice of the subcommand --- */

#define COMMON_OPTIONS                                                                             \
    {"cloud", required_argument, NULL, OPTION_CLOUD},                                              \
        {"os-cloud", required_argument, NULL, OPTION_OS_CLOUD},                                    \
        {"config", required_argument, NULL, OPTION_CONFIG},                                        \
        {"cache", required_argument, NULL, OPTION_CACHE}, {"help", no_argument, NULL, 'h'},        \
    {                                                                                              \
        NULL, 0, NULL, 0                                                                           \
    }

static const struct option list_options[] = {{"json", no_argument, NULL, OPTION_JSON},
                                             COMMON_OPTIONS};
static const struct option retry_options[] = {{"to", required_argument, NULL, OPTION_TO},
                                              COMMON_OPTIONS};
static const struct option drop_options[] = {COMMON_OPTIONS};
static const struct option wait_options[] = {{"timeout", required_argument, NULL, OPTION_TIMEOUT},
                                             COMMON_OPTIONS};

static const struct subcommand {
    const char *name;
    const struct option *options;
    int least_ids, most_ids;
    const char *arguments; /* what a wrong count is told */
    int (*run)(const struct uploads_job *job, struct error *err);
} subcommands[] = {
    {"list", list_options, 0, 0, "no argument", list_uploads},
    {"retry", retry_options, 1, 1, "one image ID", retry_upload},
    {"drop", drop_options, 1, 1, "one image ID", drop_upload},
    {"wait", wait_options, 1, INT_MAX, "image IDs", wait_in_time},
};

/* A mistyped directory is told, not made. */
static int check_cache(const char *cache, struct error *err)
{
    struct stat status;

    if (cache == NULL)
        return error_set(err, ERROR_INVALID,
                         "no cache: give --cache, GLANCEFS_CACHE or 'cache' in a configuration "
                         "file");
    if (stat(cache, &status) < 0)
        return error_set_errno(err, errno, "cache %s", cache);
    return 0;
}

static int run_in_staging(const struct subcommand *subcommand, struct uploads_job *job,
                          struct error *err)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP(session_free) struct session *session = NULL;
    CLEANUP(cloud_staging_free) struct cloud_staging *staging = NULL;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    const char *cache;

    if (session_load_options(&job->options->session, &config, err) < 0)
        return -1;
    cache = job->options->cache == NULL ? config->cache : job->options->cache;
    if (check_cache(cache, err) < 0 ||
        session_open(config, SESSION_COMMAND_ARENA_BYTES, &session, err) < 0 ||
        signal_cancel_start(&cancel, err) < 0 ||
        cloud_staging_open(config, cache, NULL, session, &staging, err) < 0)
        return -1;
    job->staging = staging->staging;
    job->cancel = cancel;
    return subcommand->run(job, err);
}

static int run(const struct subcommand *subcommand, int argc, char **argv)
{
    struct uploads_options options = {0};
    struct uploads_job job = {.options = &options};
    struct error err = ERROR_INIT;
    int code = parse_options(argc, argv, subcommand->options, &options);

    if (code != 0)
        return code;
    if (options.shows_help) {
        (void)fputs(help, stdout);
        return EXIT_CODE_OK;
    }
    job.ids = argv + optind;
    job.id_count = argc - optind;
    for (int i = 0; i < job.id_count; i++)
        command_fold_id(job.ids[i]);
    if (job.id_count < subcommand->least_ids || job.id_count > subcommand->most_ids)
        return command_usage_error(COMMAND, "%s takes %s", subcommand->name, subcommand->arguments);
    if (run_in_staging(subcommand, &job, &err) < 0)
        return command_fail(COMMAND, &err);
    return EXIT_CODE_OK;
}

int command_uploads(int argc, char **argv)
{
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        (void)fputs(help, stdout);
        return EXIT_CODE_OK;
    }
    for (size_t i = 0; argc >= 2 && i < sizeof subcommands / sizeof subcommands[0]; i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return run(&subcommands[i], argc - 1, argv + 1);
    return command_usage_error(COMMAND, "say list, retry, drop or wait");
}
