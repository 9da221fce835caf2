/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uniform error. Whatever can depend on the key (quick check, MDC, anything inside the
 * encryption, an end that comes too early) fails with this one error, so that its text tells an
 * attacker who alters messages nothing about the plaintext (RFC 9580 section 13.4).
 */
#ifndef CODEC_OPENPGP_MESSAGE_DAMAGED_H
#define CODEC_OPENPGP_MESSAGE_DAMAGED_H

#include "glancefs/error.h"

/** Sets ERROR_CORRUPT with the one message. Returns -1. */
int message_damaged(struct error *err);

#endif
