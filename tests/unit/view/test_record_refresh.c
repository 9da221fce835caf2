/* SPDX-License-Identifier: Apache-2.0 */
#include "view/record_refresh.h"

#include "base/clock.h"
#include "support/testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define GRACE_MS 200
#define QUESTIONS 2
#define PATIENCE_MS 10000
#define FOUND_SIZE 4711

/* An image service that answers as it is told. */
struct bed {
    struct record_refresh *refresh;
    atomic_bool hangs;    /* until it is not told so any more, or the question is cancelled */
    atomic_uint takes_ms; /* before it answers */
    atomic_int failure;   /* enum error_kind; ERROR_NONE: answers well */
    atomic_uint asked;
    atomic_uint answered;
    atomic_uint cancelled;
};

static int ask(void *context, const char *id, struct cancel *cancel, struct image_attributes *ret,
               struct error *err)
{
    struct bed *bed = context;
    const enum error_kind failure = (enum error_kind)atomic_load(&bed->failure);
    int result = 0;

    atomic_fetch_add(&bed->asked, 1);
    (void)usleep(1000 * atomic_load(&bed->takes_ms));
    while (atomic_load(&bed->hangs) && !cancel_is_requested(cancel))
        (void)usleep(1000);
    if (cancel_is_requested(cancel))
        atomic_fetch_add(&bed->cancelled, 1);
    *ret = (struct image_attributes){.size = FOUND_SIZE};
    (void)snprintf(ret->id, sizeof ret->id, "%s", id);
    if (cancel_check(cancel, err) < 0)
        result = -1;
    else if (failure != ERROR_NONE)
        result = error_set(err, failure, "told so");
    atomic_fetch_add(&bed->answered, 1);
    return result;
}

static int open_bed_with(void **state, const struct refresh_limits *limits)
{
    static struct bed bed;
    struct error err = ERROR_INIT;

    bed = (struct bed){.refresh = NULL};
    *state = &bed;
    return record_refresh_new("refresh", ask, &bed, limits, &bed.refresh, &err);
}

static int open_bed(void **state)
{
    static const struct refresh_limits limits = {
        .questions = QUESTIONS, .grace_ms = GRACE_MS, .longest_grace_ms = GRACE_MS};

    return open_bed_with(state, &limits);
}

/* Waits for up to ten seconds for a service that proved to take its time. */
static int open_patient_bed(void **state)
{
    static const struct refresh_limits limits = {
        .questions = QUESTIONS, .grace_ms = GRACE_MS, .longest_grace_ms = PATIENCE_MS};

    return open_bed_with(state, &limits);
}

static int close_bed(void **state)
{
    struct bed *bed = *state;

    record_refresh_free(bed->refresh);
    return 0;
}

struct outcome {
    enum record_refresh_result result;
    struct image_attributes attributes;
    struct error error;
    uint64_t took_ms;
};

static struct outcome start(struct bed *bed, struct cancel *cancel)
{
    const uint64_t begun_ns = clock_monotonic_ns();
    struct outcome outcome = {.error = ERROR_INIT};

    outcome.result =
        record_refresh_start(bed->refresh, IMAGE_ID, cancel, &outcome.attributes, &outcome.error);
    outcome.took_ms = (clock_monotonic_ns() - begun_ns) / NANOSECONDS_PER_MILLISECOND;
    return outcome;
}

static void wait_until(atomic_uint *counter, unsigned value)
{
    while (atomic_load(counter) < value)
        (void)usleep(1000);
}

/* The service answers again, and everything asked so far was answered and taken note of. */
static void let_it_answer(struct bed *bed)
{
    atomic_store(&bed->hangs, false);
    wait_until(&bed->answered, atomic_load(&bed->asked));
    (void)usleep(50000); /* the answer's own thread has to say so */
}

static void an_answer_in_time_is_the_result(void **state)
{
    struct bed *bed = *state;
    const struct outcome outcome = start(bed, NULL);

    assert_int_equal(outcome.result, RECORD_REFRESH_DONE);
    assert_string_equal(outcome.attributes.id, IMAGE_ID);
    assert_int_equal(outcome.attributes.size, FOUND_SIZE);
}

static void a_failure_in_time_says_why(void **state)
{
    static const enum error_kind kinds[] = {ERROR_NOT_FOUND, ERROR_DENIED, ERROR_UNAVAILABLE};
    struct bed *bed = *state;

    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++) {
        struct outcome outcome;

        atomic_store(&bed->failure, (int)kinds[i]);
        outcome = start(bed, NULL);
        assert_int_equal(outcome.result, RECORD_REFRESH_FAILED);
        assert_int_equal(outcome.error.kind, kinds[i]);
    }
}

static void only_what_did_not_answer_counts_as_an_outage(void **state)
{
    static const struct {
        enum error_kind kind;
        bool is_outage;
    } cases[] = {{ERROR_UNAVAILABLE, true}, {ERROR_TIMEOUT, true},    {ERROR_DENIED, false},
                 {ERROR_NOT_FOUND, false},  {ERROR_CANCELLED, false}, {ERROR_LOGIN, false}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct error err = ERROR_INIT;

        (void)error_set(&err, cases[i].kind, "told so");
        assert_int_equal(refresh_met_outage(&err), cases[i].is_outage);
    }
}

