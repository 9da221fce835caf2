/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"
#include "cli/cache_access.h"
#include "cli/cache_fetch.h"
#include "cli/cache_prune.h"
#include "cli/cache_report.h"
#include "cli/cache_verify.h"
#include "cli/command.h"
#include "cli/json_line.h"
#include "cli/signal_cancel.h"
#include "cli/size_text.h"

#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define COMMAND "cache"

static const char help[] =
    "Usage: glancefs cache list [--json]\n"
    "       glancefs cache usage [--json]\n"
    "       glancefs cache verify [--repair] [--json] [ID...]\n"
    "       glancefs cache evict [--json] ID...\n"
    "       glancefs cache prune [--offline | --any-cloud] [--json]\n"
    "What is in the cache directory: stored bytes of images, encrypted. All of these work beside "
    "a\n"
    "running mount. list, usage, verify and evict ask no service.\n"
    "\n"
    "list    one line per object: image id, complete, partial (a download) or quarantine (it did\n"
    "        not match), bytes that are there and in all, last use, whether somebody has it in "
    "use.\n"
    "usage   how full cache and filesystem are, and with what.\n"
    "verify  reads complete objects and compares them with their size and hash. One that does not\n"
    "        match is set aside and never served; the exit code is 5 then. With --repair it is\n"
    "        fetched again, as is what was set aside before.\n"
    "evict   removes all that is there of an image. What somebody reads stays.\n"
    "prune   removes what nobody needs: quarantine, downloads that nobody goes on with, what is "
    "over\n"
    "        the limits (max_size, min_free, max_age), and, where a cloud is named, images that "
    "it\n"
    "        does not know or whose bytes are others by now. It must be the cloud that the cache "
    "is\n"
    "        for: another one is refused (exit code 4). One that does not answer is told and\n"
    "        changes nothing.\n"
    "\n"
    "  --json          JSON: list gives an array, usage and prune an object, verify and evict an\n"
    "                  object per image, each on a line of its own\n"
    "  --repair        for verify: fetch what did not match\n"
    "  --offline       for prune: ask no service\n"
    "  --any-cloud     for prune: believe the cloud that is named, though the cache is for "
    "another\n" CACHE_OPTIONS_HELP "  --help          this text\n";

struct cache_command_options {
    struct cache_options cache;
    bool as_json;
    bool repairs;
    bool is_offline;
    bool trusts_any_cloud;
    bool shows_help;
};

/* What a subcommand works with. */
struct cache_job {
    const struct cache_command_options *options;
    struct cache_access *access;
    char **ids;
    size_t id_count;
};

/* --- options --- */

/* 0, or the exit code of a usage error. */
static int parse_options(int argc, char **argv, const struct option *table,
                         struct cache_command_options *options)
{
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        if (option == 'j')
            options->as_json = true;
        else if (option == 'r')
            options->repairs = true;
        else if (option == 'l')
            options->is_offline = true;
        else if (option == 'a')
            options->trusts_any_cloud = true;
        else if (option == 'h')
            options->shows_help = true;
        else if (!cache_options_take(&options->cache, option, optarg))
            return command_usage_error(COMMAND, "bad option '%s'", argv[optind - 1]);
    }
    return 0;
}

/* --- list and usage --- */

static int list_objects(const struct cache_job *job)
{
    CLEANUP(cached_object_list_free) struct cached_object_list *list = NULL;
    struct error err = ERROR_INIT;

    if (ciphertext_cache_list(job->access->cache, &list, &err) < 0)
        return command_fail(COMMAND, &err);
    if (!job->options->as_json)
        cache_report_table(list);
    else if (cache_report_json(list, &err) < 0)
        return command_fail(COMMAND, &err);
    return EXIT_CODE_OK;
}

static int show_usage(const struct cache_job *job)
{
    struct ciphertext_cache_usage usage;
    struct error err = ERROR_INIT;

    if (ciphertext_cache_usage(job->access->cache, &usage, &err) < 0)
        return command_fail(COMMAND, &err);
    if (!job->options->as_json)
        cache_report_usage(job->access->path, &usage);
    else if (cache_report_usage_json(&usage, &err) < 0)
        return command_fail(COMMAND, &err);
    return EXIT_CODE_OK;
}

/* --- verify --- */

