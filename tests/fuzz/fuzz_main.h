/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every fuzz target stands on. A target defines fuzz_one; the driver calls it with an arena
 * and crypto libraries set up, and, when the environment names GLANCEFS_FUZZ_FAIL_ALLOCATIONS, once
 * more for each input with one allocation failing, chosen by the input.
 */
#ifndef FUZZ_FUZZ_MAIN_H
#define FUZZ_FUZZ_MAIN_H

#include "glancefs/error.h"
#include "glancefs/secure_arena.h"
#include "glancefs/secure_buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Takes one input; must not keep anything. Defined by the target. */
void fuzz_one(const uint8_t *data, size_t size);

/** The arena of the process. */
struct secure_arena *fuzz_arena(void);

/** A copy of `text` in the arena. Never fails: allocations that a harness makes for itself do not
 *  count as the target's. Caller frees. */
struct secure_buffer *fuzz_passphrase(const char *text);

/** Allocations between these two never fail: for what a harness builds. They nest. */
void fuzz_allocations_succeed(void);
void fuzz_allocations_may_fail(void);

/** True while one allocation is to fail: then a result may be ERROR_EXHAUSTED. */
bool fuzz_allocations_fail(void);

/** A message is one line of text, whatever it quotes. */
void fuzz_assert_plain(const struct error *err);

/** Ends the process, so that the input is kept, unless `holds`. */
#define FUZZ_ASSERT(holds) ((holds) ? (void)0 : __builtin_trap())

#endif
