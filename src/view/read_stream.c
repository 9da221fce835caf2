/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thread model: requests wait in the stream's queue, ordered by offset. While there are any, one
 * job of the registry's pool serves them one after the other, so a stream never holds more than one
 * thread and its bytes need no lock of their own.
 *
 * Plaintext lies in one ring of locked memory, in which it is decrypted, delivered from and kept
 * as history; nothing is copied.
 */
#include "view/read_stream.h"

#include "base/clock.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* Holds a request as large as can be, behind a full history. */
#define RING_BYTES (STREAM_HISTORY_BYTES + FUSE_REQUEST_BYTES)

/*
 * How long a read waits for the one before it. The kernel sends reads in order, but two threads
 * receive them; only a reader that jumps ever waits so long.
 */
#define GAP_NS UINT64_C(200000000)
#define GAP_POLL_NS 2000000L

struct read_stream {
    struct job job;
    struct stream_entry entry; /* its position is where the next read should start */
    struct stream_registry *registry;
    struct secure_arena *arena;
    struct verified_image *image;
    struct byte_source *plaintext;

    /* The job's own. */
    uint8_t *ring;
    uint64_t decrypted;  /* position of `plaintext`; at most one request past the stream's */
    struct error damage; /* ends the stream for good, once there is any */

    pthread_mutex_t mutex;      /* guards everything below; nothing else is locked inside */
    struct read_request *queue; /* by offset */
    bool is_running;            /* the job is queued or runs */
    bool is_closed;
};

static void run_stream(struct job *job);

int read_stream_new(const struct read_stream_parts *parts, struct read_stream **ret,
                    struct error *err)
{
    struct read_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    stream->ring = secure_arena_allocate(parts->arena, RING_BYTES);
    if (stream->ring == NULL) {
        free(stream);
        return error_set(err, ERROR_EXHAUSTED, "locked memory is used up (max_memory)");
    }
    stream->job.run = run_stream;
    stream->registry = parts->registry;
    stream->arena = parts->arena;
    stream->image = parts->image;
    stream->plaintext = parts->plaintext;
    stream->entry.size = parts->size;
    (void)snprintf(stream->entry.image_id, sizeof stream->entry.image_id, "%s", parts->image_id);
    (void)pthread_mutex_init(&stream->mutex, NULL);
    stream_registry_add(stream->registry, &stream->entry);
    *ret = stream;
    return 0;
}

static void free_stream(struct read_stream *stream)
{
    byte_source_free(stream->plaintext);
    secure_arena_release(stream->arena, stream->ring);
    verified_image_release(stream->image);
    (void)pthread_mutex_destroy(&stream->mutex);
    free(stream);
}

uint64_t read_stream_size(const struct read_stream *stream)
{
    return stream->entry.size;
}

/* --- plaintext; the job's side --- */

static uint64_t position_of(struct read_stream *stream)
{
    return atomic_load(&stream->entry.position);
}

/* Bytes from `offset` to `end` that lie in one piece in the ring. */
static struct iovec piece_at(const struct read_stream *stream, uint64_t offset, uint64_t end)
{
    const size_t start = (size_t)(offset % RING_BYTES);
    size_t length = RING_BYTES - start;

    if (length > end - offset)
        length = (size_t)(end - offset);
    return (struct iovec){.iov_base = stream->ring + start, .iov_len = length};
}

/* Decrypts on until the ring holds everything up to `end`. */
static int decrypt_up_to(struct read_stream *stream, uint64_t end, struct cancel *cancel,
                         struct error *err)
{
    while (stream->decrypted < end) {
        const struct iovec piece = piece_at(stream, stream->decrypted, end);
        size_t got = 0;

        if (byte_source_pread(stream->plaintext, piece.iov_base, piece.iov_len, stream->decrypted,
                              cancel, &got, err) < 0)
            return -1;
        stream->decrypted += got;
        if (got < piece.iov_len)
            return error_set(err, ERROR_CORRUPT, "the plaintext ends at %" PRIu64 " of %" PRIu64,
                             stream->decrypted, stream->entry.size);
    }
    return 0;
}

/* Where the bytes that `request` gets end (at its offset when there are none); ESPIPE when it
 * starts at the wrong place. */
static int judge_offset(struct read_stream *stream, const struct read_request *request,
                        uint64_t *ret_end, struct error *err)
{
    const uint64_t position = position_of(stream);
    const uint64_t size = stream->entry.size;
    size_t length = request->size;

    if (request->offset >= size) {
        *ret_end = request->offset;
        return 0;
    }
    if (request->offset > position || position - request->offset > STREAM_HISTORY_BYTES)
        return error_set_errno(err, ESPIPE, "read at %" PRIu64 " of a stream that is at %" PRIu64,
                               request->offset, position);
    if (length > FUSE_REQUEST_BYTES)
        length = FUSE_REQUEST_BYTES;
    *ret_end = length < size - request->offset ? request->offset + length : size;
    return 0;
}

