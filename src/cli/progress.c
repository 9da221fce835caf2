/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdlib.h>

#define BAR_WIDTH 30
#define PERCENT 100

/* Carriage return, then the ECMA-48 sequence that erases to the end of the line. */
#define REDRAW "\r\033[K"

void progress_start(struct progress *progress, FILE *stream, bool is_terminal, const char *label,
                    uint64_t total, uint64_t now_ns)
{
    progress->stream = stream;
    progress->is_terminal = is_terminal;
    progress->has_bar = false;
    progress->label = label;
    progress->total = total;
    progress->next_ns = now_ns + (is_terminal ? PROGRESS_QUIET_NS : PROGRESS_LINE_INTERVAL_NS);
}

int progress_percent(uint64_t done, uint64_t total)
{
    if (total == BYTE_SOURCE_SIZE_UNKNOWN)
        return -1;
    if (done >= total)
        return PERCENT;
    return (int)((double)done / (double)total * PERCENT);
}

static void draw_bar(const struct progress *progress, int percent)
{
    int filled = percent * BAR_WIDTH / PERCENT;

    (void)fputs(" [", progress->stream);
    for (int i = 0; i < BAR_WIDTH; i++)
        (void)fputc(i < filled ? '#' : '.', progress->stream);
    (void)fputc(']', progress->stream);
}

void progress_update(struct progress *progress, uint64_t done, uint64_t now_ns)
{
    int percent = progress_percent(done, progress->total);

    if (now_ns < progress->next_ns)
        return;
    progress->next_ns =
        now_ns + (progress->is_terminal ? PROGRESS_BAR_INTERVAL_NS : PROGRESS_LINE_INTERVAL_NS);
    progress->has_bar = progress->is_terminal;
    (void)fprintf(progress->stream, "%s%s", progress->is_terminal ? REDRAW : "", progress->label);
    if (progress->is_terminal && percent >= 0)
        draw_bar(progress, percent);
    (void)fprintf(progress->stream, " %" PRIu64 " MiB", done >> 20);
    if (percent >= 0)
        (void)fprintf(progress->stream, " of %" PRIu64 " MiB (%d %%)", progress->total >> 20,
                      percent);
    if (!progress->is_terminal)
        (void)fputc('\n', progress->stream);
    (void)fflush(progress->stream);
}

void progress_finish(struct progress *progress)
{
    if (!progress->has_bar)
        return;
    (void)fputs(REDRAW, progress->stream);
    (void)fflush(progress->stream);
    progress->has_bar = false;
}

struct progress_source {
    struct byte_source source;
    struct byte_source *inner;
    struct progress *progress;
};

static int progress_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                          struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct progress_source *self = (struct progress_source *)source;

    if (byte_source_pread(self->inner, buffer, size, offset, cancel, ret_size, err) < 0)
        return -1;
    progress_update(self->progress, offset + *ret_size, clock_monotonic_ns());
    return 0;
}

static uint64_t progress_size(struct byte_source *source)
{
    return byte_source_size(((struct progress_source *)source)->inner);
}

static void progress_free(struct byte_source *source)
{
    struct progress_source *self = (struct progress_source *)source;

    byte_source_free(self->inner);
    free(self);
}

int progress_source_new(struct byte_source *source, struct progress *progress,
                        struct byte_source **ret, struct error *err)
{
    static const struct byte_source_ops random_ops = {
        .pread = progress_pread, .size = progress_size, .free = progress_free};
    static const struct byte_source_ops forward_ops = {.pread = progress_pread,
                                                       .size = progress_size,
                                                       .free = progress_free,
                                                       .is_forward_only = true};
    struct progress_source *self = calloc(1, sizeof *self);

    if (self == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    self->source.ops = byte_source_is_forward_only(source) ? &forward_ops : &random_ops;
    self->inner = source;
    self->progress = progress;
    *ret = &self->source;
    return 0;
}
