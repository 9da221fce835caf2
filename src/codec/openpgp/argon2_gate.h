/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may derive a key by Argon2 now: one open of the process at a time, for the memory that one
 * derivation may take is counted once. Owned by the codec. Any thread.
 */
#ifndef CODEC_OPENPGP_ARGON2_GATE_H
#define CODEC_OPENPGP_ARGON2_GATE_H

#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"

struct argon2_gate;

/** An open gate. ERROR_EXHAUSTED only. */
int argon2_gate_new(struct argon2_gate **ret, struct error *err);

/** Nobody is inside or waits. NULL is allowed. */
void argon2_gate_free(struct argon2_gate *gate);
DEFINE_CLEANUP(struct argon2_gate, argon2_gate_free)

/** Waits until nobody is inside and enters. ERROR_CANCELLED while it waits. */
int argon2_gate_enter(struct argon2_gate *gate, struct cancel *cancel, struct error *err);

/** Leaves again. */
void argon2_gate_leave(struct argon2_gate *gate);

#endif
