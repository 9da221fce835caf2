/* SPDX-License-Identifier: Apache-2.0 */
#include "view/record_refresh.h"

#include "base/clock.h"
#include "base/monitor.h"
#include "base/uuid.h"
#include "base/worker_pool.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct record_refresh {
    record_refresh_ask *ask;
    void *context;
    const struct refresh_limits *limits;
    struct worker_pool *pool;
    struct cancel *closing;
    struct monitor monitor; /* guards everything below, and the questions */
    unsigned questions;
    uint64_t grace_ns;
    bool is_late; /* the last answer was, or a question has waited too long */
};

/* Lives as long as whoever asked, or its job, needs it. */
struct question {
    struct job job;
    struct record_refresh *refresh;
    char id[UUID_TEXT_BYTES];
    uint64_t asked_ns;
    uint64_t deadline_ns; /* of who waits for it */
    bool is_watched;      /* somebody waits for it, and frees it */
    bool is_answered;
    int result;
    struct image_attributes attributes;
    struct error error;
};

int record_refresh_new(const char *name, record_refresh_ask *ask, void *context,
                       const struct refresh_limits *limits, struct record_refresh **ret,
                       struct error *err)
{
    CLEANUP(record_refresh_free) struct record_refresh *refresh = calloc(1, sizeof *refresh);

    if (refresh == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    refresh->ask = ask;
    refresh->context = context;
    refresh->limits = limits;
    refresh->grace_ns = limits->grace_ms * NANOSECONDS_PER_MILLISECOND;
    monitor_init(&refresh->monitor);
    if (cancel_new(&refresh->closing, err) < 0 ||
        worker_pool_new(name, limits->questions, &refresh->pool, err) < 0)
        return -1;
    *ret = steal(&refresh);
    return 0;
}

void record_refresh_free(struct record_refresh *refresh)
{
    if (refresh == NULL)
        return;
    if (refresh->closing != NULL)
        cancel_request(refresh->closing);
    worker_pool_free(refresh->pool);
    cancel_unref(refresh->closing);
    monitor_destroy(&refresh->monitor);
    free(refresh);
}

/* Twice what the last good answer took, within the limits. */
static uint64_t grace_for(const struct refresh_limits *limits, uint64_t took_ns)
{
    const uint64_t shortest_ns = limits->grace_ms * NANOSECONDS_PER_MILLISECOND;
    const uint64_t longest_ns = limits->longest_grace_ms * NANOSECONDS_PER_MILLISECOND;

    if (2 * took_ns < shortest_ns)
        return shortest_ns;
    return 2 * took_ns < longest_ns ? 2 * took_ns : longest_ns;
}

/* An answer came: what may be expected of the next one? Locked. */
static void judge_service(struct record_refresh *refresh, const struct question *question,
                          int result)
{
    const uint64_t took_ns = clock_monotonic_ns() - question->asked_ns;

    if (result == 0)
        refresh->grace_ns = grace_for(refresh->limits, took_ns);
    refresh->is_late = took_ns >= refresh->grace_ns;
}

static void answer(struct job *job)
{
    struct question *question = (struct question *)job;
    struct record_refresh *refresh = question->refresh;
    struct image_attributes attributes;
    struct error error = ERROR_INIT;
    bool is_watched;
    int result;

    result = refresh->ask(refresh->context, question->id, refresh->closing, &attributes, &error);
    monitor_lock(&refresh->monitor);
    refresh->questions--;
    judge_service(refresh, question, result);
    is_watched = question->is_watched;
    if (is_watched) {
        question->result = result;
        if (result == 0)
            question->attributes = attributes;
        question->error = error;
        question->is_answered = true;
        monitor_changed(&refresh->monitor);
    }
    monitor_unlock(&refresh->monitor);
    if (!is_watched)
        free(question);
}

/* NULL when there are enough of them, or no memory. */
static struct question *new_question(struct record_refresh *refresh, const char *id)
{
    struct question *question = calloc(1, sizeof *question);
    bool is_one_too_many;

    if (question == NULL)
        return NULL;
    question->job.run = answer;
    question->refresh = refresh;
    (void)snprintf(question->id, sizeof question->id, "%s", id);
    question->asked_ns = clock_monotonic_ns();
    monitor_lock(&refresh->monitor);
    is_one_too_many = refresh->questions == refresh->limits->questions;
    if (!is_one_too_many)
        refresh->questions++;
    question->is_watched = !refresh->is_late;
    question->deadline_ns = question->asked_ns + refresh->grace_ns;
    monitor_unlock(&refresh->monitor);
    if (is_one_too_many) {
        free(question);
        return NULL;
    }
    return question;
}

/* Until it is answered, or for the grace. One that is not answered is left to its job. */
static enum record_refresh_result wait_for_answer(struct question *question, struct cancel *cancel,
                                                  struct image_attributes *ret, struct error *err)
{
    struct record_refresh *refresh = question->refresh;
    enum record_refresh_result result = RECORD_REFRESH_LATE;
    struct monitor_waiter waiter;
    bool is_answered;

    monitor_enter(&refresh->monitor, cancel, &waiter);
    while (!question->is_answered && clock_monotonic_ns() < question->deadline_ns &&
           !cancel_is_requested(cancel))
        monitor_wait_until(&refresh->monitor, question->deadline_ns);
    is_answered = question->is_answered;
    question->is_watched = false;
    if (!is_answered && !cancel_is_requested(cancel))
        refresh->is_late = true;
    monitor_leave(&refresh->monitor, cancel, &waiter);
    if (!is_answered)
        return result;
    result = question->result == 0 ? RECORD_REFRESH_DONE : RECORD_REFRESH_FAILED;
    *ret = question->attributes;
    *err = question->error;
    free(question);
    return result;
}

enum record_refresh_result record_refresh_start(struct record_refresh *refresh, const char *id,
                                                struct cancel *cancel, struct image_attributes *ret,
                                                struct error *err)
{
    struct question *question = new_question(refresh, id);
    struct error ignored = ERROR_INIT;
    bool is_watched;

    if (question == NULL)
        return RECORD_REFRESH_LATE;
    is_watched = question->is_watched;
    if (worker_pool_submit(refresh->pool, &question->job, &ignored) < 0) {
        monitor_lock(&refresh->monitor);
        refresh->questions--;
        monitor_unlock(&refresh->monitor);
        free(question);
        return RECORD_REFRESH_LATE;
    }
    return is_watched ? wait_for_answer(question, cancel, ret, err) : RECORD_REFRESH_LATE;
}

bool refresh_met_outage(const struct error *err)
{
    return err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_TIMEOUT;
}
