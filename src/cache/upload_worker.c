/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/upload_worker.h"

#include "base/clock.h"
#include "base/monitor.h"
#include "base/worker_pool.h"
#include "cache/upload_backoff.h"

#include <stdlib.h>
#include <string.h>

/* One image that is to be sent. */
struct entry {
    char id[UUID_TEXT_BYTES];
    struct upload_backoff backoff;
    uint64_t due_ns;
    bool running; /* a thread makes an attempt; only it removes the entry */
    bool again;   /* it became due meanwhile */
    struct entry *next;
};

/* A thread of the pool, which loops until the end. */
struct loop {
    struct job job;
    struct upload_worker *worker;
};

struct upload_worker {
    struct upload_worker_parts parts;
    struct worker_pool *pool;
    struct cancel *stop;
    struct loop loops[UPLOAD_WORKER_THREADS]; /* as many as parts.threads are used */
    struct monitor monitor; /* guards what follows; never held during an attempt or a listing */
    struct entry *entries;
    uint64_t next_listing_ns;
    bool is_tidy;    /* nobody needs to tidy up before the next listing */
    bool is_tidying; /* a thread is at it */
    bool closing;
};

/* --- entries; all locked --- */

static struct entry *find_entry(struct upload_worker *worker, const char *id)
{
    struct entry *entry = worker->entries;

    while (entry != NULL && strcmp(entry->id, id) != 0)
        entry = entry->next;
    return entry;
}

static void add_entry(struct upload_worker *worker, const char *id)
{
    struct entry *entry = calloc(1, sizeof *entry);

    if (entry == NULL)
        return;
    (void)snprintf(entry->id, sizeof entry->id, "%s", id);
    entry->backoff.first_ms = worker->parts.first_retry_ms;
    entry->backoff.last_ms = worker->parts.last_retry_ms;
    entry->next = worker->entries;
    worker->entries = entry;
}

static void remove_entry(struct upload_worker *worker, struct entry *entry)
{
    struct entry **link = &worker->entries;

    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    free(entry);
}

/* The entry that has been due the longest, or NULL; *ret_wake_ns is when something will be due. */
static struct entry *next_due(struct upload_worker *worker, uint64_t now_ns, uint64_t *ret_wake_ns)
{
    struct entry *first = NULL;

    *ret_wake_ns = worker->next_listing_ns;
    for (struct entry *entry = worker->entries; entry != NULL; entry = entry->next)
        if (!entry->running && (first == NULL || entry->due_ns < first->due_ns))
            first = entry;
    if (first == NULL || first->due_ns <= now_ns)
        return first;
    if (first->due_ns < *ret_wake_ns)
        *ret_wake_ns = first->due_ns;
    return NULL;
}

static bool is_idle(const struct upload_worker *worker)
{
    for (const struct entry *entry = worker->entries; entry != NULL; entry = entry->next)
        if (entry->running)
            return false;
    return true;
}

/* --- the loop of a thread; entered and left locked --- */

static void list(struct upload_worker *worker, uint64_t now_ns)
{
    CLEANUP(memory_free) char(*ids)[UUID_TEXT_BYTES] = NULL;
    struct error ignored = ERROR_INIT;
    size_t count = 0;
    int result;

    worker->next_listing_ns =
        now_ns + (uint64_t)worker->parts.last_retry_ms * NANOSECONDS_PER_MILLISECOND;
    monitor_unlock(&worker->monitor);
    result = worker->parts.list(worker->parts.context, &ids, &count, &ignored);
    monitor_lock(&worker->monitor);
    for (size_t i = 0; result == 0 && i < count; i++)
        if (find_entry(worker, ids[i]) == NULL)
            add_entry(worker, ids[i]);
    worker->is_tidy = worker->parts.tidy == NULL || worker->is_tidying;
    monitor_changed(&worker->monitor);
}

