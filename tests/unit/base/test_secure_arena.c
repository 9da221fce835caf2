/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/secure_arena.h"

#include "support/child_process.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define ARENA_BYTES ((size_t)4 * 1024 * 1024)

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static struct secure_arena *arena_of(size_t capacity)
{
    struct secure_arena *arena = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(secure_arena_new(capacity, &arena, &err));
    return arena;
}

static bool is_all(const uint8_t *bytes, uint8_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

/* --- one allocation --- */

static void memory_is_page_aligned_zeroed_and_inside(void **state)
{
    const size_t sizes[] = {1, 32, page_size() - 1, page_size(), page_size() + 1, 100000};
    CLEANUP(secure_arena_free) struct secure_arena *arena = arena_of(ARENA_BYTES);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        const size_t rounded = (sizes[i] + page_size() - 1) / page_size() * page_size();
        uint8_t *memory = secure_arena_allocate(arena, sizes[i]);

        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % page_size(), 0);
        assert_int_equal(secure_arena_allocation_size(arena, memory), rounded);
        assert_int_equal(secure_arena_used(arena), rounded);
        assert_true(is_all(memory, 0, rounded));
        assert_true(secure_arena_contains(arena, memory));
        assert_true(secure_arena_contains(arena, memory + rounded - 1));
        memset(memory, 0xaa, rounded);
        secure_arena_release(arena, memory);
        assert_int_equal(secure_arena_used(arena), 0);
    }
}

static void contains_only_what_lies_inside(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = arena_of(ARENA_BYTES);
    const size_t capacity = secure_arena_capacity(arena);
    uint8_t *all = secure_arena_allocate(arena, capacity);
    int on_the_stack = 0;

    (void)state;
    assert_non_null(all);
    assert_true(secure_arena_contains(arena, all));
    assert_true(secure_arena_contains(arena, all + capacity - 1));
    assert_false(secure_arena_contains(arena, all - 1));
    assert_false(secure_arena_contains(arena, all + capacity));
    assert_false(secure_arena_contains(arena, NULL));
    assert_false(secure_arena_contains(arena, &on_the_stack));
    assert_false(secure_arena_contains(arena, arena));
    secure_arena_release(arena, all);
}

static void capacity_is_rounded_up_to_pages(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = arena_of(ARENA_BYTES + 1);

    (void)state;
    assert_int_equal(secure_arena_capacity(arena), ARENA_BYTES + page_size());
}

static void the_whole_capacity_can_be_used_and_not_a_page_more(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = arena_of(ARENA_BYTES);
    const size_t pages = secure_arena_capacity(arena) / page_size();
    void **memory = calloc(pages, sizeof *memory);

    (void)state;
    assert_non_null(memory);
    for (size_t i = 0; i < pages; i++) {
        memory[i] = secure_arena_allocate(arena, 1);
        assert_non_null(memory[i]);
    }
    assert_int_equal(secure_arena_used(arena), secure_arena_capacity(arena));
    assert_null(secure_arena_allocate(arena, 1));
    secure_arena_release(arena, memory[pages / 2]);
    memory[pages / 2] = secure_arena_allocate(arena, 1);
    assert_non_null(memory[pages / 2]);
    assert_null(secure_arena_allocate(arena, 1));
    for (size_t i = 0; i < pages; i++)
        secure_arena_release(arena, memory[i]);
    assert_int_equal(secure_arena_used(arena), 0);
    assert_int_equal(secure_arena_peak(arena), secure_arena_capacity(arena));
    free(memory);
}

static void sizes_over_the_capacity_are_refused(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = arena_of(ARENA_BYTES);
    const size_t capacity = secure_arena_capacity(arena);
    const size_t sizes[] = {
        capacity + 1, 2 * capacity, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - page_size() + 2,
        SIZE_MAX / 2};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++)
        assert_null(secure_arena_allocate(arena, sizes[i]));
    assert_int_equal(secure_arena_used(arena), 0);
    assert_int_equal(secure_arena_peak(arena), 0);
}

static void releasing_null_and_freeing_null_are_allowed(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = arena_of(ARENA_BYTES);

    (void)state;
    secure_arena_release(arena, NULL);
    secure_arena_free(NULL);
    assert_int_equal(secure_arena_used(arena), 0);
}

static void an_absurd_capacity_is_an_error(void **state)
{
    struct secure_arena *arena = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(secure_arena_new(SIZE_MAX, &arena, &err), -1);
    assert_true(error_is_set(&err));
    assert_null(arena);
}

