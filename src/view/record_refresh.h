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

#include <stdbool.h>

/** How long an answer is waited for, in milliseconds, where nothing is known of the service. */
#define REFRESH_GRACE_MS 100

/** What one refresh may take. */
struct refresh_limits {
    unsigned questions; /* at a time; while so many wait for an answer, no further one is asked */
    unsigned grace_ms;  /* how long an answer is waited for: */
    unsigned longest_grace_ms; /* twice as long as the last good one took, within these bounds */
};

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

/** Everything is borrowed: the name of its threads, the context of `ask`. */
int record_refresh_new(const char *name, record_refresh_ask *ask, void *context,
                       const struct refresh_limits *limits, struct record_refresh **ret,
                       struct error *err);

/** Cancels what is being asked and waits for that to end. NULL is allowed. */
void record_refresh_free(struct record_refresh *refresh);
DEFINE_CLEANUP(struct record_refresh, record_refresh_free)

/** Asks anew for the record of image `id`. Any thread; waits no longer than the grace, nor after
 *  `cancel` (NULL is allowed), which does not end the question itself. */
enum record_refresh_result record_refresh_start(struct record_refresh *refresh, const char *id,
                                                struct cancel *cancel, struct image_attributes *ret,
                                                struct error *err);

/** Whether it failed for want of an answer: no reason to stop showing what was said before. */
bool refresh_met_outage(const struct error *err);

#endif
