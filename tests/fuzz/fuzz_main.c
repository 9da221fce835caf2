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
static bool runs_twice;
static bool lets_allocation_fail; /* this time */

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
    return lets_allocation_fail;
}

void fuzz_assert_plain(const struct error *err)
{
    FUZZ_ASSERT(memchr(err->message, '\0', sizeof err->message) != NULL);
    for (const char *next = err->message; *next != '\0'; next++)
        FUZZ_ASSERT((unsigned char)*next >= ' ' && *next != 0x7f);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct error err = ERROR_INIT;

    (void)argc;
    (void)argv;
    runs_twice = getenv("GLANCEFS_FUZZ_FAIL_ALLOCATIONS") != NULL;
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

static void run(const uint8_t *data, size_t size, unsigned failing_allocation)
{
    const size_t used = secure_arena_used(arena);

    lets_allocation_fail = failing_allocation > 0;
    failing_allocator_arm(failing_allocation);
    fuzz_one(data, size);
    failing_allocator_arm(0);
    FUZZ_ASSERT(secure_arena_used(arena) == used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run(data, size, 0);
    if (runs_twice)
        run(data, size, 1 + hash_of(data, size) % FAILING_ALLOCATIONS);
    return 0;
}
