/* SPDX-License-Identifier: Apache-2.0 */
#include "base/byte_pipe.h"

#include "base/monitor.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum writer_state { WRITER_OPEN, WRITER_COMMITTED, WRITER_ABORTED };

struct byte_pipe {
    struct byte_sink sink;
    struct byte_source source;
    struct monitor monitor; /* guards everything below */
    uint8_t *ring;
    size_t capacity;
    uint64_t written; /* bytes ever put in; the ring holds written - read of them */
    uint64_t read;
    enum writer_state writer;
    bool reader_gone;
    bool sink_freed;
};

static struct byte_pipe *pipe_of_sink(struct byte_sink *sink)
{
    return (struct byte_pipe *)((char *)sink - offsetof(struct byte_pipe, sink));
}

static struct byte_pipe *pipe_of_source(struct byte_source *source)
{
    return (struct byte_pipe *)((char *)source - offsetof(struct byte_pipe, source));
}

/* Bytes from `position` that lie in one piece, at most `size`. */
static size_t piece(const struct byte_pipe *pipe, uint64_t position, uint64_t available,
                    size_t size)
{
    const size_t start = (size_t)(position % pipe->capacity);
    size_t length = pipe->capacity - start;

    if (length > available)
        length = (size_t)available;
    return length < size ? length : size;
}

static int sink_write(struct byte_sink *sink, const void *bytes, size_t size, struct cancel *cancel,
                      struct error *err)
{
    struct byte_pipe *pipe = pipe_of_sink(sink);
    const uint8_t *next = bytes;
    struct monitor_waiter waiter;
    size_t length;

    monitor_enter(&pipe->monitor, cancel, &waiter);
    while (size > 0 && !pipe->reader_gone && !cancel_is_requested(cancel)) {
        length = piece(pipe, pipe->written, pipe->capacity - (pipe->written - pipe->read), size);
        if (length == 0) {
            monitor_wait(&pipe->monitor);
            continue;
        }
        memcpy(pipe->ring + pipe->written % pipe->capacity, next, length);
        pipe->written += length;
        next += length;
        size -= length;
        monitor_changed(&pipe->monitor);
    }
    monitor_leave(&pipe->monitor, cancel, &waiter);
    return cancel_check(cancel, err);
}

static void end_writing(struct byte_pipe *pipe, enum writer_state state)
{
    monitor_lock(&pipe->monitor);
    pipe->writer = state;
    monitor_changed(&pipe->monitor);
    monitor_unlock(&pipe->monitor);
}

static int sink_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    (void)cancel;
    (void)err;
    end_writing(pipe_of_sink(sink), WRITER_COMMITTED);
    return 0;
}

static void sink_abort(struct byte_sink *sink)
{
    end_writing(pipe_of_sink(sink), WRITER_ABORTED);
}

static int source_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct byte_pipe *pipe = pipe_of_source(source);
    struct monitor_waiter waiter;
    uint8_t *next = buffer;
    size_t got = 0;
    size_t length;
    bool aborted;

    if (offset != pipe->read)
        return error_set_errno(err, ESPIPE, "pipe");
    monitor_enter(&pipe->monitor, cancel, &waiter);
    while (got < size && !cancel_is_requested(cancel)) {
        length = piece(pipe, pipe->read, pipe->written - pipe->read, size - got);
        if (length == 0) {
            if (pipe->writer != WRITER_OPEN)
                break;
            monitor_wait(&pipe->monitor);
            continue;
        }
        memcpy(next + got, pipe->ring + pipe->read % pipe->capacity, length);
        pipe->read += length;
        got += length;
        monitor_changed(&pipe->monitor);
    }
    aborted = got < size && pipe->writer == WRITER_ABORTED;
    monitor_leave(&pipe->monitor, cancel, &waiter);
    if (cancel_check(cancel, err) < 0)
        return -1;
    if (aborted)
        return error_set(err, ERROR_CORRUPT, "the data ended early");
    *ret_size = got;
    return 0;
}

static uint64_t source_size(struct byte_source *source)
{
    (void)source;
    return BYTE_SOURCE_SIZE_UNKNOWN;
}

/* The end that is freed last takes the pipe with it. */
static void leave(struct byte_pipe *pipe, bool *gone)
{
    bool last;

    monitor_lock(&pipe->monitor);
    *gone = true;
    last = pipe->reader_gone && pipe->sink_freed;
    monitor_changed(&pipe->monitor);
    monitor_unlock(&pipe->monitor);
    if (!last)
        return;
    monitor_destroy(&pipe->monitor);
    free(pipe->ring);
    free(pipe);
}

static void sink_free(struct byte_sink *sink)
{
    struct byte_pipe *pipe = pipe_of_sink(sink);

    leave(pipe, &pipe->sink_freed);
}

static void source_free(struct byte_source *source)
{
    struct byte_pipe *pipe = pipe_of_source(source);

    leave(pipe, &pipe->reader_gone);
}

static const struct byte_sink_ops sink_ops = {
    .write = sink_write, .commit = sink_commit, .abort = sink_abort, .free = sink_free};

static const struct byte_source_ops source_ops = {
    .pread = source_pread, .size = source_size, .free = source_free, .is_forward_only = true};

int byte_pipe_new(size_t capacity, struct byte_sink **ret_sink, struct byte_source **ret_source,
                  struct error *err)
{
    struct byte_pipe *pipe = calloc(1, sizeof *pipe);
    uint8_t *ring = malloc(capacity);

    if (pipe == NULL || ring == NULL) {
        free(pipe);
        free(ring);
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    }
    pipe->sink.ops = &sink_ops;
    pipe->source.ops = &source_ops;
    pipe->ring = ring;
    pipe->capacity = capacity;
    monitor_init(&pipe->monitor);
    *ret_sink = &pipe->sink;
    *ret_source = &pipe->source;
    return 0;
}
