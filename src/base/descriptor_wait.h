/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a descriptor in a way that a cancel token can end. */
#ifndef BASE_DESCRIPTOR_WAIT_H
#define BASE_DESCRIPTOR_WAIT_H

#include "glancefs/cancel.h"

/**
 * Waits until `fd` has something to read, or has ended. Returns at once when `cancel` is NULL: the
 * read itself may then wait. ERROR_CANCELLED when cancelled first.
 */
int descriptor_wait_readable(int fd, struct cancel *cancel, struct error *err);

/**
 * Waits until `fd` takes bytes, or its reader went away, which the write itself then tells. For
 * descriptors that somebody made non-blocking; `cancel` may be NULL. ERROR_CANCELLED when cancelled
 * first.
 */
int descriptor_wait_writable(int fd, struct cancel *cancel, struct error *err);

#endif
