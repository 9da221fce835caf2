/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults on request: a record or a secret's metadata may ask for the answer of a service in
 * trouble, so that every layer above can be tried against it. Each is a number or its text.
 *
 *     "glancefs_test_delay_ms": N        the call waits N milliseconds before it answers
 *     "glancefs_test_status": 400…599    the call then fails as this HTTP status would
 *     "glancefs_test_list_delay_ms": N   a listing that the image is in waits N milliseconds
 *     "glancefs_test_stop_at": N         a download stops before byte N of the data, for as long as
 *                                        the record says so; the record is read again meanwhile
 */
#ifndef SERVICES_LOCAL_LOCAL_FAULT_H
#define SERVICES_LOCAL_LOCAL_FAULT_H

#include "glancefs/cancel.h"
#include "glancefs/error.h"

#include <stdint.h>

struct json_object;

/** Waits and fails as `document` asks; ERROR_CANCELLED ends the wait, ERROR_INVALID is a bad
 *  value. Any thread. */
int local_fault_apply(struct json_object *document, struct cancel *cancel, struct error *err);

/** Waits as `document` asks of a listing; errors as above. Any thread. */
int local_fault_delay_listing(struct json_object *document, struct cancel *cancel,
                              struct error *err);

/** Where a download has to stop, or UINT64_MAX. ERROR_INVALID is a bad value. Any thread. */
int local_fault_stop(struct json_object *document, uint64_t *ret, struct error *err);

/** Waits a moment before the record is looked at again. */
int local_fault_pause(struct cancel *cancel, struct error *err);

#endif
