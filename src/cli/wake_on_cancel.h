/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends a blocking read, write or terminal prompt of a command when its cancel token is cancelled:
 * from then on a timer interrupts system calls with EINTR, again and again, so that none that was
 * just about to block is missed; the loops around them ask the token.
 */
#ifndef CLI_WAKE_ON_CANCEL_H
#define CLI_WAKE_ON_CANCEL_H

#include "glancefs/cancel.h"

/** Registers for `cancel`, with storage of the caller until wake_on_cancel_stop. Takes SIGALRM and
 *  ITIMER_REAL, of which a process has one each. */
void wake_on_cancel_start(struct cancel *cancel, struct cancel_listener *listener);

/** Stops the timer and withdraws. */
void wake_on_cancel_stop(struct cancel *cancel, struct cancel_listener *listener);

#endif
