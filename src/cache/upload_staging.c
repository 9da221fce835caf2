/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/upload_staging.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/monitor.h"
#include "cache/staged_file.h"
#include "cache/staged_upload.h"
#include "cache/staging_directory.h"
#include "cache/upload_backoff.h"
#include "cache/upload_match.h"
#include "cache/upload_sender.h"
#include "cache/upload_worker.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* How often somebody who waits for another process's upload looks. */
#define POLL_NS (NANOSECONDS_PER_SECOND / 5)

/* Completed uploads that this process still knows. */
#define COMPLETED_COUNT 256

/* How often we look whether images whose secrets we are consumers of still exist. */
#define SWEEP_NS (3600 * NANOSECONDS_PER_SECOND)

/* An attempt of this process, on the stack of the thread that makes it. */
struct transfer {
    struct upload_info info; /* as it began */
    _Atomic uint64_t sent_bytes;
    struct transfer *next;
};

struct upload_staging {
    struct staging_owner owner;
    struct image_service *images;
    unsigned first_retry_ms;
    unsigned last_retry_ms;
    unsigned max_uploads;
    void (*on_end)(void *context, const char *image_id, const struct error *err);
    void *on_end_context;
    struct upload_worker *worker; /* NULL until the start */
    struct cancel *stop;          /* ends a sweep */
    uint64_t next_sweep_ns;       /* only the worker's tidying thread uses it */
    struct monitor monitor;       /* guards what follows; never held over I/O */
    struct transfer *transfers;
    struct upload_info completed[COMPLETED_COUNT]; /* a ring */
    size_t completed_count;                        /* ever */
};

const char *upload_state_name(enum upload_state state)
{
    static const char *const names[] = {[UPLOAD_SEALED] = "sealed",
                                        [UPLOAD_UPLOADING] = "uploading",
                                        [UPLOAD_ACTIVE] = "active",
                                        [UPLOAD_FAILED] = "failed"};

    return names[state];
}

/* --- what this process does and did --- */

static void begin_transfer(struct upload_staging *staging, struct transfer *transfer)
{
    monitor_lock(&staging->monitor);
    transfer->next = staging->transfers;
    staging->transfers = transfer;
    monitor_unlock(&staging->monitor);
}

static void end_transfer(struct upload_staging *staging, struct transfer *transfer)
{
    struct transfer **link = &staging->transfers;

    monitor_lock(&staging->monitor);
    while (*link != transfer)
        link = &(*link)->next;
    *link = transfer->next;
    monitor_changed(&staging->monitor);
    monitor_unlock(&staging->monitor);
}

static uint64_t sent_bytes(struct upload_staging *staging, const char *id)
{
    uint64_t sent = 0;

    monitor_lock(&staging->monitor);
    for (const struct transfer *i = staging->transfers; i != NULL; i = i->next)
        if (strcmp(i->info.image_id, id) == 0)
            sent = atomic_load(&i->sent_bytes);
    monitor_unlock(&staging->monitor);
    return sent;
}

static void remember_completed(struct upload_staging *staging, const struct upload_info *info)
{
    monitor_lock(&staging->monitor);
    staging->completed[staging->completed_count++ % COMPLETED_COUNT] = *info;
    monitor_unlock(&staging->monitor);
}

/*
 * The latest one of that image that this process completed, or is completing: its journal goes
 * before it is remembered, and it is remembered before the transfer ends.
 */
static bool find_remembered(struct upload_staging *staging, const char *id, struct upload_info *ret)
{
    bool found = false;

    monitor_lock(&staging->monitor);
    for (const struct transfer *i = staging->transfers; !found && i != NULL; i = i->next) {
        *ret = i->info;
        ret->sent_bytes = atomic_load(&i->sent_bytes);
        found = strcmp(ret->image_id, id) == 0;
    }
    for (size_t back = 1; !found && back <= COMPLETED_COUNT && back <= staging->completed_count;
         back++) {
        *ret = staging->completed[(staging->completed_count - back) % COMPLETED_COUNT];
        found = strcmp(ret->image_id, id) == 0;
    }
    monitor_unlock(&staging->monitor);
    return found;
}

