/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thread model: requests wait in the stream's queue, ordered by offset. While there are any, one
 * job of the registry's pool serves them one after the other, so a stream never holds more than one
 * thread and its bytes need no lock of their own.
 * A read that needs nothing but the processor and bytes at hand is served by the thread that
 * submits it, as if it were the job. When it is another stream's turn (read_turns.h), it waits in the
 * queue, and the job begins when the turn comes; one thread then serves stream after stream.
 */
#include "view/read_stream.h"

#include "base/clock.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

/*
 * How long a read waits for the one before it. The kernel sends reads in order, but two threads
 * receive them; only a reader that jumps ever waits so long.
 */
#define GAP_NS UINT64_C(200000000)
#define GAP_POLL_NS 2000000L

/* How many requests in a row a thread that submitted one may serve; it has other things to do. */
#define SERVED_AT_ONCE 16

struct read_stream {
    struct job job;
    struct stream_entry entry; /* its position is where the next read should start */
    struct stream_registry *registry;
    struct verified_image *image;
    struct arriving_image *arriving;
    const char *verification;
    struct plaintext *plaintext; /* the job's own */
    struct image_turns *turns;
    struct turn_waiter waiter;

    pthread_mutex_t mutex;      /* guards everything below; the turns' own may follow */
    struct read_request *queue; /* by offset */
    bool is_running;            /* the job is queued or runs */
    bool is_closed;

    /* Written by the job alone, so that it reads them without the mutex. */
    struct error failure; /* of a read that was not made good since, if any */
    uint64_t failed_at;   /* where that started */
    bool has_ended;       /* it is final: every further read gets it */
};

int read_stream_new(const struct read_stream_parts *parts, struct read_stream **ret,
                    struct error *err)
{
    struct read_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (read_turns_join(stream_registry_turns(parts->registry), parts->image_id, &stream->turns,
                        err) < 0) {
        free(stream);
        return -1;
    }
    stream->registry = parts->registry;
    stream->image = parts->image;
    stream->arriving = parts->arriving;
    stream->verification = parts->verification;
    stream->plaintext = parts->plaintext;
    atomic_init(&stream->entry.size, parts->plaintext->size);
    atomic_init(&stream->entry.is_verified, parts->plaintext->is_verified);
    (void)snprintf(stream->entry.image_id, sizeof stream->entry.image_id, "%s", parts->image_id);
    (void)pthread_mutex_init(&stream->mutex, NULL);
    stream_registry_add(stream->registry, &stream->entry);
    *ret = stream;
    return 0;
}

const char *read_stream_verification(const struct read_stream *stream)
{
    return stream->verification;
}

static void free_stream(struct read_stream *stream)
{
    plaintext_free(stream->plaintext);
    arriving_image_free(stream->arriving);
    verified_image_release(stream->image);
    image_turns_leave(stream->turns);
    stream_registry_tidy(stream->registry);
    (void)pthread_mutex_destroy(&stream->mutex);
    free(stream);
}

uint64_t read_stream_size(const struct read_stream *stream)
{
    return atomic_load(&stream->entry.size);
}

int read_stream_flush(struct read_stream *stream, struct error *err)
{
    bool has_failed;

    (void)pthread_mutex_lock(&stream->mutex);
    has_failed = error_is_set(&stream->failure);
    if (has_failed)
        *err = stream->failure;
    (void)pthread_mutex_unlock(&stream->mutex);
    return has_failed ? -1 : 0;
}

/* --- plaintext; the job's side --- */

static uint64_t position_of(struct read_stream *stream)
{
    return atomic_load(&stream->entry.position);
}

static uint64_t size_of(struct read_stream *stream)
{
    return atomic_load(&stream->entry.size);
}

/* ESPIPE unless `request` starts where the stream is, or was not long ago. */
static int judge_offset(struct read_stream *stream, const struct read_request *request,
                        struct error *err)
{
    const uint64_t position = position_of(stream);

    if (request->offset > position || position - request->offset > STREAM_HISTORY_BYTES)
        return error_set_errno(err, ESPIPE, "read at %" PRIu64 " of a stream that is at %" PRIu64,
                               request->offset, position);
    return 0;
}

/*
 * A message that is not verified yet has failed for good when anything but the reader's patience or
 * our memory fails: its end will never be shown. Of a verified one only damage is final.
 */
static bool is_final(const struct read_stream *stream, const struct error *err)
{
    if (err->kind == ERROR_CANCELLED || err->kind == ERROR_EXHAUSTED)
        return false;
    return err->kind == ERROR_CORRUPT || !stream->plaintext->is_verified;
}

