/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/cancel.h"

#include "support/testing.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

struct counter {
    atomic_uint calls;
};

static void count(void *context)
{
    atomic_fetch_add(&((struct counter *)context)->calls, 1);
}

static unsigned calls_of(struct counter *counter)
{
    return atomic_load(&counter->calls);
}

static void a_new_token_is_not_cancelled(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(cancel_new(&cancel, &err));
    assert_false(cancel_is_requested(cancel));
    assert_succeeds(cancel_check(cancel, &err));
}

static void null_is_never_cancelled(void **state)
{
    struct counter counter = {0};
    struct cancel_listener listener = {.wake = count, .context = &counter};
    struct error err = ERROR_INIT;

    (void)state;
    assert_false(cancel_is_requested(NULL));
    assert_succeeds(cancel_check(NULL, &err));
    assert_null(cancel_ref(NULL));
    cancel_unref(NULL);
    cancel_listen(NULL, &listener);
    cancel_unlisten(NULL, &listener);
    assert_int_equal(calls_of(&counter), 0);
}

static void a_cancelled_token_stays_so_and_reports_eintr(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    cancel_request(cancel);
    assert_true(cancel_is_requested(cancel));
    for (int i = 0; i < 3; i++) {
        assert_fails(ERROR_CANCELLED, cancel_check(cancel, &err));
        assert_int_equal(err.errnum, EINTR);
    }
}

static void the_last_reference_frees(void **state)
{
    struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(cancel_new(&cancel, &err));
    assert_ptr_equal(cancel_ref(cancel), cancel);
    cancel_unref(cancel);
    cancel_request(cancel);
    assert_true(cancel_is_requested(cancel));
    cancel_unref(cancel);
}

static void every_listener_is_called_once(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct counter counters[5] = {0};
    struct cancel_listener listeners[5];
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(cancel_new(&cancel, &err));
    for (size_t i = 0; i < 5; i++) {
        listeners[i] = (struct cancel_listener){.wake = count, .context = &counters[i]};
        cancel_listen(cancel, &listeners[i]);
    }
    cancel_request(cancel);
    cancel_request(cancel);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(calls_of(&counters[i]), 1);
        cancel_unlisten(cancel, &listeners[i]);
        assert_int_equal(calls_of(&counters[i]), 1);
    }
}

static void a_listener_that_comes_late_is_called_at_once(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct counter counter = {0};
    struct cancel_listener listener = {.wake = count, .context = &counter};
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    cancel_listen(cancel, &listener);
    assert_int_equal(calls_of(&counter), 1);
    cancel_request(cancel);
    assert_int_equal(calls_of(&counter), 1);
    cancel_unlisten(cancel, &listener);
}

/* First, last and middle one withdrawn: the others must stay in the list, these out of it. */
static void a_withdrawn_listener_is_never_called(void **state)
{
    (void)state;
    for (size_t withdrawn = 0; withdrawn < 3; withdrawn++) {
        CLEANUP(cancel_unref) struct cancel *cancel = NULL;
        struct counter counters[3] = {0};
        struct cancel_listener listeners[3];
        struct error err = ERROR_INIT;

        assert_succeeds(cancel_new(&cancel, &err));
        for (size_t i = 0; i < 3; i++) {
            listeners[i] = (struct cancel_listener){.wake = count, .context = &counters[i]};
            cancel_listen(cancel, &listeners[i]);
        }
        cancel_unlisten(cancel, &listeners[withdrawn]);
        cancel_request(cancel);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(calls_of(&counters[i]), i == withdrawn ? 0 : 1);
            if (i != withdrawn)
                cancel_unlisten(cancel, &listeners[i]);
        }
    }
}

static void a_listener_may_register_again(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct counter counter = {0};
    struct cancel_listener listener = {.wake = count, .context = &counter};
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(cancel_new(&cancel, &err));
    for (int i = 0; i < 10; i++) {
        cancel_listen(cancel, &listener);
        cancel_unlisten(cancel, &listener);
    }
    cancel_listen(cancel, &listener);
    cancel_request(cancel);
    assert_int_equal(calls_of(&counter), 1);
    cancel_unlisten(cancel, &listener);
}

/* --- many threads --- */

enum { THREADS = 8, ROUNDS = 300 };

struct crowd {
    struct cancel *cancel;
    pthread_barrier_t start;
    atomic_uint wrong; /* what assertions in other threads would have found */
};