/* --- attempts --- */

static void fill_info(const struct upload_journal *journal, struct upload_info *ret)
{
    *ret = (struct upload_info){.state = journal->failed ? UPLOAD_FAILED : UPLOAD_SEALED,
                                .plaintext_bytes = journal->plaintext_bytes,
                                .stored_bytes = journal->stored_bytes,
                                .sealed_at = journal->sealed_at,
                                .attempts = journal->attempts};
    memcpy(ret->image_id, journal->image_id, sizeof ret->image_id);
    memcpy(ret->error, journal->last_error.message, sizeof ret->error);
}

static enum upload_outcome attempt(struct upload_staging *staging, struct upload_sender *sender,
                                   struct cancel *cancel, struct error *err)
{
    const struct upload_journal *journal = upload_sender_journal(sender);
    struct transfer transfer = {.sent_bytes = 0};
    enum upload_outcome outcome;
    struct upload_info info;

    fill_info(journal, &transfer.info);
    transfer.info.state = UPLOAD_UPLOADING;
    begin_transfer(staging, &transfer);
    outcome = upload_sender_attempt(sender, staging->images, &transfer.sent_bytes, cancel, err);
    if (outcome == UPLOAD_OUTCOME_DONE) {
        fill_info(journal, &info);
        info.state = UPLOAD_ACTIVE;
        info.sent_bytes = info.stored_bytes;
        info.error[0] = '\0';
        remember_completed(staging, &info);
    }
    end_transfer(staging, &transfer);
    return outcome;
}

/* What cannot be taken in hand for good is left to people. */
static bool should_retry_taking(const struct error *err)
{
    return err->kind != ERROR_NOT_FOUND && err->kind != ERROR_DENIED &&
           err->kind != ERROR_CORRUPT && err->kind != ERROR_UNSUPPORTED;
}

static void tell_end(const struct upload_staging *staging, const char *id,
                     enum upload_outcome outcome, const struct error *err)
{
    const bool is_end = outcome == UPLOAD_OUTCOME_DONE || outcome == UPLOAD_OUTCOME_REFUSED;

    if (is_end && staging->on_end != NULL)
        staging->on_end(staging->on_end_context, id, outcome == UPLOAD_OUTCOME_DONE ? NULL : err);
}

static bool attempt_in_background(void *context, const char *id, struct cancel *cancel)
{
    CLEANUP(upload_sender_free) struct upload_sender *sender = NULL;
    struct upload_staging *staging = context;
    struct error err = ERROR_INIT;
    enum upload_outcome outcome;

    if (upload_sender_new(&staging->owner, id, NULL, &sender, &err) < 0) {
        log_debug("upload of image %s: %s", id, err.message);
        return should_retry_taking(&err);
    }
    if (upload_sender_has_failed(sender))
        return false;
    outcome = attempt(staging, sender, cancel, &err);
    tell_end(staging, id, outcome, &err);
    if (outcome != UPLOAD_OUTCOME_LATER && outcome != UPLOAD_OUTCOME_STUCK)
        return false;
    log_debug("upload of image %s: %s", id, err.message);
    return true;
}

/* --- making, starting, ending --- */

int upload_staging_new(const struct upload_staging_parts *parts, struct upload_staging **ret,
                       struct error *err)
{
    struct upload_staging *staging = calloc(1, sizeof *staging);

