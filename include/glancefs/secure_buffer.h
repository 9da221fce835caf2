/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run of secret bytes: a key, a passphrase, a piece of plaintext. Lives in the arena, is wiped
 * when freed, is compared in constant time, and no function prints one.
 */
#ifndef GLANCEFS_SECURE_BUFFER_H
#define GLANCEFS_SECURE_BUFFER_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct secure_buffer;

/** A buffer of size 0 that can grow to `capacity` bytes. ERROR_EXHAUSTED when the arena is full. */
int secure_buffer_new(struct secure_arena *arena, size_t capacity, struct secure_buffer **ret,
                      struct error *err);

/** A buffer that holds a copy of `size` bytes. The caller wipes its own copy. */
int secure_buffer_copy_of(struct secure_arena *arena, const void *bytes, size_t size,
                          struct secure_buffer **ret, struct error *err);

/** Wipes and frees. NULL is allowed. */
void secure_buffer_free(struct secure_buffer *buffer);
DEFINE_CLEANUP(struct secure_buffer, secure_buffer_free)

/** The bytes; valid until the buffer is freed. */
uint8_t *secure_buffer_data(struct secure_buffer *buffer);
const uint8_t *secure_buffer_bytes(const struct secure_buffer *buffer);

/** Bytes held; bytes that fit. */
size_t secure_buffer_size(const struct secure_buffer *buffer);
size_t secure_buffer_capacity(const struct secure_buffer *buffer);

/**
 * Sets the size, at most the capacity (asserted). Bytes cut off are wiped; bytes gained are what
 * stands in the memory: zeros, or what the caller read into it behind the old size.
 */
void secure_buffer_set_size(struct secure_buffer *buffer, size_t size);

/** Appends. ERROR_TOO_LARGE when the capacity does not hold it; nothing is appended then. */
int secure_buffer_append(struct secure_buffer *buffer, const void *bytes, size_t size,
                         struct error *err);

/** Equal size and bytes, in time that depends on the sizes only. */
bool secure_buffer_equal(const struct secure_buffer *a, const struct secure_buffer *b);

#endif