static void a_service_that_hangs_is_waited_for_once(void **state)
{
    struct bed *bed = *state;
    struct outcome outcome;

    atomic_store(&bed->hangs, true);
    outcome = start(bed, NULL);
    assert_int_equal(outcome.result, RECORD_REFRESH_LATE);
    assert_true(outcome.took_ms >= GRACE_MS);
    outcome = start(bed, NULL);
    assert_int_equal(outcome.result, RECORD_REFRESH_LATE);
    assert_true(outcome.took_ms < GRACE_MS);
    let_it_answer(bed);
}

static void no_more_questions_are_asked_than_may_be_open(void **state)
{
    struct bed *bed = *state;

    atomic_store(&bed->hangs, true);
    for (unsigned i = 0; i < QUESTIONS + 3; i++)
        assert_int_equal(start(bed, NULL).result, RECORD_REFRESH_LATE);
    wait_until(&bed->asked, QUESTIONS);
    assert_int_equal(atomic_load(&bed->asked), QUESTIONS);
    let_it_answer(bed);
    assert_int_equal(atomic_load(&bed->asked), QUESTIONS);
}

static void once_an_answer_came_in_time_answers_are_waited_for_again(void **state)
{
    struct bed *bed = *state;

    atomic_store(&bed->hangs, true);
    assert_int_equal(start(bed, NULL).result, RECORD_REFRESH_LATE);
    let_it_answer(bed);
    assert_int_equal(start(bed, NULL).result, RECORD_REFRESH_LATE); /* asks, and does not wait */
    let_it_answer(bed);
    assert_int_equal(start(bed, NULL).result, RECORD_REFRESH_DONE);
}

static void an_answer_that_is_late_is_waited_for_the_next_time(void **state)
{
    struct bed *bed = *state;

    atomic_store(&bed->takes_ms, GRACE_MS + 100);
    assert_int_equal(start(bed, NULL).result, RECORD_REFRESH_LATE);
    let_it_answer(bed);
    assert_int_equal(start(bed, NULL).result, RECORD_REFRESH_DONE);
}

static void where_patience_is_not_allowed_a_slow_service_stays_late(void **state)
{
    struct bed *bed = *state;

    atomic_store(&bed->takes_ms, GRACE_MS + 100);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(start(bed, NULL).result, RECORD_REFRESH_LATE);
        let_it_answer(bed);
    }
}

static void *cancel_soon(void *context)
{
    (void)usleep(20000);
    cancel_request(context);
    return NULL;
}

static void a_caller_who_gives_up_does_not_make_the_service_late(void **state)
{
    struct bed *bed = *state;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct outcome outcome;
    struct error err;
    pthread_t thread;

    assert_succeeds(cancel_new(&cancel, &err));
    atomic_store(&bed->hangs, true);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, cancel), 0);
    outcome = start(bed, cancel);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(outcome.result, RECORD_REFRESH_LATE);
    assert_true(outcome.took_ms < GRACE_MS);
    assert_int_equal(atomic_load(&bed->cancelled), 0);
    atomic_store(&bed->hangs, false);
    assert_int_equal(start(bed, NULL).result, RECORD_REFRESH_DONE);
}

static void freeing_ends_what_is_being_asked(void **state)
{
    struct bed *bed = *state;

    atomic_store(&bed->hangs, true);
    assert_int_equal(start(bed, NULL).result, RECORD_REFRESH_LATE);
    record_refresh_free(steal(&bed->refresh));
    assert_int_equal(atomic_load(&bed->cancelled), 1);
}

static void *ask_often(void *argument)
{
    for (unsigned i = 0; i < 200; i++)
        (void)start(argument, NULL);
    return NULL;
}

static void many_may_ask_at_a_time(void **state)
{
    struct bed *bed = *state;
    pthread_t threads[8];

    for (size_t i = 0; i < ELEMENTS_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, bed), 0);
    for (size_t i = 0; i < ELEMENTS_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(atomic_load(&bed->answered) > 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_bed, close_bed)
#define patient_test(name) cmocka_unit_test_setup_teardown(name, open_patient_bed, close_bed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(an_answer_in_time_is_the_result),
        test(a_failure_in_time_says_why),
        test(only_what_did_not_answer_counts_as_an_outage),
        test(a_service_that_hangs_is_waited_for_once),
        test(no_more_questions_are_asked_than_may_be_open),
        test(once_an_answer_came_in_time_answers_are_waited_for_again),
        patient_test(an_answer_that_is_late_is_waited_for_the_next_time),
        test(where_patience_is_not_allowed_a_slow_service_stays_late),
        test(a_caller_who_gives_up_does_not_make_the_service_late),
        test(freeing_ends_what_is_being_asked),
        test(many_may_ask_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
