/* SPDX-License-Identifier: Apache-2.0 */
/* When a request is tried again, and how long to wait before. */
#ifndef SERVICES_OPENSTACK_HTTP_RETRY_H
#define SERVICES_OPENSTACK_HTTP_RETRY_H

#include "glancefs/cancel.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stdint.h>

/** The pause before the first repetition, before jitter, and the longest one, in nanoseconds. */
#define HTTP_RETRY_FIRST_NS (UINT64_C(250) * 1000 * 1000)
#define HTTP_RETRY_LONGEST_NS (UINT64_C(8) * 1000 * 1000 * 1000)

/** True for answers that another attempt may change: 408, 429, 500, 502, 503, 504. */
bool http_retry_status(int status);

/**
 * The pause after attempt number `attempt` (0 the first), in nanoseconds: doubled each time, at most
 * HTTP_RETRY_LONGEST_NS, then scaled by jitter to 50 to 150 %. `random` is any number.
 * `retry_after_seconds`, when not 0, is what the service asked for and counts instead, up to
 * LIMIT_RETRY_AFTER_SECONDS.
 */
uint64_t http_retry_pause_ns(unsigned attempt, uint64_t retry_after_seconds, uint32_t random);

/** Waits until the CLOCK_MONOTONIC time `until_ns`; ERROR_CANCELLED when cancelled first. */
int http_retry_wait(uint64_t until_ns, struct cancel *cancel, struct error *err);

#endif
