/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/secure_arena.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#ifndef MADV_DONTNEED_LOCKED /* Linux 5.18; older headers lack the name */
#define MADV_DONTNEED_LOCKED 24
#endif

/* Runs of fewer pages stay resident when freed: a key is not worth a system call. */
#define RETURN_PAGES 16

struct secure_arena {
    uint8_t *base;
    size_t page_size;
    size_t page_count;
    pthread_mutex_t mutex; /* guards everything below; nothing else is locked inside */
    uint32_t *run;         /* pages of the allocation that starts here; else 0 */
    size_t used_pages;
    size_t peak_pages;
};

/* Reserves and locks `size` bytes; pages are locked as they are first touched. */
static uint8_t *map_locked(size_t size)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED)
        return NULL;
    if (mlock2(base, size, MLOCK_ONFAULT) == 0 && madvise(base, size, MADV_DONTDUMP) == 0 &&
        madvise(base, size, MADV_DONTFORK) == 0)
        return base;
    (void)munmap(base, size);
    return NULL;
}

/* The largest mapping of at most *size bytes that may be locked; *size becomes what it got. */
static uint8_t *map_what_is_allowed(size_t *size, size_t page_size)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    size_t wanted = *size;

    do {
        uint8_t *base = map_locked(wanted);

        if (base != NULL) {
            *size = wanted;
            return base;
        }
        (void)getrlimit(RLIMIT_MEMLOCK, &limit);
        wanted = limit.rlim_cur < wanted ? (size_t)limit.rlim_cur : wanted / 2;
        wanted -= wanted % page_size;
    } while (wanted >= SECURE_ARENA_MINIMUM_BYTES);
    return NULL;
}

int secure_arena_new(size_t capacity, struct secure_arena **ret, struct error *err)
{
    const size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    struct secure_arena *arena;

    if (capacity < SECURE_ARENA_MINIMUM_BYTES)
        capacity = SECURE_ARENA_MINIMUM_BYTES;
    if (capacity / page_size >= UINT32_MAX)
        return error_set(err, ERROR_INVALID, "max_memory of %zu bytes is too large", capacity);
    capacity = (capacity + page_size - 1) / page_size * page_size;
    arena = calloc(1, sizeof *arena);
    if (arena == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    arena->base = map_what_is_allowed(&capacity, page_size);
    arena->page_size = page_size;
    arena->page_count = capacity / page_size;
    arena->run = calloc(arena->page_count, sizeof *arena->run);
    (void)pthread_mutex_init(&arena->mutex, NULL);
    if (arena->base == NULL || arena->run == NULL) {
        secure_arena_free(arena);
        return error_set(err, ERROR_EXHAUSTED,
                         "cannot lock %zu MiB of memory: raise RLIMIT_MEMLOCK (ulimit -l, "
                         "LimitMEMLOCK=)",
                         SECURE_ARENA_MINIMUM_BYTES >> 20);
    }
    *ret = arena;
    return 0;
}

int secure_arena_refuse(const struct secure_arena *arena, struct error *err)
{
    return error_set(err, ERROR_EXHAUSTED,
                     "locked memory is used up: %zu MiB (max_memory, or what RLIMIT_MEMLOCK "
                     "leaves of it)",
                     secure_arena_capacity(arena) >> 20);
}

void secure_arena_free(struct secure_arena *arena)
{
    if (arena == NULL)
        return;
    if (arena->base != NULL)
        (void)munmap(arena->base, arena->page_count * arena->page_size);
    (void)pthread_mutex_destroy(&arena->mutex);
    free(arena->run);
    free(arena);
}

/* First fit: the number of the first of `pages` free pages, or page_count. Locked. */
static size_t find_free(const struct secure_arena *arena, size_t pages)
{
    size_t free_pages = 0;

    for (size_t i = 0; i < arena->page_count;) {
        if (arena->run[i] != 0) {
            free_pages = 0;
            i += arena->run[i];
            continue;
        }
        i++;
        if (++free_pages == pages)
            return i - pages;
    }
    return arena->page_count;
}

void *secure_arena_allocate(struct secure_arena *arena, size_t size)
{
    const size_t pages = size / arena->page_size + (size % arena->page_size != 0);
    void *memory = NULL;
    size_t first;

    if (pages == 0 || pages > arena->page_count)
        return NULL;
    (void)pthread_mutex_lock(&arena->mutex);
    first = find_free(arena, pages);
    if (first < arena->page_count) {
        arena->run[first] = (uint32_t)pages;
        arena->used_pages += pages;
        if (arena->used_pages > arena->peak_pages)
            arena->peak_pages = arena->used_pages;
        memory = arena->base + first * arena->page_size;
    }
    (void)pthread_mutex_unlock(&arena->mutex);
    return memory;
}

static size_t page_of(const struct secure_arena *arena, const void *memory)
{
    return (size_t)((const uint8_t *)memory - arena->base) / arena->page_size;
}

void secure_arena_release(struct secure_arena *arena, void *memory)
{
    size_t pages;

    if (memory == NULL)
        return;
    /* Ours until the run is cleared, so neither wipe nor madvise needs the lock. */
    pages = secure_arena_allocation_size(arena, memory) / arena->page_size;
    explicit_bzero(memory, pages * arena->page_size);
    if (pages >= RETURN_PAGES)
        (void)madvise(memory, pages * arena->page_size, MADV_DONTNEED_LOCKED);
    (void)pthread_mutex_lock(&arena->mutex);
    arena->run[page_of(arena, memory)] = 0;
    arena->used_pages -= pages;
    (void)pthread_mutex_unlock(&arena->mutex);
}

bool secure_arena_contains(const struct secure_arena *arena, const void *memory)
{
    const uintptr_t start = (uintptr_t)arena->base;
    const uintptr_t address = (uintptr_t)memory;

    return address >= start && address - start < arena->page_count * arena->page_size;
}

/* The counters are read for their own sake; taking the lock keeps them whole. */
static size_t read_locked(const struct secure_arena *arena, const size_t *counter)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&arena->mutex;
    size_t value;

    (void)pthread_mutex_lock(mutex);
    value = *counter;
    (void)pthread_mutex_unlock(mutex);
    return value;
}

size_t secure_arena_allocation_size(const struct secure_arena *arena, const void *memory)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&arena->mutex;
    size_t pages;

    (void)pthread_mutex_lock(mutex);
    pages = arena->run[page_of(arena, memory)];
    (void)pthread_mutex_unlock(mutex);
    return pages * arena->page_size;
}

size_t secure_arena_capacity(const struct secure_arena *arena)
{
    return arena->page_count * arena->page_size;
}

size_t secure_arena_used(const struct secure_arena *arena)
{
    return read_locked(arena, &arena->used_pages) * arena->page_size;
}

size_t secure_arena_peak(const struct secure_arena *arena)
{
    return read_locked(arena, &arena->peak_pages) * arena->page_size;
}

/* --- registers --- */

void secure_registers_clear(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroall" ::
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                               "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                               "xmm15");
    /* The other half, which glibc copies with; nothing that is compiled here uses it. Writing to an
     * xmm clears its zmm to the end. */
    if (__builtin_cpu_supports("avx512vl"))
        __asm__ volatile(".irp number, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n\t"
                         "vpxord %%xmm\\number, %%xmm\\number, %%xmm\\number\n\t"
                         ".endr" ::
                             : "memory");
#endif
}
