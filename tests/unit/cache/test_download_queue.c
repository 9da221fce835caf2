/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/download_queue.h"

#include "base/clock.h"
#include "support/testing.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define LIMIT 2
#define GUESTS 3
#define WAIT_MS 30000
#define LONG_MS (UINT64_C(3600) * 1000)

/* --- a clock that a wait turns forward to its end --- */

uint64_t __real_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void);
void __real_monitor_wait_until(struct monitor *monitor, uint64_t deadline_ns);
void __wrap_monitor_wait_until(struct monitor *monitor, uint64_t deadline_ns);

static uint64_t faked_ns; /* 0: the real time */

uint64_t __wrap_clock_monotonic_ns(void)
{
    return faked_ns != 0 ? faked_ns : __real_clock_monotonic_ns();
}

void __wrap_monitor_wait_until(struct monitor *monitor, uint64_t deadline_ns)
{
    if (faked_ns != 0)
        faked_ns = deadline_ns;
    else
        __real_monitor_wait_until(monitor, deadline_ns);
}

/* --- guests --- */

/* One who comes for a turn on a thread of his own. */
struct guest {
    struct download_queue *queue;
    struct cancel *cancel;
    pthread_t thread;
    int result;
    struct error err;
    atomic_bool is_answered;
};

struct bed {
    struct download_queue queue;
    struct guest guests[GUESTS];
};

static void sleep_a_moment(void)
{
    const struct timespec span = {.tv_nsec = 1000000};

    (void)nanosleep(&span, NULL);
}

static void *come(void *context)
{
    struct guest *guest = context;

    guest->result = download_queue_enter(guest->queue, guest->cancel, &guest->err);
    atomic_store(&guest->is_answered, true);
    return NULL;
}

static struct limit_use use_of(struct bed *bed)
{
    struct limit_use use;

    download_queue_use(&bed->queue, &use);
    return use;
}

static void wait_for_line(struct bed *bed, unsigned waiting)
{
    for (int i = 0; i < 5000 && use_of(bed).waiting != waiting; i++)
        sleep_a_moment();
    assert_int_equal(use_of(bed).waiting, waiting);
}

/* He stands in line when this returns, behind `before` others. */
static struct guest *line_up(struct bed *bed, unsigned before)
{
    struct guest *guest = &bed->guests[before];
    struct error err = ERROR_INIT;

    guest->queue = &bed->queue;
    assert_succeeds(cancel_new(&guest->cancel, &err));
    assert_int_equal(pthread_create(&guest->thread, NULL, come, guest), 0);
    wait_for_line(bed, before + 1);
    return guest;
}

static int answer_of(struct guest *guest)
{
    assert_int_equal(pthread_join(guest->thread, NULL), 0);
    cancel_unref(steal(&guest->cancel));
    return guest->result;
}

static void fill(struct bed *bed, uint64_t wait_ms)
{
    struct error err = ERROR_INIT;

    download_queue_init(&bed->queue, LIMIT, wait_ms);
    for (unsigned i = 0; i < LIMIT; i++)
        assert_succeeds(download_queue_enter(&bed->queue, NULL, &err));
}

static int open_bed(void **state)
{
    faked_ns = 0;
    *state = calloc(1, sizeof(struct bed));
    return *state == NULL ? -1 : 0;
}

/* Every test leaves an empty queue. */
static int close_bed(void **state)
{
    struct bed *bed = *state;
    const struct limit_use use = use_of(bed);

    download_queue_destroy(&bed->queue);
    free(bed);
    return use.used == 0 && use.waiting == 0 ? 0 : -1;
}

static void leave(struct bed *bed, unsigned turns)
{
    for (unsigned i = 0; i < turns; i++)
        download_queue_leave(&bed->queue);
}

/* --- tests --- */

static void nobody_waits_without_a_limit(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    download_queue_init(&bed->queue, 0, 0);
    for (unsigned i = 0; i < 100; i++)
        assert_succeeds(download_queue_enter(&bed->queue, NULL, &err));
    assert_int_equal(use_of(bed).used, 100);
    assert_int_equal(use_of(bed).limit, 0);
    leave(bed, 100);
}

