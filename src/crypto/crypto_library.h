/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Set-up of the crypto libraries, once per process, before any other call of this layer and
 * before threads. Afterwards libgcrypt's secure allocations (cipher contexts, which hold key
 * schedules) come from the arena, and everything either library frees is wiped first.
 */
#ifndef CRYPTO_CRYPTO_LIBRARY_H
#define CRYPTO_CRYPTO_LIBRARY_H

#include "glancefs/error.h"
#include "glancefs/secure_arena.h"

#include <stddef.h>

/** Initialises libgcrypt and OpenSSL. `arena` must live as long as the process uses crypto. A
 *  second call with the same arena does nothing. */
int crypto_library_setup(struct secure_arena *arena, struct error *err);

/** Instead of it, for a process that has no secret and only computes hashes: OpenSSL alone. */
int crypto_library_setup_hashing(struct error *err);

/**
 * Memory for what src/crypto itself holds of somebody's bytes: of the arena, which is locked and in
 * no core, or where the process only computes hashes plain memory. NULL when there is no more. The
 * caller gives it back to crypto_library_release, which wipes it; NULL is allowed there.
 */
void *crypto_library_allocate(size_t size);
void crypto_library_release(void *memory);

#endif
