/* SPDX-License-Identifier: Apache-2.0 */
#include "view/write_staging.h"

#include "base/clock.h"
#include "glancefs/byte_source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Seals at a time: each of them waits for the disk, or encrypts many zeros. */
#define SEAL_THREADS 16

/* --- the set --- */

int write_stagings_new(void (*on_seal)(void *, const char *, const struct error *), void *context,
                       struct write_stagings **ret, struct error *err)
{
    CLEANUP(write_stagings_free) struct write_stagings *set = calloc(1, sizeof *set);

    if (set == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    monitor_init(&set->monitor);
    set->on_seal = on_seal;
    set->on_seal_context = context;
    if (cancel_new(&set->shutdown, err) < 0 ||
        worker_pool_new("seal", SEAL_THREADS, &set->pool, err) < 0)
        return -1;
    *ret = steal(&set);
    return 0;
}

void write_stagings_free(struct write_stagings *set)
{
    if (set == NULL)
        return;
    if (set->shutdown != NULL)
        cancel_request(set->shutdown);
    worker_pool_free(set->pool);
    write_stagings_sweep(set, UINT64_MAX, 0);
    cancel_unref(set->shutdown);
    monitor_destroy(&set->monitor);
    free(set);
}

struct write_staging *write_stagings_find(struct write_stagings *set, const char *id)
{
    struct write_staging *staging = set->first;

    while (staging != NULL && strcmp(staging->image_id, id) != 0)
        staging = staging->next;
    return staging;
}

struct write_staging *write_stagings_find_or_add(struct write_stagings *set, const char *id)
{
    struct write_staging *staging = write_stagings_find(set, id);

