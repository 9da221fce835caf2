/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/request.h"

#include "base/clock.h"
#include "base/log.h"
#include "fuse/caller.h"
#include "fuse/filesystem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How often callers that were interrupted without a signal are looked at. */
#define WATCH_NANOSECONDS (20 * UINT64_C(1000000))

/* --- interrupts without a signal --- */

/* Cancels those whose signal has come; false when nobody is left to be watched. Locked. */
static bool cancel_signalled(struct request_list *list)
{
    bool is_needed = false;

    for (struct request *request = list->first; request != NULL; request = request->next) {
        if (!request->is_watched)
            continue;
        request->is_watched = !caller_has_signal(request->caller);
        if (request->is_watched)
            is_needed = true;
        else
            cancel_request(request->cancel);
    }
    return is_needed;
}

static void watch_callers(struct job *job)
{
    struct request_list *list = (struct request_list *)job;

    monitor_lock(&list->monitor);
    while (cancel_signalled(list))
        monitor_wait_until(&list->monitor, clock_monotonic_ns() + WATCH_NANOSECONDS);
    list->is_watching = false;
    monitor_unlock(&list->monitor);
}

/* False when nobody can watch. */
static bool watch(struct request_list *list, struct request *request)
{
    struct error ignored = ERROR_INIT;
    bool is_watching;

    monitor_lock(&list->monitor);
    if (!list->is_watching)
        list->is_watching = worker_pool_submit(list->watcher, &list->watch, &ignored) == 0;
    is_watching = list->is_watching;
    request->is_watched = is_watching;
    monitor_unlock(&list->monitor);
    return is_watching;
}

static void on_interrupt(fuse_req_t req, void *data)
{
    struct request *request = data;

    (void)req;
    if (caller_has_signal(request->caller) || !watch(&request->filesystem->requests, request))
        cancel_request(request->cancel);
}

/* --- the list --- */

int request_list_init(struct request_list *list, struct error *err)
{
    *list = (struct request_list){.watch.run = watch_callers};
    monitor_init(&list->monitor);
    return worker_pool_new("interrupts", 1, &list->watcher, err);
}

void request_list_destroy(struct request_list *list)
{
    worker_pool_free(list->watcher);
    monitor_destroy(&list->monitor);
}

bool request_list_has(struct request_list *list, const struct request_kind *kind, const char *name)
{
    const struct request *request;

    monitor_lock(&list->monitor);
    for (request = list->first; request != NULL; request = request->next)
        if (request->kind == kind && strcmp(request->name, name) == 0)
            break;
    monitor_unlock(&list->monitor);
    return request != NULL;
}

void request_list_cancel(struct request_list *list)
{
    monitor_lock(&list->monitor);
    for (struct request *request = list->first; request != NULL; request = request->next)
        cancel_request(request->cancel);
    while (list->first != NULL)
        monitor_wait(&list->monitor);
    monitor_unlock(&list->monitor);
}

static void list_add(struct request_list *list, struct request *request)
{
    monitor_lock(&list->monitor);
    request->previous = NULL;
    request->next = list->first;
    if (request->next != NULL)
        request->next->previous = request;
    list->first = request;
    monitor_unlock(&list->monitor);
}

static void list_remove(struct request_list *list, struct request *request)
{
    monitor_lock(&list->monitor);
    if (request->previous != NULL)
        request->previous->next = request->next;
    else
        list->first = request->next;
    if (request->next != NULL)
        request->next->previous = request->previous;
    monitor_changed(&list->monitor);
    monitor_unlock(&list->monitor);
}

/* --- one request --- */

static void answer(struct request *request)
{
    if (request->kind->audit != NULL)
        request->kind->audit(request, 0);
    request->kind->answer(request);
}