static void counts_turns_and_those_who_wait(void **state)
{
    struct bed *bed = *state;
    struct guest *guest;

    fill(bed, LONG_MS);
    assert_int_equal(use_of(bed).limit, LIMIT);
    assert_int_equal(use_of(bed).used, LIMIT);
    assert_int_equal(use_of(bed).waiting, 0);
    guest = line_up(bed, 0);
    assert_int_equal(use_of(bed).used, LIMIT);
    assert_false(atomic_load(&guest->is_answered));
    leave(bed, 1);
    assert_int_equal(answer_of(guest), 0);
    assert_int_equal(use_of(bed).used, LIMIT);
    assert_int_equal(use_of(bed).waiting, 0);
    leave(bed, LIMIT);
}

static void turns_come_in_the_order_of_arrival(void **state)
{
    struct bed *bed = *state;

    fill(bed, LONG_MS);
    for (unsigned i = 0; i < GUESTS; i++)
        (void)line_up(bed, i);
    for (unsigned i = 0; i < GUESTS; i++) {
        leave(bed, 1);
        assert_int_equal(answer_of(&bed->guests[i]), 0);
        for (unsigned later = i + 1; later < GUESTS; later++)
            assert_false(atomic_load(&bed->guests[later].is_answered));
    }
    leave(bed, LIMIT);
}

static void two_turns_that_end_at_once_let_two_in(void **state)
{
    struct bed *bed = *state;
    struct guest *first;
    struct guest *second;

    fill(bed, LONG_MS);
    first = line_up(bed, 0);
    second = line_up(bed, 1);
    leave(bed, LIMIT);
    assert_int_equal(answer_of(first), 0);
    assert_int_equal(answer_of(second), 0);
    leave(bed, LIMIT);
}

static void refuses_whose_turn_did_not_come_in_time(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    fill(bed, WAIT_MS);
    faked_ns = NANOSECONDS_PER_SECOND;
    assert_fails(ERROR_EXHAUSTED, download_queue_enter(&bed->queue, NULL, &err));
    assert_int_equal(faked_ns, NANOSECONDS_PER_SECOND + WAIT_MS * NANOSECONDS_PER_MILLISECOND);
    assert_int_equal(err.errnum, EAGAIN);
    assert_message_has("max_downloads=2");
    assert_message_has("30 s");
    assert_int_equal(use_of(bed).used, LIMIT);
    leave(bed, LIMIT);
}

static void a_turn_that_is_free_needs_no_time(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    fill(bed, 0);
    assert_fails(ERROR_EXHAUSTED, download_queue_enter(&bed->queue, NULL, &err));
    leave(bed, 1);
    err = (struct error)ERROR_INIT;
    assert_succeeds(download_queue_enter(&bed->queue, NULL, &err));
    leave(bed, LIMIT);
}

static void a_cancelled_guest_leaves_and_the_next_one_moves_up(void **state)
{
    struct bed *bed = *state;
    struct guest *first;
    struct guest *second;

    fill(bed, LONG_MS);
    first = line_up(bed, 0);
    second = line_up(bed, 1);
    cancel_request(first->cancel);
    assert_int_equal(answer_of(first), -1);
    assert_int_equal(first->err.kind, ERROR_CANCELLED);
    wait_for_line(bed, 1);
    leave(bed, 1);
    assert_int_equal(answer_of(second), 0);
    leave(bed, LIMIT);
}

static void a_guest_who_was_cancelled_before_gets_no_turn(void **state)
{
    struct bed *bed = *state;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;

    download_queue_init(&bed->queue, LIMIT, LONG_MS);
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, download_queue_enter(&bed->queue, cancel, &err));
    assert_int_equal(use_of(bed).used, 0);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, open_bed, close_bed)
    const struct CMUnitTest tests[] = {
        test(nobody_waits_without_a_limit),
        test(counts_turns_and_those_who_wait),
        test(turns_come_in_the_order_of_arrival),
        test(two_turns_that_end_at_once_let_two_in),
        test(refuses_whose_turn_did_not_come_in_time),
        test(a_turn_that_is_free_needs_no_time),
        test(a_cancelled_guest_leaves_and_the_next_one_moves_up),
        test(a_guest_who_was_cancelled_before_gets_no_turn),
    };
#undef test

    return cmocka_run_group_tests(tests, NULL, NULL);
}
