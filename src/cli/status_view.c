/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/status_view.h"

#include "cli/progress.h"
#include "cli/size_text.h"

#include <inttypes.h>
#include <string.h>

/* So that a row with the id of an image fits into 80 columns. */
#define BAR_WIDTH 12

/* --- members --- */

static struct json_object *member(struct json_object *object, const char *name)
{
    return json_object_object_get(object, name);
}

static const char *text_of(struct json_object *object, const char *name)
{
    const char *text = json_object_get_string(member(object, name));

    return text != NULL ? text : "-";
}

static uint64_t number_of(struct json_object *object, const char *name)
{
    return json_object_get_uint64(member(object, name));
}

/* The same of a total, which may not be known. */
static uint64_t total_of(struct json_object *object, const char *name)
{
    return member(object, name) != NULL ? number_of(object, name) : BYTE_SOURCE_SIZE_UNKNOWN;
}

static size_t count_of(struct json_object *object, const char *name)
{
    struct json_object *array = member(object, name);

    return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

static struct json_object *element(struct json_object *object, const char *name, size_t index)
{
    return json_object_array_get_idx(member(object, name), index);
}

static void put_text(const char *text, FILE *stream)
{
    for (; *text != '\0'; text++)
        (void)fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, stream);
}

/* --- one row --- */

static void put_bar(int percent, FILE *stream)
{
    (void)fputc('[', stream);
    for (int i = 0; i < BAR_WIDTH; i++)
        (void)fputc(i * 100 < percent * BAR_WIDTH ? '#' : '.', stream);
    (void)fputs("] ", stream);
}

/* How far something is: "[###.........]  25 %  1.0 MiB of 4.0 MiB". */
static void put_progress(uint64_t done, uint64_t total, bool with_bar, FILE *stream)
{
    const int percent = progress_percent(done, total);
    char first[SIZE_TEXT_BYTES];
    char second[SIZE_TEXT_BYTES];

    if (percent < 0) {
        (void)fputs(size_text(done, first), stream);
        return;
    }
    if (with_bar)
        put_bar(percent, stream);
    (void)fprintf(stream, "%3d %%  %s of %s", percent, size_text(done, first),
                  size_text(total, second));
}

/* What an upload's ciphertext was sent of, or what was written before it was sealed. */
static void put_upload(struct json_object *upload, bool with_bar, FILE *stream)
{
    const uint64_t stored = number_of(upload, "stored_bytes");
    const uint64_t attempts = number_of(upload, "attempts");
    const char *cause = text_of(upload, "error");
    char bytes[SIZE_TEXT_BYTES];

    put_text(text_of(upload, "image_id"), stream);
    (void)fputs("  ", stream);
    put_text(text_of(upload, "state"), stream);
    (void)fputs("  ", stream);
    if (stored == 0)
        (void)fprintf(stream, "%s written", size_text(number_of(upload, "plaintext_bytes"), bytes));
    else
        put_progress(number_of(upload, "sent_bytes"), stored, with_bar, stream);
    if (attempts > 1)
        (void)fprintf(stream, ", attempt %" PRIu64, attempts);
    if (*cause != '\0')
        (void)fputs(": ", stream);
    put_text(cause, stream);
    (void)fputc('\n', stream);
}

/* --- sections --- */

/* What one kind of running work is called, and where it stands. */
struct work {
    const char *heading; /* for a section */
    const char *verb;    /* for a line */
    const char *array;
    const char *done;
    const char *total;
};

static const struct work downloads = {"fetching", "fetching", "downloads", "done_bytes",
                                      "total_bytes"};
static const struct work verifications = {"verifying", "verifying", "verifications", "done_bytes",
                                          "total_bytes"};
static const struct work streams = {"open", "reading", "streams", "position", "size"};

static void put_work(const struct work *work, struct json_object *image, bool with_bar,
                     FILE *stream)
{
    put_text(text_of(image, "image"), stream);
    (void)fputs("  ", stream);
    put_progress(number_of(image, work->done), total_of(image, work->total), with_bar, stream);
    (void)fputc('\n', stream);
}

static void show_work(const struct work *work, struct json_object *parent, bool with_bars,
                      FILE *stream)
{
    const size_t count = count_of(parent, work->array);

    (void)fprintf(stream, "%-9s %zu\n", work->heading, count);
    for (size_t i = 0; i < count; i++) {
        (void)fputs("  ", stream);
        put_work(work, element(parent, work->array, i), with_bars, stream);
    }
}

static void show_uploads(struct json_object *status, bool with_bars, FILE *stream)
{
    const size_t count = count_of(status, "uploads");

    (void)fprintf(stream, "%-9s %zu\n", "uploads", count);
    for (size_t i = 0; i < count; i++) {
        (void)fputs("  ", stream);
        put_upload(element(status, "uploads", i), with_bars, stream);
    }
}

