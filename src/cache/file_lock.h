/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a flock(2), which belongs to an open file description: it holds between threads as
 * between processes, and ends with the last descriptor.
 */
#ifndef CACHE_FILE_LOCK_H
#define CACHE_FILE_LOCK_H

#include "glancefs/cancel.h"
#include "glancefs/error.h"

#include <stdint.h>

/** `wait_ns` of whoever gives up only when cancelled. */
#define FILE_LOCK_FOR_EVER UINT64_MAX

/**
 * Takes `operation` (LOCK_SH or LOCK_EX) on `fd`, of whose file `what` tells people. A holder is waited
 * for, in turns of milliseconds, at most `wait_ns` nanoseconds (0: not at all): then ERROR_BUSY.
 * ERROR_CANCELLED within some 30 ms when cancelled; `cancel` may be NULL.
 */
int file_lock_take(int fd, int operation, uint64_t wait_ns, const char *what, struct cancel *cancel,
                   struct error *err);

#endif