    if (staging != NULL)
        return staging;
    staging = calloc(1, sizeof *staging);
    if (staging == NULL)
        return NULL;
    staging->set = set;
    staging->references = 1;
    staging->declared_size = BYTE_SOURCE_SIZE_UNKNOWN;
    staging->idle_since_ns = clock_monotonic_ns();
    (void)snprintf(staging->image_id, sizeof staging->image_id, "%s", id);
    staging->is_listed = true;
    staging->next = set->first;
    set->first = staging;
    return staging;
}

void write_staging_unlist(struct write_staging *staging)
{
    struct write_staging **link = &staging->set->first;

    if (!staging->is_listed)
        return;
    while (*link != staging)
        link = &(*link)->next;
    *link = staging->next;
    staging->is_listed = false;
    staging->references--;
}

struct write_staging *write_staging_ref(struct write_staging *staging)
{
    staging->references++;
    return staging;
}

void write_staging_unref(struct write_staging *staging)
{
    struct monitor *monitor;
    bool is_last;

    if (staging == NULL)
        return;
    monitor = &staging->set->monitor;
    monitor_lock(monitor);
    is_last = --staging->references == 0;
    monitor_unlock(monitor);
    if (is_last)
        free(staging);
}

/* --- what others see; locked --- */

bool write_staging_has_file(const struct write_staging *staging)
{
    return staging->name[0] != '\0';
}

bool write_staging_hides_image(const struct write_staging *staging)
{
    return clock_monotonic_ns() < staging->hidden_until_ns;
}

void write_staging_attributes(const struct write_staging *staging, struct write_attributes *ret)
{
    (void)snprintf(ret->name, sizeof ret->name, "%s", staging->name);
    (void)snprintf(ret->image_id, sizeof ret->image_id, "%s", staging->image_id);
    ret->state = staging->phase == STAGING_POISONED ? WRITE_POISONED
                 : staging->phase == STAGING_SEALED ? WRITE_SEALED
                                                    : WRITE_STAGING;
    ret->size = staging->size;
    ret->changed_at = staging->changed_at;
}

static int refuse(struct error *err, enum error_kind kind, int errnum, const char *message)
{
    (void)error_set(err, kind, "%s", message);
    err->errnum = errnum;
    return -1;
}

int write_staging_check(const struct write_staging *staging, struct error *err)
{
    switch (staging->phase) {
    case STAGING_OPEN:
        return 0;
    case STAGING_POISONED:
        return error_set(err, ERROR_SYSTEM, "is poisoned: %s", staging->poison.message);
    case STAGING_REMOVED:
        return refuse(err, ERROR_NOT_FOUND, ESTALE, "was removed");
    case STAGING_SEALED:
        return error_set(err, ERROR_UNSUPPORTED, "is sealed: only its ciphertext is left");
    case STAGING_IDLE:
    case STAGING_OPENING:
    case STAGING_SEALING:
        break;
    }
    return error_set(err, ERROR_BUSY, "is being %s",
                     staging->phase == STAGING_SEALING ? "sealed" : "opened");
}

void write_staging_poison(struct write_staging *staging, const struct error *cause)
{
    if (staging->phase != STAGING_OPEN)
        return;
    staging->phase = STAGING_POISONED;
    staging->poison = *cause;
}

/* --- turns --- */

int write_staging_take_turn(struct write_staging *staging, struct cancel *cancel, struct error *err)
{
    struct monitor *monitor = &staging->set->monitor;
    struct monitor_waiter waiter;
    bool has_turn;

    monitor_enter(monitor, cancel, &waiter);
    while (staging->is_busy && !cancel_is_requested(cancel))
        monitor_wait(monitor);
    has_turn = !staging->is_busy;
    staging->is_busy = true;
    monitor_leave(monitor, cancel, &waiter);
    return has_turn ? 0 : cancel_check(cancel, err);
}

/* Frees the content unless it can still be used. Locked, but not while it is freed. */
static void dispose(struct write_staging *staging)
{
    struct monitor *monitor = &staging->set->monitor;

    while (staging->content != NULL && staging->phase != STAGING_OPEN &&
           staging->phase != STAGING_SEALING) {
        struct write_content *content = steal(&staging->content);

        monitor_unlock(monitor);
        write_content_free(content);
        monitor_lock(monitor);
    }
}

void write_staging_end_turn(struct write_staging *staging)
{
    struct monitor *monitor = &staging->set->monitor;

    monitor_lock(monitor);
    dispose(staging);
    staging->is_busy = false;
    monitor_changed(monitor);
    monitor_unlock(monitor);
}

static void run_disposal(struct job *job)
{
    struct write_staging *staging = (struct write_staging *)job;

    write_staging_end_turn(staging);
    write_staging_unref(staging);
}

void write_staging_begin_disposal(struct write_staging *staging)
{
    struct error ignored = ERROR_INIT;

    if (staging->is_busy || staging->content == NULL || staging->phase != STAGING_POISONED)
        return;
    staging->job.run = run_disposal;
    if (worker_pool_submit(staging->set->pool, &staging->job, &ignored) < 0)
        return; /* no thread is left in the system: whoever has the next turn does it */
    staging->is_busy = true;
    staging->references++;
}

/* --- removal --- */

void write_staging_finish_removal(struct write_staging *staging)
{
    struct monitor *monitor = &staging->set->monitor;

    monitor_lock(monitor);
    dispose(staging); /* before it leaves the list: a new one must find the old one gone */
    write_staging_unlist(staging);
    staging->is_busy = false;
    monitor_changed(monitor);
    monitor_unlock(monitor);
}

/* Begins the removal of the first one that nobody needs, with the turn and a reference; NULL when
 * there is none. Without content it is off the list at once: nobody may find it any more. Locked. */
static struct write_staging *take_expired(struct write_stagings *set, uint64_t now_ns,
                                          uint64_t ttl_ns)
{
    for (struct write_staging *staging = set->first; staging != NULL; staging = staging->next) {
        if (staging->handles > 0 || staging->is_busy || staging->phase == STAGING_SEALING ||
            now_ns < staging->hidden_until_ns || now_ns < staging->idle_since_ns ||
            now_ns - staging->idle_since_ns < ttl_ns)
            continue;
        staging->is_busy = true;
        staging->phase = STAGING_REMOVED;
        (void)write_staging_ref(staging);
        if (staging->content == NULL)
            write_staging_unlist(staging);
        return staging;
    }
    return NULL;
}

void write_stagings_sweep(struct write_stagings *set, uint64_t now_ns, uint64_t ttl_ns)
{
    struct write_staging *staging;

    do {
        monitor_lock(&set->monitor);
        staging = take_expired(set, now_ns, ttl_ns);
        monitor_unlock(&set->monitor);
        if (staging != NULL)
            write_staging_finish_removal(staging);
        write_staging_unref(staging);
    } while (staging != NULL);
}

/* --- seals --- */

static int check_size(const struct write_staging *staging, const uint64_t *expected_size,
                      struct error *err)
{
    if (expected_size == NULL || *expected_size == staging->size)
        return 0;
    return error_set(err, ERROR_INVALID, "has %" PRIu64 " bytes, not %" PRIu64, staging->size,
                     *expected_size);
}

int write_staging_check_seal(const struct write_staging *staging, const uint64_t *expected_size,
                             struct error *err)
{
    const uint64_t declared = staging->declared_size;