static void show_counters(struct json_object *counters, FILE *stream)
{
    char bytes[SIZE_TEXT_BYTES];

    (void)fprintf(stream, "since     %" PRIu64 " opens and %" PRIu64 " refused, ",
                  number_of(counters, "opens"), number_of(counters, "failed_opens"));
    (void)fprintf(stream, "%" PRIu64 " verifications and %" PRIu64 " failed, ",
                  number_of(counters, "verifications"),
                  number_of(counters, "failed_verifications"));
    (void)fprintf(stream, "%s read, %" PRIu64 " reads failed\n",
                  size_text(number_of(counters, "read_bytes"), bytes),
                  number_of(counters, "failed_reads"));
}

static void show_cache(struct json_object *cache, bool with_bars, FILE *stream)
{
    const uint64_t maximum = number_of(cache, "max_size_bytes");
    const uint64_t aside = number_of(cache, "quarantined_objects");
    char bytes[SIZE_TEXT_BYTES];

    (void)fprintf(stream, "cache     %" PRIu64 " images, %s", number_of(cache, "objects"),
                  size_text(number_of(cache, "stored_bytes"), bytes));
    if (maximum > 0)
        (void)fprintf(stream, " of at most %s", size_text(maximum, bytes));
    if (aside > 0)
        (void)fprintf(stream, "; %" PRIu64 " set aside as damaged, %s", aside,
                      size_text(number_of(cache, "quarantined_bytes"), bytes));
    (void)fputc('\n', stream);
    show_work(&downloads, cache, with_bars, stream);
}

static void show_sandbox(struct json_object *sandbox, FILE *stream)
{
    const uint64_t landlock = number_of(sandbox, "landlock_abi");

    if (!json_object_get_boolean(member(sandbox, "entered"))) {
        (void)fputs("sandbox   none\n", stream);
        return;
    }
    if (landlock > 0)
        (void)fprintf(stream, "sandbox   Landlock %" PRIu64, landlock);
    else
        (void)fputs("sandbox   no Landlock, the daemon may open whatever its user may", stream);
    if (json_object_get_boolean(member(sandbox, "seccomp")))
        (void)fputs(", seccomp", stream);
    if (member(sandbox, "gpg_helper") != NULL) {
        (void)fputs(", the process that runs gpg: ", stream);
        put_text(text_of(sandbox, "gpg_helper"), stream);
    }
    (void)fputc('\n', stream);
}

void status_view_show(struct json_object *status, bool with_bars, FILE *stream)
{
    const uint64_t uptime = number_of(status, "uptime_seconds");
    struct json_object *memory = member(status, "memory");
    char first[SIZE_TEXT_BYTES];
    char second[SIZE_TEXT_BYTES];

    (void)fputs("glancefs  ", stream);
    put_text(text_of(status, "version"), stream);
    (void)fprintf(stream, ", up %" PRIu64 " h %" PRIu64 " min %" PRIu64 " s\ncloud     ",
                  uptime / 3600, uptime / 60 % 60, uptime % 60);
    put_text(text_of(status, "cloud"), stream);
    (void)fputc('\n', stream);
    show_sandbox(member(status, "sandbox"), stream);
    show_cache(member(status, "cache"), with_bars, stream);
    (void)fprintf(stream, "memory    %s locked of at most %s\n",
                  size_text(number_of(memory, "used_bytes"), first),
                  size_text(number_of(memory, "capacity_bytes"), second));
    show_work(&streams, status, false, stream);
    show_work(&verifications, status, with_bars, stream);
    show_uploads(status, with_bars, stream);
    show_counters(member(status, "counters"), stream);
}

/* --- lines --- */

static void show_lines(const struct work *work, struct json_object *parent, FILE *stream)
{
    for (size_t i = 0; i < count_of(parent, work->array); i++) {
        (void)fprintf(stream, "%s ", work->verb);
        put_work(work, element(parent, work->array, i), false, stream);
    }
}

void status_view_show_running(struct json_object *status, FILE *stream)
{
    struct json_object *cache = member(status, "cache");

    show_lines(&downloads, cache, stream);
    show_lines(&verifications, status, stream);
    for (size_t i = 0; i < count_of(status, "uploads"); i++) {
        (void)fputs("upload ", stream);
        put_upload(element(status, "uploads", i), false, stream);
    }
    (void)fprintf(stream, "%zu open, %zu fetching, %zu verifying, %zu uploads\n",
                  count_of(status, "streams"), count_of(cache, "downloads"),
                  count_of(status, "verifications"), count_of(status, "uploads"));
}
