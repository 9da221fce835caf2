/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_source.h"
#include "cli/command.h"
#include "cli/size_text.h"
#include "glancefs/cleanup.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define COMMAND "status"

static const char help[] = "Usage: glancefs status [--json] MOUNT\n"
                           "Shows what the mount MOUNT is doing.\n"
                           "\n"
                           "  --json      as the mount itself says it, for scripts\n"
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

/* --- showing; a member that is missing shows as 0 or nothing --- */

static const char *text_of(struct json_object *object, const char *name)
{
    const char *text = json_object_get_string(json_object_object_get(object, name));

    return text != NULL ? text : "-";
}

static uint64_t number_of(struct json_object *object, const char *name)
{
    return json_object_get_uint64(json_object_object_get(object, name));
}

/* One line for each of an array: the image and how far it has come. */
static void show_images(struct json_object *status, const char *name, const char *heading,
                        const char *done, const char *total)
{
    struct json_object *images = json_object_object_get(status, name);
    const size_t count =
        json_object_is_type(images, json_type_array) ? json_object_array_length(images) : 0;
    char first[SIZE_TEXT_BYTES];
    char second[SIZE_TEXT_BYTES];

    (void)printf("%-9s %zu\n", heading, count);
    for (size_t i = 0; i < count; i++) {
        struct json_object *image = json_object_array_get_idx(images, i);

        (void)printf("  %s  %s of %s\n", text_of(image, "image"),
                     size_text(number_of(image, done), first),
                     size_text(number_of(image, total), second));
    }
}

/* How far an upload has come: what is written or stored, how much was sent, what went wrong. */
static void show_upload(struct json_object *upload)
{
    const uint64_t stored = number_of(upload, "stored_bytes");
    const uint64_t attempts = number_of(upload, "attempts");
    const char *cause = text_of(upload, "error");
    char first[SIZE_TEXT_BYTES];
    char second[SIZE_TEXT_BYTES];

    (void)printf("  %s  %-9s  ", text_of(upload, "image_id"), text_of(upload, "state"));
    if (stored == 0)
        (void)printf("%s written", size_text(number_of(upload, "plaintext_bytes"), first));
    else
        (void)printf("%s of %s sent", size_text(number_of(upload, "sent_bytes"), first),
                     size_text(stored, second));
    if (attempts > 1)
        (void)printf(", attempt %" PRIu64, attempts);
    (void)printf("%s%s\n", *cause != '\0' ? ": " : "", cause);
}

static void show_uploads(struct json_object *status)
{
    struct json_object *uploads = json_object_object_get(status, "uploads");
    const size_t count =
        json_object_is_type(uploads, json_type_array) ? json_object_array_length(uploads) : 0;

    (void)printf("%-9s %zu\n", "uploads", count);
    for (size_t i = 0; i < count; i++)
        show_upload(json_object_array_get_idx(uploads, i));
}

static void show_counters(struct json_object *counters)
{
    char bytes[SIZE_TEXT_BYTES];

    (void)printf("since     %" PRIu64 " opens and %" PRIu64 " refused, ",
                 number_of(counters, "opens"), number_of(counters, "failed_opens"));
    (void)printf("%" PRIu64 " verifications and %" PRIu64 " failed, ",
                 number_of(counters, "verifications"), number_of(counters, "failed_verifications"));
    (void)printf("%s read, %" PRIu64 " reads failed\n",
                 size_text(number_of(counters, "read_bytes"), bytes),
                 number_of(counters, "failed_reads"));
}

static void show_cache(struct json_object *cache)
{
    const uint64_t maximum = number_of(cache, "max_size_bytes");
    const uint64_t aside = number_of(cache, "quarantined_objects");
    char bytes[32];

    (void)printf("cache     %" PRIu64 " images, %s", number_of(cache, "objects"),
                 size_text(number_of(cache, "stored_bytes"), bytes));
    if (maximum > 0)
        (void)printf(" of at most %s", size_text(maximum, bytes));
    if (aside > 0)
        (void)printf("; %" PRIu64 " set aside as damaged, %s", aside,
                     size_text(number_of(cache, "quarantined_bytes"), bytes));
    (void)printf("\n");
    show_images(cache, "downloads", "fetching", "done_bytes", "total_bytes");
}

static void show_sandbox(struct json_object *sandbox)
{
    const uint64_t landlock = number_of(sandbox, "landlock_abi");

    if (!json_object_get_boolean(json_object_object_get(sandbox, "entered"))) {
        (void)printf("sandbox   none\n");
        return;
    }
    if (landlock > 0)
        (void)printf("sandbox   Landlock %" PRIu64, landlock);
    else
        (void)printf("sandbox   no Landlock, the daemon may open whatever its user may");
    if (json_object_get_boolean(json_object_object_get(sandbox, "seccomp")))
        (void)printf(", seccomp");
    if (json_object_get_boolean(json_object_object_get(sandbox, "runs_programs")))
        (void)printf(", runs gpg");
    (void)printf("\n");
}

static void show(struct json_object *status)
{
    const uint64_t uptime = number_of(status, "uptime_seconds");
    struct json_object *memory = json_object_object_get(status, "memory");
    char first[SIZE_TEXT_BYTES];
    char second[SIZE_TEXT_BYTES];

    (void)printf("glancefs  %s, up %" PRIu64 " h %" PRIu64 " min %" PRIu64 " s\n",
                 text_of(status, "version"), uptime / 3600, uptime / 60 % 60, uptime % 60);
    (void)printf("cloud     %s\n", text_of(status, "cloud"));
    show_sandbox(json_object_object_get(status, "sandbox"));
    show_cache(json_object_object_get(status, "cache"));
    (void)printf("memory    %s locked of at most %s\n",
                 size_text(number_of(memory, "used_bytes"), first),
                 size_text(number_of(memory, "capacity_bytes"), second));
    show_images(status, "streams", "open", "position", "size");
    show_images(status, "verifications", "verifying", "done_bytes", "total_bytes");
    show_uploads(status);
    show_counters(json_object_object_get(status, "counters"));
}

static int run(const char *mount_point, bool as_json)
{
    CLEANUP(memory_free) char *text = NULL;
    CLEANUP(json_object_put) struct json_object *status = NULL;
    struct error err = ERROR_INIT;

    if (read_status(mount_point, &text, &err) < 0 ||
        parse_status(text, mount_point, &status, &err) < 0)
        return command_fail(COMMAND, &err);
    if (as_json)
        (void)fputs(text, stdout);
    else
        show(status);
    if (fflush(stdout) == 0)
        return EXIT_CODE_OK;
    (void)error_set_errno(&err, errno, "standard output");
    return command_fail(COMMAND, &err);
}

int command_status(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    bool as_json = false;
    int option;

    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (option == 'j') {
            as_json = true;
        } else if (option == 'h') {
            (void)fputs(help, stdout);
            return EXIT_CODE_OK;
        } else {
            return command_usage_error(COMMAND, "bad arguments");
        }
    }
    if (argc - optind != 1)
        return command_usage_error(COMMAND, "give one mount point");
    return run(argv[optind], as_json);
}
