/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking for a record again without letting a look-up wait for it. What is asked for goes on in the
 * background; who asked waits for a moment, in which a service in good order has answered. Once one
 * answer was late nobody waits, until one came in time again: then `ls -l` on a service that hangs
 * costs one such moment altogether, not one per name.
 */
#ifndef VIEW_RECORD_REFRESH_H
#define VIEW_RECORD_REFRESH_H

#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/image_view.h"

/** How long an answer may take that is waited for, in milliseconds. */
#define RECORD_REFRESH_GRACE_MS 100
/** Most questions at a time; while so many wait for an answer, no further one is asked. */
#define RECORD_REFRESH_QUESTIONS 16

struct record_refresh;

/** Asks for the record of image `id` and remembers it. Called on a thread of the refresh's own, by
 *  several at a time; may wait. */
typedef int record_refresh_ask(void *context, const char *id, struct cancel *cancel,
                               struct image_attributes *ret, struct error *err);

/** What came of a refresh within its moment. */
enum record_refresh_result {
    RECORD_REFRESH_DONE,   /* the attributes as they are now */
    RECORD_REFRESH_FAILED, /* *err says why */
    RECORD_REFRESH_LATE,   /* nothing yet, or the caller gave up: what is remembered has to do */
};

/** `context` is borrowed, for `ask`. */
int record_refresh_new(record_refresh_ask *ask, void *context, struct record_refresh **ret,
                       struct error *err);

/** Cancels what is being asked and waits for that to end. NULL is allowed. */
void record_refresh_free(struct record_refresh *refresh);
DEFINE_CLEANUP(struct record_refresh, record_refresh_free)

/** Asks anew for the record of image `id`. Any thread; waits no longer than the grace, nor after
 *  `cancel` (NULL is allowed), which does not end the question itself. */
enum record_refresh_result record_refresh_start(struct record_refresh *refresh, const char *id,
                                                struct cancel *cancel, struct image_attributes *ret,
                                                struct error *err);

#endif
