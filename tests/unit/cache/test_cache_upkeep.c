/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_upkeep.h"

#include "base/clock.h"
#include "base/monitor.h"
#include "cache/wall_clock.h"
#include "space_fixture.h"
#include "support/testing.h"

#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#define SIZE KIBIBYTES(16)

/* How many minutes have to pass without waiting, and how long one would have been. */
static atomic_uint skipped_waits;
static _Atomic uint64_t waited_ns;

void __real_monitor_wait_until(struct monitor *monitor, uint64_t deadline_ns);
void __wrap_monitor_wait_until(struct monitor *monitor, uint64_t deadline_ns);
uint64_t __real_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void);

/* The time that was skipped has passed. */
uint64_t __wrap_clock_monotonic_ns(void)
{
    return __real_clock_monotonic_ns() + atomic_load(&waited_ns);
}

void __wrap_monitor_wait_until(struct monitor *monitor, uint64_t deadline_ns)
{
    if (atomic_load(&skipped_waits) == 0) {
        __real_monitor_wait_until(monitor, deadline_ns);
        return;
    }
    atomic_fetch_sub(&skipped_waits, 1);
    atomic_fetch_add(&waited_ns, deadline_ns - clock_monotonic_ns());
}

static int open_fixture(void **state)
{
    atomic_store(&skipped_waits, 0);
    atomic_store(&waited_ns, 0);
    return space_fixture_open(state);
}

static void wait_until_gone(const struct space_fixture *fixture, unsigned number)
{
    while (space_fixture_has(fixture, CACHE_PLACE_OBJECTS, number))
        (void)usleep(1000);
}

static void what_is_too_old_goes_at_the_start(void **state)
{
    struct space_fixture *fixture = *state;
    CLEANUP(cache_upkeep_free) struct cache_upkeep *upkeep = NULL;
    const int64_t today = wall_clock_ns();
    struct error err = ERROR_INIT;

    space_fixture_put(fixture, 1, SIZE, today - SECONDS(7200));
    space_fixture_put(fixture, 2, SIZE, today);
    fixture->space.limits.max_age_seconds = 3600;
    assert_succeeds(cache_upkeep_new(&fixture->space, &upkeep, &err));
    wait_until_gone(fixture, 1);
    cache_upkeep_free(steal(&upkeep));
    assert_true(space_fixture_has(fixture, CACHE_PLACE_OBJECTS, 2));
}

static void it_looks_once_a_minute(void **state)
{
    struct space_fixture *fixture = *state;
    CLEANUP(cache_upkeep_free) struct cache_upkeep *upkeep = NULL;
    struct error err = ERROR_INIT;

    atomic_store(&skipped_waits, 3);
    assert_succeeds(cache_upkeep_new(&fixture->space, &upkeep, &err));
    while (atomic_load(&skipped_waits) > 0)
        (void)usleep(1000);
    cache_upkeep_free(steal(&upkeep));
    assert_true(atomic_load(&waited_ns) > 150 * NANOSECONDS_PER_SECOND);
    assert_true(atomic_load(&waited_ns) <= 180 * NANOSECONDS_PER_SECOND);
}

/* The reader lets go after the first look: a later one finds the object. */
static void what_could_not_go_goes_a_minute_later(void **state)
{
    struct space_fixture *fixture = *state;
    CLEANUP(cache_upkeep_free) struct cache_upkeep *upkeep = NULL;
    struct error err = ERROR_INIT;

    fixture->space.limits.max_size = (struct cache_limit){.bytes = 1};
    space_fixture_put(fixture, 1, SIZE, NOW);
    CLEANUP(fd_close) int reader = space_fixture_read(fixture, 1, NOW);
    atomic_store(&skipped_waits, UINT32_MAX);
    assert_succeeds(cache_upkeep_new(&fixture->space, &upkeep, &err));
    while (atomic_load(&skipped_waits) > UINT32_MAX - 2)
        (void)usleep(1000);
    assert_true(space_fixture_has(fixture, CACHE_PLACE_OBJECTS, 1));
    (void)close(steal_fd(&reader));
    wait_until_gone(fixture, 1);
    atomic_store(&skipped_waits, 0);
}

static void it_ends_at_once(void **state)
{
    struct space_fixture *fixture = *state;
    const uint64_t start_ns = clock_monotonic_ns();
    struct error err = ERROR_INIT;

    for (int i = 0; i < 20; i++) {
        struct cache_upkeep *upkeep = NULL;

        assert_succeeds(cache_upkeep_new(&fixture->space, &upkeep, &err));
        cache_upkeep_free(upkeep);
    }
    assert_true(clock_monotonic_ns() - start_ns < 30 * NANOSECONDS_PER_SECOND);
    cache_upkeep_free(NULL);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_fixture, space_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(what_is_too_old_goes_at_the_start),
        test(it_looks_once_a_minute),
        test(what_could_not_go_goes_a_minute_later),
        test(it_ends_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