static void carry_out(struct job *job)
{
    struct request *request = (struct request *)job;
    struct error error = ERROR_INIT;
    const int result = request->kind->work(request, &error);

    request_claim(request);
    if (result == 0)
        answer(request);
    else if (request->kind->answer_failure != NULL)
        request->kind->answer_failure(request, &error);
    else
        request_answer_error(request, &error);
    request_end(request);
}

struct request *request_try_new(fuse_req_t req, const struct request_kind *kind, fuse_ino_t inode)
{
    struct request *request = calloc(1, sizeof *request);
    struct error error = ERROR_INIT;

    if (request == NULL || cancel_new(&request->cancel, &error) < 0) {
        free(request);
        return NULL;
    }
    request->job.run = carry_out;
    request->kind = kind;
    request->filesystem = filesystem_of(req);
    request->req = req;
    request->caller = fuse_req_ctx(req)->pid;
    request->inode = inode;
    return request;
}

struct request *request_new(fuse_req_t req, const struct request_kind *kind, fuse_ino_t inode)
{
    struct request *request = request_try_new(req, kind, inode);

    if (request == NULL)
        (void)fuse_reply_err(req, EAGAIN);
    return request;
}

void request_set_name(struct request *request, fuse_ino_t directory, const char *name)
{
    request->directory = directory;
    (void)snprintf(request->name, sizeof request->name, "%s", name);
}

void request_enlist(struct request *request)
{
    list_add(&request->filesystem->requests, request);
    fuse_req_interrupt_func(request->req, on_interrupt, request);
}

void request_start(struct request *request)
{
    struct error error = ERROR_INIT;

    request_enlist(request);
    if (worker_pool_submit(request->filesystem->pool, &request->job, &error) == 0)
        return;
    if (request->kind->is_change) {
        carry_out(&request->job);
        return;
    }
    request_claim(request);
    request_answer_error(request, &error);
    request_end(request);
}

void request_run(struct request *request)
{
    request_enlist(request);
    carry_out(&request->job);
}

void request_claim(struct request *request)
{
    fuse_req_interrupt_func(request->req, NULL, NULL);
}

void request_end(struct request *request)
{
    request_buffers_give(request->filesystem->buffers, request->buffer, request->used);
    list_remove(&request->filesystem->requests, request);
    cancel_unref(request->cancel);
    free(request);
}

/* The file, for the log; nothing where the message names the image itself. */
static void describe_file(fuse_ino_t directory, const char *name, const struct error *err,
                          char *ret, size_t size)
{
    const bool is_written = directory == INODE_ENCRYPT;

    if (*name != '\0' && !is_written && strstr(err->message, name) != NULL)
        *ret = '\0';
    else
        (void)snprintf(ret, size, "%s%s: ", is_written ? "encrypt/" : "image ",
                       *name != '\0' ? name : "-");
}

/* Only an interrupted caller may see EINTR; others are cancelled because the mount ends. */
static int answered_errnum(fuse_req_t req, const struct error *err)
{
    const bool is_shutdown = err->kind == ERROR_CANCELLED && !fuse_req_interrupted(req);

    return is_shutdown ? ESHUTDOWN : err->errnum;
}

void request_refuse(fuse_req_t req, const char *operation, fuse_ino_t directory, const char *name,
                    const struct error *err)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    const int errnum = answered_errnum(req, err);
    const char *errno_name = strerrorname_np(errnum);
    char file[NAME_MAX + 16];

    describe_file(directory, name, err, file, sizeof file);
    log_write(err->kind == ERROR_CANCELLED ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
              "%s by pid %d uid %u: %s%s [%s]", operation, (int)caller->pid, caller->uid, file,
              err->message, errno_name != NULL ? errno_name : "?");
    (void)fuse_reply_err(req, errnum);
}

void request_answer_error(struct request *request, const struct error *err)
{
    if (request->kind->audit != NULL)
        request->kind->audit(request, answered_errnum(request->req, err));
    request_refuse(request->req, request->kind->name, request->directory, request->name, err);
}