    if (staging->phase == STAGING_IDLE)
        return refuse(err, ERROR_INVALID, ENODATA, "nothing was written");
    if (write_staging_check(staging, err) < 0)
        return -1;
    if (staging->has_writer)
        return error_set(err, ERROR_BUSY, "is still open for writing");
    if (check_size(staging, expected_size, err) < 0)
        return -1;
    if (declared != BYTE_SOURCE_SIZE_UNKNOWN && declared != staging->size)
        return error_set(err, ERROR_INVALID, "has %" PRIu64 " of %" PRIu64 " declared bytes",
                         staging->size, declared);
    if (staging->size == 0 && expected_size == NULL && declared == BYTE_SOURCE_SIZE_UNKNOWN)
        return refuse(err, ERROR_INVALID, ENODATA, "nothing was written");
    return 0;
}

/* Records how the seal ended and gives the turn up; false when nobody waited for it. */
static bool finish_seal(struct write_staging *staging, const struct error *error)
{
    struct monitor *monitor = &staging->set->monitor;
    struct seal_outcome *outcome;

    monitor_lock(monitor);
    staging->phase = error_is_set(error) ? STAGING_POISONED : STAGING_SEALED;
    staging->poison = *error;
    staging->idle_since_ns = clock_monotonic_ns();
    dispose(staging);
    if (staging->phase == STAGING_SEALED)
        write_staging_unlist(staging);
    outcome = steal(&staging->seal_outcome);
    if (outcome != NULL)
        *outcome = (struct seal_outcome){.is_known = true, .error = *error};
    staging->is_busy = false;
    monitor_changed(monitor);
    monitor_unlock(monitor);
    return outcome != NULL;
}

static void run_seal(struct job *job)
{
    struct write_staging *staging = (struct write_staging *)job;
    const struct write_stagings *set = staging->set;
    struct error error = ERROR_INIT;

    (void)write_staging_take_turn(staging, NULL, &error);
    if (write_content_seal(staging->content, set->shutdown, &error) < 0 &&
        error.kind == ERROR_CANCELLED)
        (void)error_set(&error, ERROR_UNAVAILABLE, "glancefs ended before the seal did");
    if (!finish_seal(staging, &error) && set->on_seal != NULL)
        set->on_seal(set->on_seal_context, staging->image_id, error_is_set(&error) ? &error : NULL);
    write_staging_unref(staging);
}

int write_staging_begin_seal(struct write_staging *staging, struct error *err)
{
    staging->job.run = run_seal;
    if (worker_pool_submit(staging->set->pool, &staging->job, err) < 0)
        return -1;
    staging->phase = STAGING_SEALING;
    staging->references++;
    return 0;
}

/* Makes sure that a seal is under way which nobody waits for yet. Locked. */
static int join_seal(struct write_staging *staging, const uint64_t *expected_size,
                     struct error *err)
{
    if (staging->phase == STAGING_SEALING && staging->seal_outcome == NULL)
        return check_size(staging, expected_size, err);
    if (write_staging_check_seal(staging, expected_size, err) < 0)
        return -1;
    return write_staging_begin_seal(staging, err);
}

int write_staging_seal(struct write_staging *staging, const uint64_t *expected_size,
                       struct cancel *cancel, struct error *err)
{
    struct monitor *monitor = &staging->set->monitor;
    struct seal_outcome outcome = {.is_known = false, .error = ERROR_INIT};
    struct monitor_waiter waiter;
    int result;

    monitor_enter(monitor, cancel, &waiter);
    if (staging->phase == STAGING_SEALED) {
        /* Between the end of a seal and the file's leaving the list: there is nothing to wait for. */
        outcome.is_known = true;
        result = check_size(staging, expected_size, err);
    } else {
        result = join_seal(staging, expected_size, err);
    }
    if (result == 0 && !outcome.is_known) {
        staging->seal_outcome = &outcome;
        while (!outcome.is_known && !cancel_is_requested(cancel))
            monitor_wait(monitor);
        if (!outcome.is_known)
            staging->seal_outcome = NULL;
    }
    monitor_leave(monitor, cancel, &waiter);
    if (result < 0)
        return -1;
    if (!outcome.is_known)
        return cancel_check(cancel, err);
    if (!error_is_set(&outcome.error))
        return 0;
    *err = outcome.error;
    return -1;
}