static void count_read(struct read_stream *stream, uint64_t bytes, const struct error *err)
{
    struct view_counters *counters = stream_registry_counters(stream->registry);

    if (err == NULL) {
        atomic_fetch_add(&counters->reads, 1);
        atomic_fetch_add(&counters->read_bytes, bytes);
    } else if (err->kind != ERROR_CANCELLED) {
        atomic_fetch_add(&counters->failed_reads, 1);
    }
}

static int check_stream(const struct read_stream *stream, const struct read_request *request,
                        struct error *err)
{
    if (!error_is_set(&stream->damage))
        return cancel_check(request->cancel, err);
    *err = stream->damage;
    return -1;
}

static void serve(struct read_stream *stream, struct read_request *request)
{
    struct error error = ERROR_INIT;
    struct iovec pieces[2];
    uint64_t offset = request->offset;
    uint64_t end = 0;
    int count = 0;

    if (check_stream(stream, request, &error) < 0 ||
        judge_offset(stream, request, &end, &error) < 0 ||
        (end > offset && decrypt_up_to(stream, end, request->cancel, &error) < 0)) {
        if (error.kind == ERROR_CORRUPT)
            stream->damage = error;
        count_read(stream, 0, &error);
        request->complete(request, NULL, 0, &error);
        return;
    }
    while (offset < end) {
        pieces[count] = piece_at(stream, offset, end);
        offset += pieces[count++].iov_len;
    }
    if (end > request->offset && end > position_of(stream))
        atomic_store(&stream->entry.position, end);
    count_read(stream, end - request->offset, NULL);
    request->complete(request, pieces, count, NULL);
}

/* --- the queue --- */

/* True when the first request should be served now, even if only to refuse it. Locked. */
static bool is_due(struct read_stream *stream)
{
    const struct read_request *first = stream->queue;

    return first->offset <= position_of(stream) || first->offset >= stream->entry.size ||
           cancel_is_requested(first->cancel) || clock_monotonic_ns() >= first->deadline_ns;
}

/* The next request to serve; NULL when there is none, and the job is over. */
static struct read_request *next_request(struct read_stream *stream, bool *ret_is_closed)
{
    static const struct timespec pause = {.tv_nsec = GAP_POLL_NS};
    struct read_request *request;

    (void)pthread_mutex_lock(&stream->mutex);
    while (stream->queue != NULL && !is_due(stream)) {
        (void)pthread_mutex_unlock(&stream->mutex);
        (void)nanosleep(&pause, NULL);
        (void)pthread_mutex_lock(&stream->mutex);
    }
    request = stream->queue;
    if (request != NULL)
        stream->queue = request->next;
    else
        stream->is_running = false;
    *ret_is_closed = stream->is_closed;
    (void)pthread_mutex_unlock(&stream->mutex);
    return request;
}

static void run_stream(struct job *job)
{
    struct read_stream *stream = (struct read_stream *)job;
    struct read_request *request;
    bool is_closed;

    while ((request = next_request(stream, &is_closed)) != NULL)
        serve(stream, request);
    if (is_closed)
        free_stream(stream);
}

/* Queues the request; true when the job has to be started. Locked. */
static bool enqueue(struct read_stream *stream, struct read_request *request)
{
    struct read_request **link = &stream->queue;
    const bool must_start = !stream->is_running;

    while (*link != NULL && (*link)->offset <= request->offset)
        link = &(*link)->next;
    request->next = *link;
    *link = request;
    stream->is_running = true;
    return must_start;
}

void read_stream_submit(struct read_stream *stream, struct read_request *request)
{
    struct error error = ERROR_INIT;
    bool must_start;

    request->deadline_ns = clock_monotonic_ns() + GAP_NS;
    (void)pthread_mutex_lock(&stream->mutex);
    must_start = enqueue(stream, request);
    (void)pthread_mutex_unlock(&stream->mutex);
    if (must_start &&
        worker_pool_submit(stream_registry_pool(stream->registry), &stream->job, &error) < 0)
        run_stream(&stream->job); /* no thread is left in the system: late is better than never */
}

void read_stream_close(struct read_stream *stream)
{
    bool is_running;

    if (stream == NULL)
        return;
    stream_registry_remove(stream->registry, &stream->entry);
    (void)pthread_mutex_lock(&stream->mutex);
    stream->is_closed = true;
    is_running = stream->is_running;
    (void)pthread_mutex_unlock(&stream->mutex);
    if (!is_running)
        free_stream(stream);
}
