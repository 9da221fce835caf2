/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/upload_progress.h"

#include "base/clock.h"
#include "base/monitor.h"
#include "cli/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A thread that looks at the upload while another one sends it. */
struct watcher {
    struct upload_staging *staging;
    const char *id;
    struct progress progress;
    char seen[ERROR_MESSAGE_BYTES]; /* the last attempt's error at the last look */
    char told[ERROR_MESSAGE_BYTES]; /* the one printed last */
    struct monitor monitor;         /* guards `ended` */
    bool ended;
};

/* Says why it takes long. Only what is still there at a second look: the error that ends the upload
 * is told by whom it is returned to. */
static void tell_delay(struct watcher *watcher, const char *error)
{
    if (error[0] != '\0' && strcmp(error, watcher->seen) == 0 &&
        strcmp(error, watcher->told) != 0) {
        progress_finish(&watcher->progress);
        (void)fprintf(stderr, "glancefs: %s; trying again\n", error);
        (void)snprintf(watcher->told, sizeof watcher->told, "%s", error);
    }
    (void)snprintf(watcher->seen, sizeof watcher->seen, "%s", error);
}

static void look(struct watcher *watcher)
{
    struct error ignored = ERROR_INIT;
    struct upload_info info;

    if (upload_staging_query(watcher->staging, watcher->id, &info, &ignored) < 0)
        return;
    tell_delay(watcher, info.error);
    progress_update(&watcher->progress, info.sent_bytes, clock_monotonic_ns());
}

/* Until the next look, or the end. Locked. */
static void wait_a_while(struct watcher *watcher)
{
    const uint64_t next_ns = clock_monotonic_ns() + PROGRESS_BAR_INTERVAL_NS;
    const struct timespec next = {.tv_sec = (time_t)(next_ns / NANOSECONDS_PER_SECOND),
                                  .tv_nsec = (long)(next_ns % NANOSECONDS_PER_SECOND)};

    (void)pthread_cond_clockwait(&watcher->monitor.changed, &watcher->monitor.mutex,
                                 CLOCK_MONOTONIC, &next);
}

static void *watch(void *argument)
{
    struct watcher *watcher = argument;

    monitor_lock(&watcher->monitor);
    while (!watcher->ended) {
        monitor_unlock(&watcher->monitor);
        look(watcher);
        monitor_lock(&watcher->monitor);
        if (!watcher->ended)
            wait_a_while(watcher);
    }
    monitor_unlock(&watcher->monitor);
    return NULL;
}

static void end_watch(struct watcher *watcher, pthread_t thread)
{
    monitor_lock(&watcher->monitor);
    watcher->ended = true;
    monitor_changed(&watcher->monitor);
    monitor_unlock(&watcher->monitor);
    (void)pthread_join(thread, NULL);
}

static int send_or_wait(struct upload_staging *staging, const char *id, const char *target,
                        struct cancel *cancel, struct error *err)
{
    if (upload_staging_send(staging, id, target, cancel, err) == 0)
        return 0;
    if (err->kind != ERROR_BUSY || target != NULL)
        return -1;
    return upload_staging_wait(staging, id, cancel, err);
}

int upload_with_progress(struct upload_staging *staging, const char *id, const char *target,
                         struct cancel *cancel, struct error *err)
{
    struct watcher watcher = {.staging = staging, .id = id};
    struct upload_info info;
    pthread_t thread;
    bool is_watched;
    int result;

    if (upload_staging_query(staging, id, &info, err) < 0)
        return -1;
    (void)snprintf(watcher.told, sizeof watcher.told, "%s", info.error); /* that is old news */
    monitor_init(&watcher.monitor);
    progress_start(&watcher.progress, stderr, isatty(STDERR_FILENO) != 0, "upload",
                   info.stored_bytes, clock_monotonic_ns());
    is_watched = pthread_create(&thread, NULL, watch, &watcher) == 0;
    result = send_or_wait(staging, id, target, cancel, err);
    if (is_watched)
        end_watch(&watcher, thread);
    progress_finish(&watcher.progress);
    monitor_destroy(&watcher.monitor);
    return result;
}