/* What a failure of the plaintext means to the stream and its reader. */
static void judge_failure(struct read_stream *stream, const struct read_request *request,
                          struct error *err)
{
    /* A reader that nobody interrupted would only ask again. */
    if (err->kind == ERROR_CANCELLED && !cancel_is_requested(request->cancel))
        (void)error_set(err, ERROR_UNAVAILABLE, "was given up while it arrived");
    stream->has_ended = is_final(stream, err);
    if (stream->has_ended && !stream->plaintext->is_verified)
        atomic_fetch_add(&stream_registry_counters(stream->registry)->failed_verifications, 1);
}

static size_t bytes_wanted(const struct read_request *request)
{
    return request->size < FUSE_REQUEST_BYTES ? request->size : FUSE_REQUEST_BYTES;
}

/* What `request` gets: nothing at and after the end. */
static int get(struct read_stream *stream, const struct read_request *request,
               struct plaintext_pieces *ret, struct error *err)
{
    const uint64_t started_ns = clock_monotonic_ns();
    const size_t size = bytes_wanted(request);

    *ret = (struct plaintext_pieces){.count = 0};
    /* At the end of an arriving image there is nothing until it proved to be the end. */
    if (size == 0 || (request->offset >= size_of(stream) && stream->plaintext->is_verified))
        return 0;
    if (judge_offset(stream, request, err) < 0)
        return -1;
    if (plaintext_get(stream->plaintext, request->offset, size, request->cancel, ret, err) < 0) {
        judge_failure(stream, request, err);
        return -1;
    }
    stage_counter_add(&stream_registry_counters(stream->registry)->decrypt, ret->size, started_ns);
    atomic_store(&stream->entry.size, stream->plaintext->size);
    atomic_store(&stream->entry.is_verified, stream->plaintext->is_verified);
    return 0;
}

/* --- answers; the job's side --- */

static void set_failure(struct read_stream *stream, const struct error *err)
{
    (void)pthread_mutex_lock(&stream->mutex);
    stream->failure = *err;
    (void)pthread_mutex_unlock(&stream->mutex);
}

/*
 * For the flush. What a program reads at once may be many requests: when one behind the first fails,
 * the kernel tells it of a short read and not of the failure. Of its own interruption it knows.
 */
static void note_failure(struct read_stream *stream, const struct read_request *request,
                         const struct error *err)
{
    if (err->kind == ERROR_CANCELLED || (error_is_set(&stream->failure) && !stream->has_ended))
        return;
    stream->failed_at = request->offset;
    set_failure(stream, err);
}

/* What failed is forgiven once the program has the bytes, or knows that there are none. */
static void note_success(struct read_stream *stream, const struct read_request *request)
{
    if (error_is_set(&stream->failure) && stream->failed_at >= request->offset &&
        stream->failed_at - request->offset < bytes_wanted(request))
        set_failure(stream, &(struct error)ERROR_INIT);
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
    if (!stream->has_ended)
        return cancel_check(request->cancel, err);
    *err = stream->failure;
    return -1;
}

/* Answers, unless that would have to wait and must not: then it gives false. */
static bool serve(struct read_stream *stream, struct read_request *request, bool may_wait)
{
    struct error error = ERROR_INIT;
    struct plaintext_pieces found;
    uint64_t end;

    if (check_stream(stream, request, &error) < 0 || get(stream, request, &found, &error) < 0) {
        if (!may_wait && error.kind == ERROR_BUSY)
            return false;
        note_failure(stream, request, &error);
        count_read(stream, 0, &error);
        request->complete(request, NULL, 0, &error);
        return true;
    }
    end = request->offset + found.size;
    if (found.size > 0 && end > position_of(stream))
        atomic_store(&stream->entry.position, end);
    note_success(stream, request);
    count_read(stream, found.size, NULL);
    request->complete(request, found.pieces, found.count, NULL);
    plaintext_put(stream->plaintext, &found);
    return true;
}

/* --- the queue --- */