static void tidy(struct upload_worker *worker)
{
    worker->is_tidy = true;
    worker->is_tidying = true;
    monitor_unlock(&worker->monitor);
    worker->parts.tidy(worker->parts.context);
    monitor_lock(&worker->monitor);
    worker->is_tidying = false;
}

static void attempt(struct upload_worker *worker, struct entry *entry)
{
    bool should_follow;

    entry->running = true;
    monitor_unlock(&worker->monitor);
    should_follow = worker->parts.attempt(worker->parts.context, entry->id, worker->stop);
    monitor_lock(&worker->monitor);
    entry->running = false;
    if (entry->again) {
        entry->due_ns = 0;
        entry->again = false;
    } else if (should_follow) {
        entry->due_ns = upload_backoff_deadline(&entry->backoff);
    } else {
        remove_entry(worker, entry);
    }
    monitor_changed(&worker->monitor);
}

static void loop(struct job *job)
{
    struct upload_worker *worker = ((struct loop *)job)->worker;

    monitor_lock(&worker->monitor);
    while (!worker->closing) {
        const uint64_t now_ns = clock_monotonic_ns();
        uint64_t wake_ns;
        struct entry *entry = next_due(worker, now_ns, &wake_ns);

        if (entry != NULL)
            attempt(worker, entry);
        else if (now_ns >= worker->next_listing_ns)
            list(worker, now_ns);
        else if (!worker->is_tidy && is_idle(worker))
            tidy(worker);
        else
            upload_backoff_wait(&worker->monitor, wake_ns);
    }
    monitor_unlock(&worker->monitor);
}

/* --- the worker --- */

static int start(struct upload_worker *worker, struct error *err)
{
    if (cancel_new(&worker->stop, err) < 0 ||
        worker_pool_new("upload", worker->parts.threads, &worker->pool, err) < 0)
        return -1;
    for (size_t i = 0; i < worker->parts.threads; i++) {
        worker->loops[i] = (struct loop){.job.run = loop, .worker = worker};
        if (worker_pool_submit(worker->pool, &worker->loops[i].job, err) < 0)
            return -1;
    }
    return 0;
}

int upload_worker_new(const struct upload_worker_parts *parts, struct upload_worker **ret,
                      struct error *err)
{
    struct upload_worker *worker = calloc(1, sizeof *worker);

    if (worker == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    worker->parts = *parts;
    worker->is_tidy = true;
    monitor_init(&worker->monitor);
    if (start(worker, err) < 0) {
        upload_worker_free(worker);
        return -1;
    }
    *ret = worker;
    return 0;
}

void upload_worker_add(struct upload_worker *worker, const char *id)
{
    struct entry *entry;

    monitor_lock(&worker->monitor);
    entry = find_entry(worker, id);
    if (entry == NULL) {
        add_entry(worker, id);
    } else {
        entry->due_ns = 0;
        entry->again = entry->running;
    }
    monitor_changed(&worker->monitor);
    monitor_unlock(&worker->monitor);
}

void upload_worker_use(struct upload_worker *worker, struct limit_use *ret)
{
    const uint64_t now_ns = clock_monotonic_ns();

    *ret = (struct limit_use){.limit = worker->parts.threads};
    monitor_lock(&worker->monitor);
    for (const struct entry *entry = worker->entries; entry != NULL; entry = entry->next) {
        ret->used += entry->running;
        ret->waiting += !entry->running && entry->due_ns <= now_ns;
    }
    monitor_unlock(&worker->monitor);
}

void upload_worker_free(struct upload_worker *worker)
{
    if (worker == NULL)
        return;
    monitor_lock(&worker->monitor);
    worker->closing = true;
    monitor_changed(&worker->monitor);
    monitor_unlock(&worker->monitor);
    if (worker->stop != NULL)
        cancel_request(worker->stop);
    worker_pool_free(worker->pool);
    while (worker->entries != NULL)
        remove_entry(worker, worker->entries);
    cancel_unref(worker->stop);
    monitor_destroy(&worker->monitor);
    free(worker);
}
