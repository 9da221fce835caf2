/* SPDX-License-Identifier: Apache-2.0 */
#include "base/monitor.h"

#include "base/clock.h"
#include "support/testing.h"

#include <time.h>

/* A room with a door: waiters wait until it opens or their own token is cancelled. */
struct room {
    struct monitor monitor;
    bool open;
    unsigned inside; /* threads between enter and leave, not waiting */
    unsigned waiting;
    unsigned crowded;   /* times two were inside at once */
    unsigned passed;    /* saw the door open */
    unsigned cancelled; /* left for their token */
};

struct visitor {
    struct room *room;
    struct cancel *cancel;
    pthread_t thread;
};

static void sleep_milliseconds(long milliseconds)
{
    const struct timespec span = {.tv_nsec = milliseconds * 1000000};

    (void)nanosleep(&span, NULL);
}

static void *visit(void *argument)
{
    const struct visitor *visitor = argument;
    struct room *room = visitor->room;
    struct monitor_waiter waiter;

    monitor_enter(&room->monitor, visitor->cancel, &waiter);
    room->crowded += room->inside++;
    while (!room->open && !cancel_is_requested(visitor->cancel)) {
        room->inside--;
        room->waiting++;
        monitor_wait(&room->monitor);
        room->waiting--;
        room->crowded += room->inside++;
    }
    room->passed += room->open;
    room->cancelled += !room->open;
    room->inside--;
    monitor_leave(&room->monitor, visitor->cancel, &waiter);
    return NULL;
}

static void send_in(struct visitor *visitor, struct room *room, bool has_token)
{
    struct error err = ERROR_INIT;

    visitor->room = room;
    visitor->cancel = NULL;
    if (has_token)
        assert_succeeds(cancel_new(&visitor->cancel, &err));
    assert_int_equal(pthread_create(&visitor->thread, NULL, visit, visitor), 0);
}

static void fetch_back(struct visitor *visitor)
{
    assert_int_equal(pthread_join(visitor->thread, NULL), 0);
    cancel_unref(visitor->cancel);
}

static void await_waiters(struct room *room, unsigned count)
{
    for (unsigned seen = 0; seen < count;) {
        monitor_lock(&room->monitor);
        seen = room->waiting;
        monitor_unlock(&room->monitor);
        sleep_milliseconds(1);
    }
}

static void open_door(struct room *room)
{
    monitor_lock(&room->monitor);
    room->open = true;
    monitor_changed(&room->monitor);
    monitor_unlock(&room->monitor);
}

static void a_change_wakes_every_waiter(void **state)
{
    struct room room = {0};
    struct visitor visitors[6];

    (void)state;
    monitor_init(&room.monitor);
    for (size_t i = 0; i < 6; i++)
        send_in(&visitors[i], &room, i % 2 == 0);
    await_waiters(&room, 6);
    open_door(&room);
    for (size_t i = 0; i < 6; i++)
        fetch_back(&visitors[i]);
    assert_int_equal(room.passed, 6);
    assert_int_equal(room.crowded, 0);
    monitor_destroy(&room.monitor);
}

static void a_cancelled_token_ends_its_waiter_and_no_other(void **state)
{
    struct room room = {0};
    struct visitor visitors[3];
    uint64_t start;

    (void)state;
    monitor_init(&room.monitor);
    for (size_t i = 0; i < 3; i++)
        send_in(&visitors[i], &room, i < 2);
    await_waiters(&room, 3);
    start = clock_monotonic_ns();
    cancel_request(visitors[0].cancel);
    fetch_back(&visitors[0]);
    assert_true(clock_monotonic_ns() - start < NANOSECONDS_PER_SECOND);
    sleep_milliseconds(10);
    monitor_lock(&room.monitor);
    assert_int_equal(room.cancelled, 1);
    assert_int_equal(room.passed, 0);
    monitor_unlock(&room.monitor);
    open_door(&room);
    fetch_back(&visitors[1]);
    fetch_back(&visitors[2]);
    assert_int_equal(room.passed, 2);
    monitor_destroy(&room.monitor);
}

