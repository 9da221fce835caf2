/* SPDX-License-Identifier: Apache-2.0 */
/* One open file; see glancefs/write_index.h. */
#include "view/write_context.h"

#include "base/clock.h"
#include "glancefs/byte_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct monitor *monitor_of(const struct write_stream *stream)
{
    return &stream->index->stagings->monitor;
}

/* --- calls that work on the content --- */

/* Takes the turn and makes sure that there is a good content. */
static int enter(struct write_stream *stream, struct cancel *cancel, struct error *err)
{
    struct write_staging *staging = stream->staging;
    int result;

    if (write_staging_take_turn(staging, cancel, err) < 0)
        return -1;
    monitor_lock(monitor_of(stream));
    result = write_staging_check(staging, err);
    monitor_unlock(monitor_of(stream));
    if (result < 0)
        write_staging_end_turn(staging);
    return result;
}

static int enter_writer(struct write_stream *stream, struct cancel *cancel, struct error *err)
{
    if (!stream->is_writer) {
        (void)error_set(err, ERROR_DENIED, "is not open for writing");
        err->errnum = EBADF;
        return -1;
    }
    return enter(stream, cancel, err);
}

/* Publishes what the call changed, poisons when it failed, and gives the turn up. */
static int leave(struct write_stream *stream, int result, const struct error *err)
{
    struct write_staging *staging = stream->staging;

    monitor_lock(monitor_of(stream));
    staging->size = write_content_size(staging->content);
    staging->changed_at = time(NULL);
    if (result < 0 && err->kind != ERROR_CANCELLED)
        write_staging_poison(staging, err);
    monitor_unlock(monitor_of(stream));
    write_staging_end_turn(staging);
    return result;
}

int write_stream_write(struct write_stream *stream, const void *bytes, size_t size, uint64_t offset,
                       struct cancel *cancel, struct error *err)
{
    int result;

    if (enter_writer(stream, cancel, err) < 0)
        return -1;
    result = write_content_write(stream->staging->content, bytes, size, offset, cancel, err);
    if (result == 0 && size > 0) {
        monitor_lock(monitor_of(stream));
        write_coverage_add(&stream->coverage, offset, offset + size);
        stream->has_written = true;
        monitor_unlock(monitor_of(stream));
    }
    return leave(stream, result, err);
}

int write_stream_truncate(struct write_stream *stream, uint64_t size, struct cancel *cancel,
                          struct error *err)
{
    int result;

    if (enter_writer(stream, cancel, err) < 0)
        return -1;
    result = write_content_truncate(stream->staging->content, size, err);
    if (result == 0) {
        monitor_lock(monitor_of(stream));
        write_coverage_cut(&stream->coverage, size);
        monitor_unlock(monitor_of(stream));
    }
    return leave(stream, result, err);
}

int write_stream_allocate(struct write_stream *stream, int mode, uint64_t offset, uint64_t length,
                          struct cancel *cancel, struct error *err)
{
    if (!write_content_has_mode(mode))
        return error_set(err, ERROR_UNSUPPORTED, "fallocate mode %#x", (unsigned)mode);
    if (enter_writer(stream, cancel, err) < 0)
        return -1;
    return leave(stream,
                 write_content_allocate(stream->staging->content, mode, offset, length, err), err);
}

/* A file of which nothing was staged when it was opened. */
static int read_unstaged(const struct write_stream *stream, struct error *err)
{
    if (stream->attributes.state == WRITE_QUEUED)
        return 0;
    return error_set(err, ERROR_UNSUPPORTED, "is sealed: only its ciphertext is left");
}

int write_stream_read(struct write_stream *stream, void *buffer, size_t size, uint64_t offset,
                      struct cancel *cancel, size_t *ret_size, struct error *err)
{
    int result;

    *ret_size = 0;
    if (stream->staging == NULL)
        return read_unstaged(stream, err);
    if (enter(stream, cancel, err) < 0)
        return -1;
    result = write_content_read(stream->staging->content, buffer, size, offset, ret_size, err);
    write_staging_end_turn(stream->staging);
    return result;
}

/* --- calls that do not --- */

int write_stream_flush(struct write_stream *stream, bool killed, struct error *err)
{
    struct write_staging *staging = stream->staging;
    struct error cause = ERROR_INIT;
    int result = 0;

    if (staging == NULL)
        return 0;
    monitor_lock(monitor_of(stream));
    if (killed && stream->is_writer) {
        (void)error_set(&cause, ERROR_CANCELLED, "its writer was killed");
        write_staging_poison(staging, &cause);
        write_staging_begin_disposal(staging);
    }
    if (staging->phase == STAGING_POISONED || staging->phase == STAGING_REMOVED)
        result = write_staging_check(staging, err);
    monitor_unlock(monitor_of(stream));
    return result;
}

void write_stream_attributes(struct write_stream *stream, struct write_attributes *ret)
{
    *ret = stream->attributes;
    if (stream->staging == NULL)
        return;
    monitor_lock(monitor_of(stream));
    write_staging_attributes(stream->staging, ret);
    monitor_unlock(monitor_of(stream));
}

/* --- closing --- */

/*
 * True when what this writer leaves behind counts as complete by itself. That is so only under the
 * image's own name: who writes another one means to rename it, and must still find it. Locked.
 */
static bool writer_completed(const struct write_stream *stream)
{
    const struct write_staging *staging = stream->staging;

    if (staging->phase != STAGING_OPEN || strcmp(staging->name, staging->image_id) != 0)
        return false;
    if (stream->index->parts.config->commit == COMMIT_CLOSE && stream->has_written)
        return true;
    return staging->declared_size != BYTE_SOURCE_SIZE_UNKNOWN &&
           staging->declared_size == staging->size &&
           write_coverage_is_complete(&stream->coverage, staging->size);
}

/* Begins the seal that the last close means; on failure *err says why it cannot be. Locked. */
static int seal_at_last_close(struct write_staging *staging, struct error *err)
{
    if (staging->handles > 0 || !staging->seals_at_last_close || staging->phase != STAGING_OPEN)
        return 0;
    staging->seals_at_last_close = false;
    if (write_staging_check_seal(staging, NULL, err) < 0)
        return -1;
    return write_staging_begin_seal(staging, err);
}

static void close_staged(struct write_stream *stream)
{
    struct write_staging *staging = stream->staging;
    const struct write_index_parts *parts = &stream->index->parts;
    struct error error = ERROR_INIT;
    int result;

    monitor_lock(monitor_of(stream));
    staging->handles--;
    staging->idle_since_ns = clock_monotonic_ns();
    if (stream->is_writer) {
        staging->has_writer = false;
        staging->seals_at_last_close = writer_completed(stream);
    }
    result = seal_at_last_close(staging, &error);
    monitor_unlock(monitor_of(stream));
    if (result < 0 && parts->on_seal != NULL)
        parts->on_seal(parts->on_seal_context, staging->image_id, &error);
    write_staging_unref(staging);
}

void write_stream_close(struct write_stream *stream)
{
    if (stream == NULL)
        return;
    if (stream->staging != NULL)
        close_staged(stream);
    stream_limit_give(stream->index->parts.streams);
    free(stream);
}