/* True when the first request should be served now, even if only to refuse it. Locked. */
static bool is_due(struct read_stream *stream)
{
    const struct read_request *first = stream->queue;

    return first->offset <= position_of(stream) ||
           (first->offset >= size_of(stream) && atomic_load(&stream->entry.is_verified)) ||
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
        (void)serve(stream, request, true);
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

static void start_job(struct read_stream *stream, void (*run)(struct job *job))
{
    struct error error = ERROR_INIT;

    stream->job.run = run;
    if (worker_pool_submit(stream_registry_pool(stream->registry), &stream->job, &error) < 0)
        run(&stream->job); /* no thread is left in the system: late is better than never */
}

/* --- turns --- */

/* The next request for the thread that has the stream; NULL, and it has it no more. */
static struct read_request *next_at_hand(struct read_stream *stream, unsigned served,
                                         bool *ret_must_start, bool *ret_is_closed)
{
    struct read_request *next;

    (void)pthread_mutex_lock(&stream->mutex);
    next = stream->queue;
    if (next != NULL && (served >= SERVED_AT_ONCE || next->offset > position_of(stream)))
        next = NULL;
    if (next != NULL)
        stream->queue = next->next;
    *ret_must_start = next == NULL && stream->queue != NULL;
    stream->is_running = next != NULL || *ret_must_start;
    *ret_is_closed = stream->is_closed;
    (void)pthread_mutex_unlock(&stream->mutex);
    return next;
}

/*
 * Serves in the calling thread, which has the stream and a turn: also what comes meanwhile, for a
 * reader is faster with his next request than we with what is left of this one. What has to wait is
 * the job's, without a turn, but of a compressed image, whose plaintext cannot tell beforehand.
 */
static void serve_in_turn(struct read_stream *stream, struct read_request *request)
{
    const bool may_wait = !plaintext_can_avoid_waiting(stream->plaintext);
    bool must_start = false;
    bool is_closed = false;

    for (unsigned served = 1; request != NULL; served++) {
        bool is_served;

        if (!may_wait)
            plaintext_set_waiting(stream->plaintext, false);
        is_served = serve(stream, request, may_wait);
        if (!may_wait)
            plaintext_set_waiting(stream->plaintext, true);
        if (!is_served) {
            (void)pthread_mutex_lock(&stream->mutex);
            (void)enqueue(stream, request);
            (void)pthread_mutex_unlock(&stream->mutex);
            served = SERVED_AT_ONCE;
        }
        request = next_at_hand(stream, served, &must_start, &is_closed);
    }
    if (must_start)
        start_job(stream, run_stream);
    else if (is_closed)
        free_stream(stream);
}

static struct read_request *take_first(struct read_stream *stream)
{
    struct read_request *first;

    (void)pthread_mutex_lock(&stream->mutex);
    first = stream->queue;
    stream->queue = first->next;
    (void)pthread_mutex_unlock(&stream->mutex);
    return first;
}

/* The stream whose turn it is when that of `turns` is given back; NULL when none waits for it. */
static struct read_stream *pass_on(struct image_turns *turns)
{
    struct turn_waiter *waiter = image_turns_give(turns, clock_monotonic_ns());

    if (waiter == NULL)
        return NULL;
    return (struct read_stream *)((char *)waiter - offsetof(struct read_stream, waiter));
}

/* Serves a stream whose turn has come, then those of the same image that wait for theirs. */
static void run_in_turn(struct job *job)
{
    struct read_stream *stream = (struct read_stream *)job;
    struct image_turns *turns = stream->turns;

    do {
        serve_in_turn(stream, take_first(stream));
        stream = pass_on(turns);
    } while (stream != NULL);
}

/* Serves in the calling thread, which has other things to do than to serve those that wait, too. */
static void serve_now(struct read_stream *stream, struct read_request *request)
{
    struct image_turns *turns = stream->turns;

    serve_in_turn(stream, request);
    stream = pass_on(turns);
    if (stream != NULL)
        start_job(stream, run_in_turn);
}

enum submitted {
    SUBMITTED_MINE,  /* the calling thread has the stream and a turn, and serves the request */
    SUBMITTED_TURN,  /* queued, and the job has to be started, with a turn */
    SUBMITTED_FIRST, /* the same without */
    SUBMITTED_QUEUED,
};

/* Locked. */
static enum submitted submit(struct read_stream *stream, struct read_request *request,
                             uint64_t now_ns)
{
    const bool is_next = !stream->is_running && request->offset <= position_of(stream);

    /* What arrives waits for the network, and nobody may hold a turn meanwhile. */
    if (!is_next || stream->arriving != NULL)
        return enqueue(stream, request) ? SUBMITTED_FIRST : SUBMITTED_QUEUED;
    if (!image_turns_take(stream->turns, &stream->waiter, now_ns)) {
        (void)enqueue(stream, request);
        return SUBMITTED_QUEUED;
    }
    if (!plaintext_can_avoid_waiting(stream->plaintext)) {
        (void)enqueue(stream, request);
        return SUBMITTED_TURN;
    }
    stream->is_running = true;
    return SUBMITTED_MINE;
}

void read_stream_submit(struct read_stream *stream, struct read_request *request)
{
    const uint64_t now_ns = clock_monotonic_ns();
    enum submitted submitted;

    request->deadline_ns = now_ns + GAP_NS;
    (void)pthread_mutex_lock(&stream->mutex);
    submitted = submit(stream, request, now_ns);
    (void)pthread_mutex_unlock(&stream->mutex);
    if (submitted == SUBMITTED_MINE)
        serve_now(stream, request);
    else if (submitted != SUBMITTED_QUEUED)
        start_job(stream, submitted == SUBMITTED_TURN ? run_in_turn : run_stream);
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
