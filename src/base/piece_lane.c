/* SPDX-License-Identifier: Apache-2.0 */
#include "base/piece_lane.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#define STACK_BYTES ((size_t)256 * 1024)
#define MEMORY_BYTES (PIECE_LANE_PIECES * PIECE_LANE_PIECE_BYTES)

/* An owner who has to wait for a piece sleeps until this many more are done: waking a thread on
 * another processor costs as much as the work on a piece. */
#define PIECES_PER_WAKE (PIECE_LANE_PIECES / 2)

/* A piece comes out of the cache of the owner's processor, line by line, unless it is asked for in
 * time: the work is done in strips, and what lies this far ahead of a strip is fetched meanwhile. */
#define STRIP_BYTES 1024
#define FETCH_AHEAD_BYTES 4096
#define CACHE_LINE_BYTES 64

/* Pieces are counted from the first one ever; number n lies in place n % PIECE_LANE_PIECES. */
struct piece_lane {
    struct secure_arena *arena; /* NULL: nothing secret passes */
    void (*work)(void *context, uint8_t *bytes, size_t size);
    void *context;
    pthread_t thread;
    bool has_thread;
    uint8_t *memory;
    size_t sizes[PIECE_LANE_PIECES];
    uint64_t taken;         /* the owner's own */
    pthread_mutex_t mutex;  /* guards everything below; a leaf, never held over the work */
    pthread_cond_t arrived; /* a piece was put, or the lane is closing */
    pthread_cond_t worked;  /* `awaited` pieces are done */
    uint64_t put;
    uint64_t done;
    uint64_t awaited; /* 0: the owner does not wait */
    bool is_closing;
};

static uint8_t *place(const struct piece_lane *lane, uint64_t number)
{
    return lane->memory + number % PIECE_LANE_PIECES * PIECE_LANE_PIECE_BYTES;
}

static void fetch(const uint8_t *bytes)
{
    for (size_t i = 0; i < STRIP_BYTES; i += CACHE_LINE_BYTES)
        __builtin_prefetch(bytes + i);
}

static void work_in_strips(const struct piece_lane *lane, uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t strip = size < STRIP_BYTES ? size : STRIP_BYTES;

        if (size >= FETCH_AHEAD_BYTES + STRIP_BYTES)
            fetch(bytes + FETCH_AHEAD_BYTES);
        lane->work(lane->context, bytes, strip);
        bytes += strip;
        size -= strip;
    }
}

/* Called and returns locked. */
static void work_on_next(struct piece_lane *lane)
{
    const uint64_t number = lane->done;

    (void)pthread_mutex_unlock(&lane->mutex);
    work_in_strips(lane, place(lane, number), lane->sizes[number % PIECE_LANE_PIECES]);
    secure_registers_clear();
    (void)pthread_mutex_lock(&lane->mutex);
    lane->done++;
    if (lane->done == lane->awaited)
        (void)pthread_cond_signal(&lane->worked);
}

static void *run(void *argument)
{
    struct piece_lane *lane = argument;

    (void)pthread_setname_np(pthread_self(), "piece-lane");
    (void)pthread_mutex_lock(&lane->mutex);
    while (!lane->is_closing) {
        if (lane->done < lane->put)
            work_on_next(lane);
        else
            (void)pthread_cond_wait(&lane->arrived, &lane->mutex);
    }
    (void)pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

/* With all signals blocked: they are for threads that know what to do with them. */
static int start_thread(struct piece_lane *lane, struct error *err)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int result;

    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&lane->thread, &attributes, run, lane);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    lane->has_thread = result == 0;
    if (result != 0)
        return error_set(err, ERROR_EXHAUSTED, "cannot start a thread: %s",
                         strerrordesc_np(result));
    return 0;
}

int piece_lane_new(struct secure_arena *arena,
                   void (*work)(void *context, uint8_t *bytes, size_t size), void *context,
                   struct piece_lane **ret, struct error *err)
{
    CLEANUP(piece_lane_free) struct piece_lane *lane = calloc(1, sizeof *lane);

    if (lane == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    lane->arena = arena;
    lane->work = work;
    lane->context = context;
    (void)pthread_mutex_init(&lane->mutex, NULL);
    (void)pthread_cond_init(&lane->arrived, NULL);
    (void)pthread_cond_init(&lane->worked, NULL);
    lane->memory =
        arena != NULL ? secure_arena_allocate(arena, MEMORY_BYTES) : malloc(MEMORY_BYTES);
    if (lane->memory == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of %smemory", arena != NULL ? "locked " : "");
    if (start_thread(lane, err) < 0)
        return -1;
    *ret = steal(&lane);
    return 0;
}

static void end_thread(struct piece_lane *lane)
{
    (void)pthread_mutex_lock(&lane->mutex);
    lane->is_closing = true;
    (void)pthread_cond_signal(&lane->arrived);
    (void)pthread_mutex_unlock(&lane->mutex);
    (void)pthread_join(lane->thread, NULL);
}

void piece_lane_free(struct piece_lane *lane)
{
    if (lane == NULL)
        return;
    if (lane->has_thread)
        end_thread(lane);
    if (lane->arena != NULL)
        secure_arena_release(lane->arena, lane->memory);
    else
        free(lane->memory);
    (void)pthread_cond_destroy(&lane->worked);
    (void)pthread_cond_destroy(&lane->arrived);
    (void)pthread_mutex_destroy(&lane->mutex);
    free(lane);
}

/* Only the owner changes `put` and `taken`, so he may look at them without the lock. */
bool piece_lane_is_full(const struct piece_lane *lane)
{
    return lane->put - lane->taken == PIECE_LANE_PIECES;
}

void piece_lane_put(struct piece_lane *lane, const void *bytes, size_t size)
{
    assert(!piece_lane_is_full(lane) && size > 0 && size <= PIECE_LANE_PIECE_BYTES);
    memcpy(place(lane, lane->put), bytes, size);
    lane->sizes[lane->put % PIECE_LANE_PIECES] = size;
    (void)pthread_mutex_lock(&lane->mutex);
    lane->put++;
    (void)pthread_cond_signal(&lane->arrived);
    (void)pthread_mutex_unlock(&lane->mutex);
}

static void wait_for_oldest(struct piece_lane *lane)
{
    (void)pthread_mutex_lock(&lane->mutex);
    if (lane->done == lane->taken) {
        lane->awaited = lane->done + PIECES_PER_WAKE;
        if (lane->awaited > lane->put)
            lane->awaited = lane->put;
        while (lane->done < lane->awaited)
            (void)pthread_cond_wait(&lane->worked, &lane->mutex);
        lane->awaited = 0;
    }
    (void)pthread_mutex_unlock(&lane->mutex);
}

bool piece_lane_take(struct piece_lane *lane, const uint8_t **ret_bytes, size_t *ret_size)
{
    if (lane->taken == lane->put)
        return false;
    wait_for_oldest(lane);
    *ret_bytes = place(lane, lane->taken);
    *ret_size = lane->sizes[lane->taken % PIECE_LANE_PIECES];
    lane->taken++;
    return true;
}