static void released_memory_is_wiped_before_anybody_gets_it(void **state)
{
    const size_t sizes[] = {1, page_size(), 3 * page_size(), 64 * page_size(), 1000 * page_size()};
    CLEANUP(secure_arena_free) struct secure_arena *arena = arena_of(ARENA_BYTES);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        uint8_t *memory = secure_arena_allocate(arena, sizes[i]);
        size_t size;

        assert_non_null(memory);
        size = secure_arena_allocation_size(arena, memory);
        memset(memory, 0x5a, size);
        secure_arena_release(arena, memory);
        /* The arena is still mapped: this is what a memory dump would find. */
        assert_true(is_all(memory, 0, size));
    }
}

/* --- random operations against a model --- */

struct shadow {
    uint8_t *memory;
    size_t size; /* of the allocation, in bytes */
    uint8_t fill;
};

/* The longest run of pages that no allocation of the model covers. */
static size_t longest_free_run(const struct secure_arena *arena, const uint8_t *base,
                               const struct shadow *shadows, size_t count, bool *taken)
{
    const size_t pages = secure_arena_capacity(arena) / page_size();
    size_t longest = 0, run = 0;

    memset(taken, 0, pages * sizeof *taken);
    for (size_t i = 0; i < count; i++)
        for (size_t page = 0; page < shadows[i].size / page_size(); page++)
            taken[(size_t)(shadows[i].memory - base) / page_size() + page] = true;
    for (size_t page = 0; page < pages; page++) {
        run = taken[page] ? 0 : run + 1;
        longest = run > longest ? run : longest;
    }
    return longest;
}

static void check_shadow(const struct secure_arena *arena, const struct shadow *shadow)
{
    assert_int_equal(secure_arena_allocation_size(arena, shadow->memory), shadow->size);
    if (!is_all(shadow->memory, shadow->fill, shadow->size))
        fail_msg("an allocation of %zu bytes was overwritten", shadow->size);
}

static void random_operations_behave_as_the_model_says(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = arena_of(SECURE_ARENA_MINIMUM_BYTES);
    const size_t pages = secure_arena_capacity(arena) / page_size();
    struct pseudo_random random = {.state = 42};
    struct shadow shadows[600];
    size_t count = 0, used = 0, peak = 0, refused = 0;
    bool *taken = calloc(pages, sizeof *taken);
    uint8_t *base = secure_arena_allocate(arena, secure_arena_capacity(arena));

    (void)state;
    assert_non_null(taken);
    assert_non_null(base);
    secure_arena_release(arena, base);
    peak = secure_arena_capacity(arena);
    for (unsigned step = 0; step < 20000; step++) {
        if (count < ELEMENTS_OF(shadows) && pseudo_random_below(&random, 100) < 55) {
            const size_t most = pseudo_random_below(&random, 10) == 0 ? 100 : 6;
            const size_t size = 1 + pseudo_random_below(&random, most * page_size());
            const size_t rounded = (size + page_size() - 1) / page_size() * page_size();
            uint8_t *memory = secure_arena_allocate(arena, size);

            if (memory == NULL) {
                refused++;
                assert_true(longest_free_run(arena, base, shadows, count, taken) * page_size() <
                            size);
                continue;
            }
            assert_true(memory >= base && memory + rounded <= base + pages * page_size());
            assert_true(is_all(memory, 0, rounded));
            shadows[count] = (struct shadow){memory, rounded, (uint8_t)(step | 1)};
            memset(memory, shadows[count].fill, rounded);
            count++;
            used += rounded;
        } else if (count > 0) {
            const size_t chosen = pseudo_random_below(&random, count);

            check_shadow(arena, &shadows[chosen]);
            secure_arena_release(arena, shadows[chosen].memory);
            used -= shadows[chosen].size;
            shadows[chosen] = shadows[--count];
        }
        assert_int_equal(secure_arena_used(arena), used);
        assert_int_equal(secure_arena_peak(arena), peak);
    }
    assert_true(refused > 100);
    while (count > 0) {
        check_shadow(arena, &shadows[--count]);
        secure_arena_release(arena, shadows[count].memory);
    }
    assert_int_equal(secure_arena_used(arena), 0);
    free(taken);
}

static void the_peak_is_the_most_ever_used(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = arena_of(ARENA_BYTES);
    void *first = secure_arena_allocate(arena, 3 * page_size());
    void *second = secure_arena_allocate(arena, 4 * page_size());

    (void)state;
    assert_int_equal(secure_arena_peak(arena), 7 * page_size());
    secure_arena_release(arena, first);
    assert_int_equal(secure_arena_used(arena), 4 * page_size());
    first = secure_arena_allocate(arena, page_size());
    assert_int_equal(secure_arena_peak(arena), 7 * page_size());
    secure_arena_release(arena, first);
    secure_arena_release(arena, second);
}

