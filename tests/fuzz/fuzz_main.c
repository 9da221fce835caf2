/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_main.h"

#include "crypto/crypto_library.h"
#include "failing_allocator.h"
#include "glancefs/limits.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES (64 * MIB)

/* Most targets allocate less often than this. */
#define FAILING_ALLOCATIONS 64

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct secure_arena *arena;
static bool lets_allocations_fail;

struct secure_arena *fuzz_arena(void)
{
    return arena;
}

struct secure_buffer *fuzz_passphrase(const char *text)
{
    struct secure_buffer *passphrase = NULL;
    struct error err = ERROR_INIT;

    fuzz_allocations_succeed();
    if (secure_buffer_copy_of(arena, text, strlen(text), &passphrase, &err) < 0)
        abort();
    fuzz_allocations_may_fail();
    return passphrase;
}

void fuzz_allocations_succeed(void)
{
    failing_allocator_suspend();
}

void fuzz_allocations_may_fail(void)
{
    failing_allocator_resume();
}

bool fuzz_allocations_fail(void)
{
    return lets_allocations_fail;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct error err = ERROR_INIT;

    (void)argc;
    (void)argv;
    lets_allocations_fail = getenv("GLANCEFS_FUZZ_FAIL_ALLOCATIONS") != NULL;
    if (secure_arena_new(ARENA_BYTES, &arena, &err) < 0 || crypto_library_setup(arena, &err) < 0)
        abort();
    return 0;
}

/* FNV-1a: the same input always fails at the same allocation. */
static unsigned hash_of(const uint8_t *data, size_t size)
{
    uint32_t hash = UINT32_C(2166136261);

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * UINT32_C(16777619);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t used = secure_arena_used(arena);

    failing_allocator_arm(lets_allocations_fail ? 1 + hash_of(data, size) % FAILING_ALLOCATIONS
                                                : 0);
    fuzz_one(data, size);
    failing_allocator_arm(0);
    FUZZ_ASSERT(secure_arena_used(arena) == used);
    return 0;
}
