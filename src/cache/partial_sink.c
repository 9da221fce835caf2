/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/partial_sink.h"

#include "cache/wall_clock.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>

/* Bytes after which write-back of those before is started. */
#define WRITE_BACK_BYTES ((uint64_t)8 * MIB)

/* Metadata and directories when the object is published. */
#define PUBLISH_BYTES (64 * KIB)

/* Of an object of unknown size as much is reserved again as has come, within these. */
#define LEAST_STEP_BYTES ((uint64_t)MIB)
#define MOST_STEP_BYTES ((uint64_t)64 * MIB)

struct partial_sink {
    struct byte_sink sink;
    struct partial_sink_parts parts;
    uint64_t position;     /* bytes that have passed */
    uint64_t written_back; /* from here on nobody told the disk yet */
    uint64_t reserved;     /* up to here there is room, when the size is not known */
};

static bool is_out_of_space(int errnum)
{
    return errnum == ENOSPC || errnum == EDQUOT;
}

/* A hint: errors come back from fsync. */
static void write_back(struct partial_sink *partial)
{
    const uint64_t size = partial->position - partial->written_back;

    if (size < WRITE_BACK_BYTES)
        return;
    (void)sync_file_range(partial->parts.partial->data_fd, (off_t)partial->written_back,
                          (off_t)size, SYNC_FILE_RANGE_WRITE);
    partial->written_back = partial->position;
}

/* Room for what is left of the object, or for `size` bytes at least. */
static int make_room(const struct partial_sink *partial, uint64_t size, struct cancel *cancel,
                     struct error *err)
{
    const uint64_t total = partial->parts.metadata->size;

    if (total != OBJECT_SIZE_UNKNOWN && total > partial->position + size)
        size = total - partial->position;
    return cache_space_make_room(partial->parts.space, size, wall_clock_ns(), cancel, err);
}

/* What the file has already; the hash judges it in the end. */
static size_t pass_over(struct partial_sink *partial, size_t size)
{
    const uint64_t present = partial->parts.partial->present;
    const uint64_t left = present > partial->position ? present - partial->position : 0;
    const size_t passed = left < size ? (size_t)left : size;

    partial->position += passed;
    if (passed > 0)
        partial->written_back = partial->position;
    return passed;
}

static uint64_t step_bytes(uint64_t present, uint64_t least)
{
    uint64_t step = present > LEAST_STEP_BYTES ? present : LEAST_STEP_BYTES;

    if (step > MOST_STEP_BYTES)
        step = MOST_STEP_BYTES;
    return step > least ? step : least;
}

/* What has no size could not be reserved beforehand, but is to keep the limits all the same. */
static int reserve_ahead(struct partial_sink *partial, uint64_t size, struct cancel *cancel,
                         struct error *err)
{
    const struct partial_sink_parts *parts = &partial->parts;
    const uint64_t position = partial->position;
    uint64_t step = step_bytes(position, size);

    if (parts->metadata->size != OBJECT_SIZE_UNKNOWN || position + size <= partial->reserved)
        return 0;
    while (cache_space_extend(parts->space, parts->partial, position, step, wall_clock_ns(), cancel,
                              err) < 0) {
        if (err->kind != ERROR_NO_SPACE || step == size)
            return -1;
        *err = (struct error)ERROR_INIT;
        step = size; /* It may be the end. */
    }
    partial->reserved = position + step;
    return 0;
}

static int partial_write(struct byte_sink *sink, const void *bytes, size_t size,
                         struct cancel *cancel, struct error *err)
{
    struct partial_sink *partial = (struct partial_sink *)sink;
    size_t done = pass_over(partial, size);

    if (done < size && reserve_ahead(partial, size - done, cancel, err) < 0)
        return -1;
    while (done < size) {
        ssize_t result;

        if (cancel_check(cancel, err) < 0)
            return -1;
        result = pwrite(partial->parts.partial->data_fd, (const char *)bytes + done, size - done,
                        (off_t)partial->position);
        if (result < 0 && is_out_of_space(errno)) {
            if (make_room(partial, size - done, cancel, err) < 0)
                return -1;
        } else if (result < 0 && errno != EINTR) {
            return error_set_errno(err, errno, "cache: write");
        }
        done += result > 0 ? (size_t)result : 0;
        partial->position += result > 0 ? (uint64_t)result : 0;
    }
    write_back(partial);
    return 0;
}

static int publish(const struct partial_sink *partial, struct cancel *cancel, struct error *err)
{
    const struct partial_sink_parts *parts = &partial->parts;

    return object_store_publish(parts->layout, parts->partial, parts->metadata, wall_clock_ns(),
                                cancel, err);
}

static int partial_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    const struct partial_sink *partial = (struct partial_sink *)sink;

    if (partial->reserved > partial->position)
        object_store_trim(partial->parts.partial);
    while (publish(partial, cancel, err) < 0) {
        if (err->kind == ERROR_NO_SPACE && partial->parts.partial->is_published)
            break; /* It is there and right; a power cut makes a whole download of it at worst. */
        if (err->kind != ERROR_NO_SPACE || partial->parts.partial->lost > 0 ||
            make_room(partial, PUBLISH_BYTES, cancel, err) < 0)
            return -1;
        *err = (struct error)ERROR_INIT;
    }
    *err = (struct error)ERROR_INIT;
    return 0;
}

static void partial_abort(struct byte_sink *sink)
{
    const struct partial_sink *partial = (struct partial_sink *)sink;

    if (partial->reserved > partial->position)
        object_store_trim(partial->parts.partial);
}

static void partial_free(struct byte_sink *sink)
{
    free(sink);
}

int partial_sink_new(const struct partial_sink_parts *parts, struct byte_sink **ret,
                     struct error *err)
{
    static const struct byte_sink_ops ops = {.write = partial_write,
                                             .commit = partial_commit,
                                             .abort = partial_abort,
                                             .free = partial_free};
    struct partial_sink *partial = calloc(1, sizeof *partial);

    if (partial == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    partial->sink.ops = &ops;
    partial->parts = *parts;
    partial->reserved = parts->partial->present;
    *ret = &partial->sink;
    return 0;
}
