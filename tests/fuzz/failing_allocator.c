/* SPDX-License-Identifier: Apache-2.0 */
#include "failing_allocator.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);

/* Codecs have threads of their own, which allocate too. */
static atomic_uint remaining;
static atomic_uint suspended;

void failing_allocator_arm(unsigned number)
{
    atomic_store(&remaining, number);
}

void failing_allocator_suspend(void)
{
    atomic_fetch_add(&suspended, 1);
}

void failing_allocator_resume(void)
{
    atomic_fetch_sub(&suspended, 1);
}

static bool must_fail(void)
{
    unsigned left = atomic_load(&remaining);

    if (atomic_load(&suspended) > 0)
        return false;
    while (left > 0)
        if (atomic_compare_exchange_weak(&remaining, &left, left - 1))
            return left == 1;
    return false;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return must_fail() ? NULL : __real_realloc(block, size);
}

char *__wrap_strdup(const char *text)
{
    return must_fail() ? NULL : __real_strdup(text);
}
