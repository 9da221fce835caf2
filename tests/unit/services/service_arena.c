/* SPDX-License-Identifier: Apache-2.0 */
#include "service_arena.h"

#include "crypto/crypto_library.h"
#include "support/testing.h"

#include <stdio.h>

int service_arena_setup(void **state)
{
    struct secure_arena *arena;
    struct error err = ERROR_INIT;

    if (secure_arena_new(SECURE_ARENA_MINIMUM_BYTES, &arena, &err) < 0 ||
        crypto_library_setup(arena, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    *state = arena;
    return 0;
}
