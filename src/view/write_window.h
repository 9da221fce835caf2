/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plaintext that is not encrypted yet: a ring of locked memory over the bytes of a file from
 * `consumed` on. Every byte that was not put there, or was taken out, is zero. One thread at a
 * time; offsets are of the file.
 */
#ifndef VIEW_WRITE_WINDOW_H
#define VIEW_WRITE_WINDOW_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"

#include <stddef.h>
#include <stdint.h>

struct write_window;

/** A window of `capacity` bytes over the start of a file. ERROR_EXHAUSTED when the arena has not
 *  that much; pages are used only as they are written. */
int write_window_new(struct secure_arena *arena, size_t capacity, struct write_window **ret,
                     struct error *err);

/** Wipes and frees; NULL is allowed. */
void write_window_free(struct write_window *window);
DEFINE_CLEANUP(struct write_window, write_window_free)

/** Where the window begins, and the offset behind its end. */
uint64_t write_window_consumed(const struct write_window *window);
uint64_t write_window_end(const struct write_window *window);

/** Bytes it spans. */
size_t write_window_capacity(const struct write_window *window);

/** Copies in; the range lies inside the window (asserted). */
void write_window_put(struct write_window *window, const void *bytes, size_t size, uint64_t offset);

/** Copies out; the range lies inside the window (asserted). */
void write_window_get(const struct write_window *window, void *buffer, size_t size,
                      uint64_t offset);

/** Makes the bytes from `start` up to `end` zero, as far as they lie in the window. */
void write_window_zero(struct write_window *window, uint64_t start, uint64_t end);

/** The first bytes in one piece, *ret_size of them: at most `limit`, at least one. */
const uint8_t *write_window_oldest(const struct write_window *window, uint64_t limit,
                                   size_t *ret_size);

/** Moves on by `size` bytes, as write_window_oldest gave them, and wipes them. */
void write_window_consume(struct write_window *window, size_t size);

/** Back to the start of the file, all zeros. */
void write_window_reset(struct write_window *window);

#endif