/* --- many threads --- */

struct tenant {
    struct secure_arena *arena;
    pthread_t thread;
    uint8_t mark;
    unsigned wrong;
    unsigned refused;
};

static void *allocate_and_release(void *argument)
{
    struct tenant *tenant = argument;
    struct pseudo_random random = {.state = tenant->mark};

    for (int i = 0; i < FEWER_UNDER_TSAN(2000, 200); i++) {
        const size_t size = 1 + pseudo_random_below(&random, 20 * page_size());
        uint8_t *memory = secure_arena_allocate(tenant->arena, size);

        if (memory == NULL) {
            tenant->refused++;
            continue;
        }
        tenant->wrong += !is_all(memory, 0, size);
        memset(memory, tenant->mark, size);
        tenant->wrong += secure_arena_used(tenant->arena) < size;
        tenant->wrong += secure_arena_allocation_size(tenant->arena, memory) < size;
        tenant->wrong += !is_all(memory, tenant->mark, size);
        secure_arena_release(tenant->arena, memory);
    }
    return NULL;
}

static void many_threads_share_the_arena(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = arena_of(ARENA_BYTES);
    struct tenant tenants[8];

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(tenants); i++) {
        tenants[i] = (struct tenant){.arena = arena, .mark = (uint8_t)(i + 1)};
        assert_int_equal(
            pthread_create(&tenants[i].thread, NULL, allocate_and_release, &tenants[i]), 0);
    }
    for (size_t i = 0; i < ELEMENTS_OF(tenants); i++) {
        assert_int_equal(pthread_join(tenants[i].thread, NULL), 0);
        assert_int_equal(tenants[i].wrong, 0);
        assert_int_equal(tenants[i].refused, 0);
    }
    assert_int_equal(secure_arena_used(arena), 0);
    assert_true(secure_arena_peak(arena) <= secure_arena_capacity(arena));
}

/* --- what the kernel knows of it (see RUNS_UNDER_SANITIZER) --- */

#if !RUNS_UNDER_SANITIZER

/* The value of one field of smaps for the mapping that holds `address`, as text. */
static void read_smaps_field(const void *address, const char *field, char *ret, size_t size)
{
    CLEANUP(file_close) FILE *smaps = fopen("/proc/self/smaps", "re");
    char line[512];
    bool inside = false;

    ret[0] = '\0';
    if (smaps == NULL)
        return;
    while (fgets(line, sizeof line, smaps) != NULL) {
        unsigned long start, end;

        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            inside = (uintptr_t)address >= start && (uintptr_t)address < end;
        else if (inside && strncmp(line, field, strlen(field)) == 0)
            (void)snprintf(ret, size, "%s", line + strlen(field));
    }
}

static void the_kernel_locks_it_and_keeps_it_out_of_dumps_and_children(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = arena_of(ARENA_BYTES);
    uint8_t *memory = secure_arena_allocate(arena, 1);
    char flags[256];

    (void)state;
    read_smaps_field(memory, "VmFlags:", flags, sizeof flags);
    assert_non_null(strstr(flags, " lo ")); /* locked */
    assert_non_null(strstr(flags, " dd ")); /* not in core dumps */
    assert_non_null(strstr(flags, " dc ")); /* not inherited by fork */
    secure_arena_release(arena, memory);
}

static unsigned long resident_kib(const void *address)
{
    char text[64];

    read_smaps_field(address, "Rss:", text, sizeof text);
    return strtoul(text, NULL, 10);
}

static void pages_are_resident_only_while_they_are_used(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = arena_of(ARENA_BYTES);
    uint8_t *memory = secure_arena_allocate(arena, 2 * 1024 * 1024);

    (void)state;
    assert_true(resident_kib(memory) < 256);
    memset(memory, 1, 2 * 1024 * 1024);
    assert_true(resident_kib(memory) >= 2048);
    secure_arena_release(arena, memory);
    assert_true(resident_kib(memory) < 256);
}

static int touch(void *memory)
{
    unsigned char residency;

    /* DONTFORK: in the child there is no such mapping at all. */
    return mincore(memory, 1, &residency) == -1 && errno == ENOMEM ? 0 : 1;
}

