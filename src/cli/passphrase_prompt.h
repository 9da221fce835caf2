/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a person for a passphrase on the terminal, echo off, straight into locked memory. */
#ifndef CLI_PASSPHRASE_PROMPT_H
#define CLI_PASSPHRASE_PROMPT_H

#include "glancefs/cancel.h"
#include "glancefs/secure_buffer.h"

/**
 * Writes `question` to the terminal `tty` and reads a line, whose end is not part of the passphrase.
 * Echo is as before when this returns, also after a cancellation (see wake_on_cancel.h).
 * ERROR_KEY_REJECTED: nothing was typed. ERROR_SYSTEM: not a terminal.
 */
int passphrase_prompt(int tty, const char *question, struct secure_arena *arena,
                      struct cancel *cancel, struct secure_buffer **ret, struct error *err);

/** Asks twice; ERROR_KEY_REJECTED unless both are equal. */
int passphrase_prompt_twice(int tty, struct secure_arena *arena, struct cancel *cancel,
                            struct secure_buffer **ret, struct error *err);

#endif