static void a_token_cancelled_before_never_waits(void **state)
{
    struct room room = {0};
    struct visitor visitor = {.room = &room};
    struct error err = ERROR_INIT;

    (void)state;
    monitor_init(&room.monitor);
    assert_succeeds(cancel_new(&visitor.cancel, &err));
    cancel_request(visitor.cancel);
    (void)visit(&visitor);
    assert_int_equal(room.cancelled, 1);
    cancel_unref(visitor.cancel);
    monitor_destroy(&room.monitor);
}

/* The request comes at every moment of enter, test, wait and leave: no wake-up may be lost. */
static void no_cancellation_is_lost_in_any_race(void **state)
{
    struct room room = {0};

    (void)state;
    monitor_init(&room.monitor);
    for (unsigned round = 0; round < 500; round++) {
        struct visitor visitor;

        send_in(&visitor, &room, true);
        for (volatile unsigned spin = 0; spin < round * 100; spin++)
            continue;
        cancel_request(visitor.cancel);
        fetch_back(&visitor);
        assert_int_equal(room.cancelled, round + 1);
    }
    monitor_destroy(&room.monitor);
}

static void a_wait_ends_at_its_deadline(void **state)
{
    const uint64_t start = clock_monotonic_ns();
    const uint64_t deadline = start + 50 * NANOSECONDS_PER_SECOND / 1000;
    struct monitor monitor;

    (void)state;
    monitor_init(&monitor);
    monitor_lock(&monitor);
    while (clock_monotonic_ns() < deadline)
        monitor_wait_until(&monitor, deadline);
    /* One that has passed does not wait at all. */
    monitor_wait_until(&monitor, start);
    monitor_wait_until(&monitor, 0);
    monitor_unlock(&monitor);
    assert_true(clock_monotonic_ns() - start < 10 * NANOSECONDS_PER_SECOND);
    monitor_destroy(&monitor);
}

static void *open_door_later(void *argument)
{
    sleep_milliseconds(30);
    open_door(argument);
    return NULL;
}

static void a_change_ends_a_wait_before_its_deadline(void **state)
{
    const uint64_t deadline = clock_monotonic_ns() + 60 * NANOSECONDS_PER_SECOND;
    struct room room = {0};
    pthread_t opener;

    (void)state;
    monitor_init(&room.monitor);
    assert_int_equal(pthread_create(&opener, NULL, open_door_later, &room), 0);
    monitor_lock(&room.monitor);
    while (!room.open && clock_monotonic_ns() < deadline)
        monitor_wait_until(&room.monitor, deadline);
    monitor_unlock(&room.monitor);
    assert_int_equal(pthread_join(opener, NULL), 0);
    assert_true(clock_monotonic_ns() < deadline);
    monitor_destroy(&room.monitor);
}

struct tally {
    struct monitor monitor;
    unsigned long value;
};

static void *add(void *argument)
{
    struct tally *tally = argument;

    for (int i = 0; i < 20000; i++) {
        monitor_lock(&tally->monitor);
        tally->value++;
        monitor_unlock(&tally->monitor);
    }
    return NULL;
}

static void the_lock_excludes(void **state)
{
    struct tally tally = {0};
    pthread_t threads[4];

    (void)state;
    monitor_init(&tally.monitor);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add, &tally), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(tally.value, 80000);
    monitor_destroy(&tally.monitor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_wakes_every_waiter),
        cmocka_unit_test(a_cancelled_token_ends_its_waiter_and_no_other),
        cmocka_unit_test(a_token_cancelled_before_never_waits),
        cmocka_unit_test(no_cancellation_is_lost_in_any_race),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(a_change_ends_a_wait_before_its_deadline),
        cmocka_unit_test(the_lock_excludes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
