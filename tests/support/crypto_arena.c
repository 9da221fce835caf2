/* SPDX-License-Identifier: Apache-2.0 */
#include "support/crypto_arena.h"

#include "crypto/crypto_library.h"

#include <stdio.h>

#define ARENA_BYTES ((size_t)8 * 1024 * 1024)

int crypto_arena_open(void **state)
{
    struct secure_arena *arena = NULL;
    struct error err = ERROR_INIT;

    if (secure_arena_new(ARENA_BYTES, &arena, &err) < 0 || crypto_library_setup(arena, &err) < 0) {
        (void)fprintf(stderr, "crypto cannot be set up: %s\n", err.message);
        secure_arena_free(arena);
        return -1;
    }
    *state = arena;
    return 0;
}

int crypto_arena_close(void **state)
{
    (void)state;
    return 0;
}