static int verify_objects(const struct cache_job *job)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;

    if (signal_cancel_start(&cancel, &err) < 0 ||
        (job->options->repairs && cache_fetch_prepare(job->access, cancel, &err) < 0))
        return command_fail(COMMAND, &err);
    const struct cache_verification verification = {.command = COMMAND,
                                                    .access = job->access,
                                                    .ids = job->ids,
                                                    .id_count = job->id_count,
                                                    .repairs = job->options->repairs,
                                                    .as_json = job->options->as_json,
                                                    .cancel = cancel};

    return cache_verify(&verification);
}

/* --- evict --- */

static int evict(struct ciphertext_cache *cache, const char *id,
                 struct ciphertext_cache_removal *removed, struct error *err)
{
    if (!uuid_is_valid(id))
        return error_set(err, ERROR_NOT_FOUND, "'%s' is no image id", id);
    if (ciphertext_cache_evict(cache, id, removed, err) < 0)
        return command_prefix_image(err, id);
    return 0;
}

static bool print_eviction_json(const char *id, const struct ciphertext_cache_removal *removed,
                                const struct error *err)
{
    CLEANUP(json_object_put) struct json_object *object = json_object_new_object();
    const bool has_failed = error_is_set(err);

    if (object == NULL || !json_line_add_text(object, "image_id", id) ||
        !json_line_add_text(object, "result", has_failed ? "failed" : "evicted") ||
        !json_line_add_number(object, "removed_objects", true, removed->objects) ||
        !json_line_add_number(object, "removed_bytes", true, removed->bytes) ||
        !json_line_add_text(object, "error", has_failed ? err->message : NULL))
        return false;
    json_line_print(object);
    return true;
}

static int print_eviction(const struct cache_job *job, const char *id,
                          const struct ciphertext_cache_removal *removed, struct error *err)
{
    char size[SIZE_TEXT_BYTES];

    if (job->options->as_json) {
        if (print_eviction_json(id, removed, err))
            return exit_code_from_error(err);
        (void)error_set(err, ERROR_EXHAUSTED, "out of memory");
    }
    if (error_is_set(err))
        return command_fail(COMMAND, err);
    (void)printf("%-36s  %-10s  %s\n", id, "evicted", size_text(removed->bytes, size));
    return EXIT_CODE_OK;
}

static int evict_images(const struct cache_job *job)
{
    int code = EXIT_CODE_OK;

    for (size_t i = 0; i < job->id_count; i++) {
        struct ciphertext_cache_removal removed = {0};
        struct error err = ERROR_INIT;
        int own_code;

        (void)evict(job->access->cache, job->ids[i], &removed, &err);
        own_code = print_eviction(job, job->ids[i], &removed, &err);
        if (code == EXIT_CODE_OK)
            code = own_code;
    }
    return code;
}

/* --- prune --- */

static int print_pruning_json(const struct cache_pruning *pruning, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *object = json_object_new_object();
    const char *unasked = error_is_set(&pruning->unasked) ? pruning->unasked.message : NULL;

    if (object == NULL ||
        !json_line_add_number(object, "removed_objects", true, pruning->removed.objects) ||
        !json_line_add_number(object, "removed_bytes", true, pruning->removed.bytes) ||
        !json_line_add_boolean(object, "asked", pruning->asked) ||
        !json_line_add_number(object, "gone_images", true, pruning->gone_images) ||
        !json_line_add_number(object, "changed_images", true, pruning->changed_images) ||
        !json_line_add_number(object, "kept_images", true, pruning->kept_images) ||
        !json_line_add_text(object, "error", unasked))
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    json_line_print(object);
    return 0;
}

static void print_pruning(const struct cache_pruning *pruning)
{
    char size[SIZE_TEXT_BYTES];

    (void)printf("removed %" PRIu64 " objects, %s\n", pruning->removed.objects,
                 size_text(pruning->removed.bytes, size));
    if (pruning->gone_images + pruning->changed_images > 0)
        (void)printf("of images that the cloud does not know: %" PRIu64
                     ", whose bytes are others by now: %" PRIu64 "\n",
                     pruning->gone_images, pruning->changed_images);
    if (pruning->kept_images > 0)
        (void)printf("still in use, to be pruned later: %" PRIu64 " images\n",
                     pruning->kept_images);
}