static void a_child_does_not_have_it(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *arena = arena_of(ARENA_BYTES);
    void *memory = secure_arena_allocate(arena, 1);

    (void)state;
    assert_int_equal(run_in_child(touch, memory), 0);
    secure_arena_release(arena, memory);
}

#define NOBODY 65534

/* An ordinary user who may lock `bytes` of memory. */
static bool become_user_who_may_lock(size_t bytes)
{
    const struct rlimit limit = {bytes, bytes};

    return setrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
           (geteuid() != 0 ||
            (setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0));
}

struct lock_case {
    size_t may_lock;
    size_t wanted;
    size_t most;  /* capacity is at most this */
    size_t least; /* and at least this; 0: refused */
};

static int open_limited_arena(void *context)
{
    const struct lock_case *limits = context;
    struct secure_arena *arena = NULL;
    struct error err = ERROR_INIT;
    uint8_t *memory;

    if (!become_user_who_may_lock(limits->may_lock))
        return 10;
    if (secure_arena_new(limits->wanted, &arena, &err) < 0) {
        if (limits->least > 0)
            return 11;
        if (err.kind != ERROR_EXHAUSTED || err.errnum != EAGAIN)
            return 12;
        return strstr(err.message, "RLIMIT_MEMLOCK") == NULL ? 13 : 0;
    }
    if (limits->least == 0)
        return 14;
    if (secure_arena_capacity(arena) > limits->most || secure_arena_capacity(arena) < limits->least)
        return 15;
    memory = secure_arena_allocate(arena, secure_arena_capacity(arena));
    if (memory == NULL)
        return 16;
    memset(memory, 1, secure_arena_capacity(arena));
    if (resident_kib(memory) < secure_arena_capacity(arena) / 1024)
        return 17;
    secure_arena_release(arena, memory);
    secure_arena_free(arena);
    return 0;
}

#define MEBI ((size_t)1024 * 1024)

static void a_user_gets_what_the_lock_limit_allows(void **state)
{
    static const struct lock_case cases[] = {
        {.may_lock = 8 * MEBI, .wanted = 4 * MEBI, .most = 4 * MEBI, .least = 4 * MEBI},
        {.may_lock = 8 * MEBI, .wanted = 8 * MEBI, .most = 8 * MEBI, .least = 8 * MEBI},
        {.may_lock = 8 * MEBI, .wanted = 256 * MEBI, .most = 8 * MEBI, .least = 7 * MEBI},
        {.may_lock = 3 * MEBI + 5, .wanted = 64 * MEBI, .most = 3 * MEBI, .least = 3 * MEBI},
        {.may_lock = 2 * MEBI, .wanted = 64 * MEBI, .most = 2 * MEBI, .least = 2 * MEBI},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct lock_case limits = cases[i];

        assert_int_equal(run_in_child(open_limited_arena, &limits), 0);
    }
}

static void a_lock_limit_below_the_minimum_is_an_error_that_says_what_to_raise(void **state)
{
    static const size_t limits[] = {0, 4096, MEBI, 2 * MEBI - 4096};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(limits); i++) {
        struct lock_case refused = {.may_lock = limits[i], .wanted = 64 * MEBI, .least = 0};

        assert_int_equal(run_in_child(open_limited_arena, &refused), 0);
    }
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_page_aligned_zeroed_and_inside),
        cmocka_unit_test(contains_only_what_lies_inside),
        cmocka_unit_test(capacity_is_rounded_up_to_pages),
        cmocka_unit_test(the_whole_capacity_can_be_used_and_not_a_page_more),
        cmocka_unit_test(sizes_over_the_capacity_are_refused),
        cmocka_unit_test(releasing_null_and_freeing_null_are_allowed),
        cmocka_unit_test(an_absurd_capacity_is_an_error),
        cmocka_unit_test(released_memory_is_wiped_before_anybody_gets_it),
        cmocka_unit_test(random_operations_behave_as_the_model_says),
        cmocka_unit_test(the_peak_is_the_most_ever_used),
        cmocka_unit_test(many_threads_share_the_arena),
#if !RUNS_UNDER_SANITIZER
        cmocka_unit_test(the_kernel_locks_it_and_keeps_it_out_of_dumps_and_children),
        cmocka_unit_test(pages_are_resident_only_while_they_are_used),
        cmocka_unit_test(a_child_does_not_have_it),
        cmocka_unit_test(a_user_gets_what_the_lock_limit_allows),
        cmocka_unit_test(a_lock_limit_below_the_minimum_is_an_error_that_says_what_to_raise),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
