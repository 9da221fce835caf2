/* SPDX-License-Identifier: Apache-2.0 */
/* SIGINT and SIGTERM as a cancel token, so that an interrupted command tidies up before it ends. */
#ifndef CLI_SIGNAL_CANCEL_H
#define CLI_SIGNAL_CANCEL_H

#include "glancefs/cancel.h"

/**
 * From now on SIGINT and SIGTERM cancel *ret, which the caller gives back. Once per process, before
 * other threads: the signals are blocked in the caller and a thread of its own waits for them.
 */
int signal_cancel_start(struct cancel **ret, struct error *err);

#endif
