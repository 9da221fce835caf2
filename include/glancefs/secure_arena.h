/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arena: all secret memory of the process (keys, plaintext, request buffers) in one
 * mapping that is locked (no swap), excluded from core dumps and not inherited by children.
 *
 * Pages are locked as they are first touched and given back to the kernel, wiped, when they are
 * freed, so that a large `max_memory` costs nothing until it is used. The unit of allocation is
 * a page. Thread-safe.
 */
#ifndef GLANCEFS_SECURE_ARENA_H
#define GLANCEFS_SECURE_ARENA_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stddef.h>

struct secure_arena;

/**
 * Maps an arena of `capacity` bytes (rounded up to pages). A process that may not lock that much
 * (RLIMIT_MEMLOCK, setrlimit(2)) gets what it may lock; less than SECURE_ARENA_MINIMUM_BYTES is
 * ERROR_EXHAUSTED with a message that says what to raise. Call it after fork, before threads.
 */
int secure_arena_new(size_t capacity, struct secure_arena **ret, struct error *err);
#define SECURE_ARENA_MINIMUM_BYTES ((size_t)2 * 1024 * 1024)

/** Unmaps. Everything allocated from it must have been freed. NULL is allowed. */
void secure_arena_free(struct secure_arena *arena);
DEFINE_CLEANUP(struct secure_arena, secure_arena_free)

/** `size` zeroed bytes, page-aligned, or NULL when the arena is used up. */
void *secure_arena_allocate(struct secure_arena *arena, size_t size);

/** Wipes and frees what secure_arena_allocate gave. NULL is allowed. */
void secure_arena_release(struct secure_arena *arena, void *memory);

/** True when `memory` lies inside the arena. */
bool secure_arena_contains(const struct secure_arena *arena, const void *memory);

/** Usable size of an allocation, in bytes (a multiple of the page size). */
size_t secure_arena_allocation_size(const struct secure_arena *arena, const void *memory);

/** Fails with ERROR_EXHAUSTED: `arena` had no room. The message names the option that gives it more. */
int secure_arena_refuse(const struct secure_arena *arena, struct error *err);

/** Bytes the arena can hold; bytes in use now; most bytes ever in use. */
size_t secure_arena_capacity(const struct secure_arena *arena);
size_t secure_arena_used(const struct secure_arena *arena);
size_t secure_arena_peak(const struct secure_arena *arena);

/**
 * Clears the vector registers of the calling thread, where copying and ciphers leave pieces of what
 * they worked on: a core dump shows the registers of each thread, locked memory or not. To be called
 * by a thread that worked on secrets, before it waits for other work. On x86-64 with AVX; does nothing
 * elsewhere. A few dozen cycles.
 */
void secure_registers_clear(void);

#endif
