/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work of a command on several images, some at a time: with progress for each on standard error, and
 * what became of each told as soon as it is known. One that fails does not stop the others.
 */
#ifndef CLI_IMAGE_WORK_H
#define CLI_IMAGE_WORK_H

#include "base/worker_pool.h"
#include "glancefs/cancel.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most images at a time. */
#define IMAGE_WORK_JOBS_MAXIMUM 16

/** `total_bytes` before it is known. */
#define IMAGE_TASK_TOTAL_UNKNOWN UINT64_MAX

struct image_shift;

/** One image. The caller sets the first two members, `run` of the work the next three. */
struct image_task {
    const char *image_id; /* borrowed; whatever was given for one */
    const void *subject;  /* the caller's own; may be NULL */

    _Atomic uint64_t done_bytes;  /* maybe with CACHE_PROGRESS_WAITS */
    _Atomic uint64_t total_bytes; /* IMAGE_TASK_TOTAL_UNKNOWN at first */
    const char *result;           /* one word for it; NULL becomes "failed" or "interrupted" */

    struct error err; /* why it failed, afterwards */
    struct job job;
    struct image_shift *shift; /* the rest is image_work.c's */
    struct image_task *next_ended;
    bool is_running;
};

/** The whole; all is borrowed. */
struct image_work {
    const char *command; /* for messages */
    const char *verb;    /* for progress: "fetch" */
    struct image_task *tasks;
    size_t count;
    unsigned jobs; /* at a time, 1 to IMAGE_WORK_JOBS_MAXIMUM */
    bool as_json;
    struct cancel *cancel;
    void *context;

    /** Does the work for one image, on a thread of its own. */
    int (*run)(void *context, struct image_task *task, struct cancel *cancel, struct error *err);
};

/**
 * Does it. Each result is told when it is there: with as_json an object on a line of standard output,
 * {"image_id", "result", "size", "error"}, where size and error may be null; else a line "ID RESULT
 * SIZE" there, or the error on standard error. The exit code: that of the first task, in their
 * order, that failed; EXIT_CODE_INTERRUPTED when it was cancelled.
 */
int image_work_run(struct image_work *work);

#endif