    if (staging == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    staging->owner.cloud = parts->cloud;
    staging->owner.former_cloud = parts->former_cloud;
    staging->owner.project_id = parts->project_id;
    staging->owner.consumers = parts->consumers;
    staging->owner.signing_key = parts->signing_key;
    staging->owner.signing_certificate = parts->signing_certificate;
    staging->images = parts->images;
    staging->first_retry_ms = parts->first_retry_ms;
    staging->last_retry_ms = parts->last_retry_ms;
    staging->max_uploads = parts->max_uploads;
    staging->on_end = parts->on_end;
    staging->on_end_context = parts->on_end_context;
    if (cancel_new(&staging->stop, err) < 0 ||
        staging_directory_open(parts->cache_path, &staging->owner.dir_fd, err) < 0) {
        cancel_unref(staging->stop);
        free(staging);
        return -1;
    }
    monitor_init(&staging->monitor);
    *ret = staging;
    return 0;
}

/* When the worker has nothing else to do, and seldom: nothing waits for it. */
static void sweep_consumers(void *context)
{
    struct upload_staging *staging = context;
    const uint64_t now_ns = clock_monotonic_ns();

    if (staging->owner.consumers == NULL || now_ns < staging->next_sweep_ns)
        return;
    staging->next_sweep_ns = now_ns + SWEEP_NS;
    consumer_registry_sweep(staging->owner.consumers, staging->stop);
}

/* Ids of the sealed uploads of ours that did not fail. */
static int list_pending(void *context, char (**ret)[UUID_TEXT_BYTES], size_t *ret_count,
                        struct error *err)
{
    struct upload_staging *staging = context;
    size_t count = 0;

    if (staging_directory_list(staging->owner.dir_fd, ret, ret_count, err) < 0)
        return -1;
    for (size_t i = 0; i < *ret_count; i++) {
        CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
        struct error reason = ERROR_INIT;

        if (staging_directory_read_journal(staging->owner.dir_fd, (*ret)[i], &journal, &reason) ==
                0 &&
            staging_owner_owns(&staging->owner, journal) && !journal->failed)
            memmove((*ret)[count++], (*ret)[i], UUID_TEXT_BYTES);
    }
    *ret_count = count;
    return 0;
}

int upload_staging_start(struct upload_staging *staging, struct error *err)
{
    const struct upload_worker_parts parts = {.list = list_pending,
                                              .attempt = attempt_in_background,
                                              .tidy = sweep_consumers,
                                              .context = staging,
                                              .first_retry_ms = staging->first_retry_ms,
                                              .last_retry_ms = staging->last_retry_ms,
                                              .threads = staging->max_uploads};

    return upload_worker_new(&parts, &staging->worker, err);
}

void upload_staging_use(struct upload_staging *staging, struct limit_use *ret)
{
    *ret = (struct limit_use){.limit = 0};
    if (staging->worker != NULL)
        upload_worker_use(staging->worker, ret);
}

void upload_staging_free(struct upload_staging *staging)
{
    if (staging == NULL)
        return;
    cancel_request(staging->stop);
    upload_worker_free(staging->worker);
    cancel_unref(staging->stop);
    monitor_destroy(&staging->monitor);
    (void)close(staging->owner.dir_fd);
    free(staging);
}

static void hand_over(void *context, const char *id)
{
    struct upload_staging *staging = context;

    if (staging->worker != NULL)
        upload_worker_add(staging->worker, id);
}

int staged_upload_new(struct upload_staging *staging, const char *id, struct staged_upload **ret,
                      struct error *err)
{
    const struct seal_listener listener = {hand_over, staging};

