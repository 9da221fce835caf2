/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting that a cancel token ends, for fakes that play slow services. */
#ifndef SUPPORT_DELAY_H
#define SUPPORT_DELAY_H

#include "glancefs/cancel.h"

/** Sleeps; ERROR_CANCELLED, within milliseconds, once `cancel` (may be NULL) is cancelled. */
int delay(unsigned milliseconds, struct cancel *cancel, struct error *err);

#endif
