/* SPDX-License-Identifier: Apache-2.0 */
#include "view/record_refresh.h"

#include "base/clock.h"
#include "base/monitor.h"
#include "base/uuid.h"
#include "base/worker_pool.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define GRACE_NS (RECORD_REFRESH_GRACE_MS * NANOSECONDS_PER_MILLISECOND)

struct record_refresh {
    record_refresh_ask *ask;
    void *context;
    struct worker_pool *pool;
    struct cancel *closing;
    struct monitor monitor; /* guards everything below, and the questions */
    unsigned questions;
    bool is_late; /* the last answer was, or a question has waited too long */
};

/* Lives as long as whoever asked, or its job, needs it. */
struct question {
    struct job job;
    struct record_refresh *refresh;
    char id[UUID_TEXT_BYTES];
    uint64_t asked_ns;
    bool is_watched; /* somebody waits for it, and frees it */
    bool is_answered;
    int result;
    struct image_attributes attributes;
    struct error error;
};

int record_refresh_new(record_refresh_ask *ask, void *context, struct record_refresh **ret,
                       struct error *err)
{
    CLEANUP(record_refresh_free) struct record_refresh *refresh = calloc(1, sizeof *refresh);

    if (refresh == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    refresh->ask = ask;
    refresh->context = context;
    monitor_init(&refresh->monitor);
    if (cancel_new(&refresh->closing, err) < 0 ||
        worker_pool_new("refresh", RECORD_REFRESH_QUESTIONS, &refresh->pool, err) < 0)
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

static bool is_over_grace(const struct question *question)
{
    return clock_monotonic_ns() - question->asked_ns >= GRACE_NS;
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
    refresh->is_late = is_over_grace(question);
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
    is_one_too_many = refresh->questions == RECORD_REFRESH_QUESTIONS;
    if (!is_one_too_many)
        refresh->questions++;
    question->is_watched = !refresh->is_late;
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
    while (!question->is_answered && !is_over_grace(question) && !cancel_is_requested(cancel))
        monitor_wait_until(&refresh->monitor, question->asked_ns + GRACE_NS);
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