    return staged_upload_begin(&staging->owner, listener, id, ret, err);
}

/* --- query and list --- */

/* An upload whose journal tells nothing: it is shown, with the reason. */
static void fill_unreadable(struct upload_staging *staging, const char *id,
                            const struct error *reason, struct upload_info *ret)
{
    char name[STAGED_NAME_BYTES];
    struct stat status;

    *ret = (struct upload_info){.state = UPLOAD_FAILED};
    (void)snprintf(ret->image_id, sizeof ret->image_id, "%s", id);
    memcpy(ret->error, reason->message, sizeof ret->error);
    staged_file_name(id, STAGED_DATA, name);
    if (fstatat(staging->owner.dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        ret->stored_bytes = (uint64_t)status.st_size;
}

static int no_upload(const char *id, struct error *err)
{
    return error_set(err, ERROR_NOT_FOUND, "no upload of image %s is staged", id);
}

/* Completion removes the journal before the data: what lost both meanwhile is done. */
static int fill_progress(struct upload_staging *staging, struct upload_info *info,
                         struct error *err)
{
    const int dir_fd = staging->owner.dir_fd;

    if (staged_file_is_held(dir_fd, info->image_id)) {
        info->state = UPLOAD_UPLOADING;
        info->sent_bytes = sent_bytes(staging, info->image_id);
    } else if (!staged_file_exists(dir_fd, info->image_id, STAGED_DATA)) {
        if (!staged_file_exists(dir_fd, info->image_id, STAGED_JOURNAL))
            return no_upload(info->image_id, err);
        info->state = UPLOAD_FAILED;
        (void)snprintf(info->error, sizeof info->error, "the staged data are missing");
    }
    return 0;
}

/* What lies in the directory, ours or unreadable. */
static int query_staged(struct upload_staging *staging, const char *id, struct upload_info *ret,
                        struct error *err)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;

    if (staging_directory_read_journal(staging->owner.dir_fd, id, &journal, err) < 0) {
        if (err->kind == ERROR_NOT_FOUND)
            return -1;
        fill_unreadable(staging, id, err, ret);
        return 0;
    }
    if (!staging_owner_owns(&staging->owner, journal))
        return no_upload(id, err);
    fill_info(journal, ret);
    return fill_progress(staging, ret, err);
}

int upload_staging_query(struct upload_staging *staging, const char *id, struct upload_info *ret,
                         struct error *err)
{
    if (!uuid_is_valid(id))
        return no_upload(id, err);
    if (query_staged(staging, id, ret, err) == 0)
        return 0;
    return find_remembered(staging, id, ret) ? 0 : -1;
}

static int compare_age(const void *a, const void *b)
{
    const struct upload_info *left = a;
    const struct upload_info *right = b;

    if (left->sealed_at != right->sealed_at)
        return left->sealed_at < right->sealed_at ? -1 : 1;
    return strcmp(left->image_id, right->image_id);
}

int upload_staging_list(struct upload_staging *staging, struct upload_info **ret, size_t *ret_count,
                        struct error *err)
{
    CLEANUP(memory_free) char(*ids)[UUID_TEXT_BYTES] = NULL;
    struct error ignored = ERROR_INIT;
    size_t id_count;
    size_t count = 0;
    struct upload_info *infos;

    if (staging_directory_list(staging->owner.dir_fd, &ids, &id_count, err) < 0)
        return -1;
    infos = calloc(id_count + 1, sizeof *infos);
    if (infos == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < id_count; i++)
        if (query_staged(staging, ids[i], &infos[count], &ignored) == 0)
            count++;
    qsort(infos, count, sizeof *infos, compare_age);
    *ret = infos;
    *ret_count = count;
    return 0;
}

/* --- send, wait, drop --- */

/* Sleeps until then, or until an attempt of this process ends. */
static int sleep_until(struct upload_staging *staging, uint64_t deadline_ns, struct cancel *cancel,
                       struct error *err)
{
    struct monitor_waiter waiter;

    monitor_enter(&staging->monitor, cancel, &waiter);
    if (!cancel_is_requested(cancel))
        upload_backoff_wait(&staging->monitor, deadline_ns);
    monitor_leave(&staging->monitor, cancel, &waiter);
    return cancel_check(cancel, err);
}

static int back_off(struct upload_staging *staging, struct upload_backoff *backoff,
                    struct cancel *cancel, struct error *err)
{
    const uint64_t deadline_ns = upload_backoff_deadline(backoff);

    while (clock_monotonic_ns() < deadline_ns)
        if (sleep_until(staging, deadline_ns, cancel, err) < 0)
            return -1;
    return 0;
}

int upload_staging_send(struct upload_staging *staging, const char *id, const char *target,
                        struct cancel *cancel, struct error *err)
{
    CLEANUP(upload_sender_free) struct upload_sender *sender = NULL;
    struct upload_backoff backoff = {.first_ms = staging->first_retry_ms,
                                     .last_ms = staging->last_retry_ms};
    enum upload_outcome outcome;

    if (!uuid_is_valid(id))
        return no_upload(id, err);
    if (upload_sender_new(&staging->owner, id, target, &sender, err) < 0)
        return -1;
    while ((outcome = attempt(staging, sender, cancel, err)) == UPLOAD_OUTCOME_LATER)
        if (back_off(staging, &backoff, cancel, err) < 0)
            return -1;
    return outcome == UPLOAD_OUTCOME_DONE ? 0 : -1;
}

/* True when the wait is over; *result is its end then. */
static bool has_ended(struct upload_staging *staging, const char *id,
                      const struct upload_journal *journal, int *result, struct error *err)
{
    if (!staging_owner_owns(&staging->owner, journal)) {
        *result = no_upload(id, err);
        return true;
    }
    if (!journal->failed || staged_file_is_held(staging->owner.dir_fd, id))
        return false;
    *err = journal->last_error;
    *result = -1;
    return true;
}

/* Nothing is staged any more: `journal` is what we last saw of it, or NULL. */
static int ask_service(struct upload_staging *staging, const char *id,
                       const struct upload_journal *journal, struct cancel *cancel,
                       struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    if (image_service_get(staging->images, id, cancel, &record, err) < 0)
        return -1;
    if (journal == NULL ? image_record_status(record) == IMAGE_STATUS_ACTIVE
                        : upload_journal_describes(journal, record))
        return 0;
    return no_upload(id, err);
}

int upload_staging_wait(struct upload_staging *staging, const char *id, struct cancel *cancel,
                        struct error *err)
{
    CLEANUP(upload_journal_free) struct upload_journal *seen = NULL;
    int result;

    if (!uuid_is_valid(id))
        return no_upload(id, err);
    for (;;) {
        struct upload_journal *now = NULL;

        if (staging_directory_read_journal(staging->owner.dir_fd, id, &now, err) < 0)
            return err->kind == ERROR_NOT_FOUND ? ask_service(staging, id, seen, cancel, err) : -1;
        upload_journal_free(seen);
        seen = now;
        if (has_ended(staging, id, seen, &result, err))
            return result;
        if (sleep_until(staging, clock_monotonic_ns() + POLL_NS, cancel, err) < 0)
            return -1;
    }
}

/* The journal is ours to remove: it names us, or nobody can read it. */
static int check_may_drop(struct upload_staging *staging, const char *id, struct error *err)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;

    if (staging_directory_read_journal(staging->owner.dir_fd, id, &journal, err) < 0)
        return err->kind == ERROR_CORRUPT || err->kind == ERROR_UNSUPPORTED ? 0 : -1;
    if (staging_owner_owns(&staging->owner, journal))
        return 0;
    return error_set(err, ERROR_DENIED,
                     "the upload of image %s belongs to cloud '%.80s', project '%.64s'", id,
                     journal->cloud, journal->project_id);
}

int upload_staging_drop(struct upload_staging *staging, const char *id, struct error *err)
{
    const int dir_fd = staging->owner.dir_fd;
    CLEANUP(fd_close) int lock = -1;

    if (!uuid_is_valid(id))
        return no_upload(id, err);
    if (staged_file_lock(dir_fd, id, STAGED_DATA, &lock, err) < 0 && err->kind != ERROR_NOT_FOUND)
        return error_prefix(err, "the upload of image %s", id);
    if (check_may_drop(staging, id, err) < 0)
        return -1;
    return staging_directory_remove(dir_fd, id, err);
}