/* Listens with stack memory and withdraws: a wake call after unlisten would write to a dead
 * counter, which the sanitizers see and the number of calls shows. */
static void *listen_and_leave(void *argument)
{
    struct crowd *crowd = argument;

    (void)pthread_barrier_wait(&crowd->start);
    for (int i = 0; i < 50; i++) {
        struct counter counter = {0};
        struct cancel_listener listener = {.wake = count, .context = &counter};
        bool requested_before = cancel_is_requested(crowd->cancel);

        cancel_listen(crowd->cancel, &listener);
        if (requested_before && calls_of(&counter) != 1)
            atomic_fetch_add(&crowd->wrong, 1);
        cancel_unlisten(crowd->cancel, &listener);
        if (calls_of(&counter) > 1)
            atomic_fetch_add(&crowd->wrong, 1);
    }
    cancel_unref(crowd->cancel);
    return NULL;
}

static void *request(void *argument)
{
    struct crowd *crowd = argument;

    (void)pthread_barrier_wait(&crowd->start);
    cancel_request(crowd->cancel);
    cancel_unref(crowd->cancel);
    return NULL;
}

static void run_crowd(void)
{
    struct crowd crowd = {.wrong = 0};
    pthread_t threads[THREADS];
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&crowd.cancel, &err));
    assert_int_equal(pthread_barrier_init(&crowd.start, NULL, THREADS), 0);
    for (size_t i = 0; i < THREADS; i++) {
        (void)cancel_ref(crowd.cancel);
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < 2 ? request : listen_and_leave, &crowd), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(cancel_is_requested(crowd.cancel));
    cancel_unref(crowd.cancel);
    (void)pthread_barrier_destroy(&crowd.start);
    assert_int_equal(atomic_load(&crowd.wrong), 0);
}

static void listeners_and_requests_of_many_threads_go_together(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++)
        run_crowd();
}

struct blocked_wake {
    struct cancel *cancel;
    struct cancel_listener listener;
    atomic_bool in_wake;
    atomic_bool leave_wake;
    atomic_bool unlistened;
};

static void wake_slowly(void *context)
{
    struct blocked_wake *blocked = context;

    atomic_store(&blocked->in_wake, true);
    while (!atomic_load(&blocked->leave_wake))
        continue;
}

static void *request_blocked(void *argument)
{
    cancel_request(((struct blocked_wake *)argument)->cancel);
    return NULL;
}

static void *unlisten_blocked(void *argument)
{
    struct blocked_wake *blocked = argument;

    cancel_unlisten(blocked->cancel, &blocked->listener);
    atomic_store(&blocked->unlistened, true);
    return NULL;
}

static void unlisten_waits_for_a_wake_that_runs(void **state)
{
    struct blocked_wake blocked = {0};
    pthread_t requester, leaver;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(cancel_new(&blocked.cancel, &err));
    blocked.listener = (struct cancel_listener){.wake = wake_slowly, .context = &blocked};
    cancel_listen(blocked.cancel, &blocked.listener);
    assert_int_equal(pthread_create(&requester, NULL, request_blocked, &blocked), 0);
    while (!atomic_load(&blocked.in_wake))
        continue;
    assert_int_equal(pthread_create(&leaver, NULL, unlisten_blocked, &blocked), 0);
    for (int i = 0; i < 20; i++) {
        const struct timespec pause = {.tv_nsec = 1000000};

        (void)nanosleep(&pause, NULL);
        assert_false(atomic_load(&blocked.unlistened));
    }
    atomic_store(&blocked.leave_wake, true);
    assert_int_equal(pthread_join(requester, NULL), 0);
    assert_int_equal(pthread_join(leaver, NULL), 0);
    assert_true(atomic_load(&blocked.unlistened));
    cancel_unref(blocked.cancel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_token_is_not_cancelled),
        cmocka_unit_test(null_is_never_cancelled),
        cmocka_unit_test(a_cancelled_token_stays_so_and_reports_eintr),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(every_listener_is_called_once),
        cmocka_unit_test(a_listener_that_comes_late_is_called_at_once),
        cmocka_unit_test(a_withdrawn_listener_is_never_called),
        cmocka_unit_test(a_listener_may_register_again),
        cmocka_unit_test(listeners_and_requests_of_many_threads_go_together),
        cmocka_unit_test(unlisten_waits_for_a_wake_that_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