/* A service that does not answer is no failure: there will be another time. */
static int code_of_unasked(const struct error *unasked)
{
    if (!error_is_set(unasked))
        return EXIT_CODE_OK;
    (void)fprintf(stderr, "glancefs %s: not all images were asked for: %s\n", COMMAND,
                  unasked->message);
    return unasked->kind == ERROR_UNAVAILABLE || unasked->kind == ERROR_TIMEOUT
               ? EXIT_CODE_OK
               : exit_code_from_error(unasked);
}

static int prune(const struct cache_job *job)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct cache_pruning pruning;
    struct error err = ERROR_INIT;

    if (signal_cancel_start(&cancel, &err) < 0 ||
        cache_prune(job->access, job->options->trusts_any_cloud, cancel, &pruning, &err) < 0)
        return command_fail(COMMAND, &err);
    if (!job->options->as_json)
        print_pruning(&pruning);
    else if (print_pruning_json(&pruning, &err) < 0)
        return command_fail(COMMAND, &err);
    return code_of_unasked(&pruning.unasked);
}

/* --- choice of the subcommand --- */

#define COMMON_OPTIONS                                                                             \
    CACHE_OPTION_ROWS, {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'},         \
    {                                                                                              \
        NULL, 0, NULL, 0                                                                           \
    }

static const struct option report_options[] = {COMMON_OPTIONS};
static const struct option verify_options[] = {{"repair", no_argument, NULL, 'r'}, COMMON_OPTIONS};
static const struct option prune_options[] = {
    {"offline", no_argument, NULL, 'l'}, {"any-cloud", no_argument, NULL, 'a'}, COMMON_OPTIONS};

static const struct subcommand {
    const char *name;
    const struct option *options;
    enum cache_role role;
    int least_ids, most_ids;
    const char *arguments; /* what a wrong count is told */
    int (*run)(const struct cache_job *job);
} subcommands[] = {
    {"list", report_options, CACHE_OBSERVER, 0, 0, "no argument", list_objects},
    {"usage", report_options, CACHE_OBSERVER, 0, 0, "no argument", show_usage},
    {"verify", verify_options, CACHE_COMMAND, 0, INT_MAX, "image IDs", verify_objects},
    {"evict", report_options, CACHE_COMMAND, 1, INT_MAX, "image IDs", evict_images},
    {"prune", prune_options, CACHE_COMMAND, 0, 0, "no argument", prune},
};

static enum cloud_need cloud_needed(const struct subcommand *subcommand,
                                    const struct cache_command_options *options)
{
    if (options->repairs)
        return CLOUD_NEEDED;
    return subcommand->run == prune && !options->is_offline ? CLOUD_IF_NAMED : CLOUD_NOT_ASKED;
}

static int run(const struct subcommand *subcommand, int argc, char **argv)
{
    CLEANUP(cache_access_free) struct cache_access *access = NULL;
    struct cache_command_options options = {0};
    struct cache_job job = {.options = &options};
    struct error err = ERROR_INIT;
    const int code = parse_options(argc, argv, subcommand->options, &options);

    if (code != 0)
        return code;
    if (options.shows_help) {
        (void)fputs(help, stdout);
        return EXIT_CODE_OK;
    }
    if (argc - optind < subcommand->least_ids || argc - optind > subcommand->most_ids)
        return command_usage_error(COMMAND, "%s takes %s", subcommand->name, subcommand->arguments);
    job.ids = argv + optind;
    job.id_count = (size_t)(argc - optind);
    for (size_t i = 0; i < job.id_count; i++)
        command_fold_id(job.ids[i]);
    if (cache_access_open(&options.cache, subcommand->role, cloud_needed(subcommand, &options),
                          false, &access, &err) < 0)
        return command_fail(COMMAND, &err);
    job.access = access;
    return subcommand->run(&job);
}

int command_cache(int argc, char **argv)
{
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        (void)fputs(help, stdout);
        return EXIT_CODE_OK;
    }
    for (size_t i = 0; argc >= 2 && i < sizeof subcommands / sizeof subcommands[0]; i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return run(&subcommands[i], argc - 1, argv + 1);
    return command_usage_error(COMMAND, "say list, usage, verify, evict or prune");
}
