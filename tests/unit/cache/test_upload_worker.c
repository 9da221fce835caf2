/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/upload_worker.h"

#include "base/clock.h"
#include "support/delay.h"
#include "support/testing.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define FIRST_ID "00000000-0000-4000-8000-000000000001"
#define SECOND_ID "00000000-0000-4000-8000-000000000002"
#define THIRD_ID "00000000-0000-4000-8000-000000000003"
#define IDS 4

static void sleep_milliseconds(long milliseconds)
{
    const struct timespec span = {.tv_nsec = milliseconds * 1000000};

    (void)nanosleep(&span, NULL);
}

/* What the worker works on here; everything is guarded by the mutex. */
struct work {
    pthread_mutex_t mutex;
    char listed[IDS][UUID_TEXT_BYTES];
    size_t listed_count;
    bool fails_listing;
    unsigned wanted[IDS];   /* attempts each id needs, by its last digit */
    unsigned attempts[IDS]; /* made so far */
    unsigned running[IDS];
    unsigned at_once;
    unsigned most_at_once;
    bool doubled; /* two attempts for one id at a time */
    unsigned delay_ms;
    unsigned tidied;
    unsigned attempts_before_tidying;
    bool tidied_during_work;
};

static size_t index_of(const char *id)
{
    return (size_t)(id[UUID_TEXT_BYTES - 2] - '0');
}

static int list(void *context, char (**ret)[UUID_TEXT_BYTES], size_t *ret_count, struct error *err)
{
    struct work *work = context;
    char(*ids)[UUID_TEXT_BYTES] = calloc(IDS, sizeof *ids);

    if (ids == NULL)
        abort();
    (void)pthread_mutex_lock(&work->mutex);
    if (work->fails_listing) {
        (void)pthread_mutex_unlock(&work->mutex);
        free(ids);
        return error_set(err, ERROR_SYSTEM, "no listing");
    }
    memcpy(ids, work->listed, sizeof work->listed);
    *ret_count = work->listed_count;
    (void)pthread_mutex_unlock(&work->mutex);
    *ret = ids;
    return 0;
}

static bool attempt(void *context, const char *id, struct cancel *cancel)
{
    const size_t i = index_of(id);
    struct work *work = context;
    struct error ignored = ERROR_INIT;
    bool should_follow;

    (void)pthread_mutex_lock(&work->mutex);
    work->attempts[i]++;
    work->doubled |= ++work->running[i] > 1;
    if (++work->at_once > work->most_at_once)
        work->most_at_once = work->at_once;
    (void)pthread_mutex_unlock(&work->mutex);
    (void)delay(work->delay_ms, cancel, &ignored);
    (void)pthread_mutex_lock(&work->mutex);
    work->running[i]--;
    work->at_once--;
    should_follow = work->attempts[i] < work->wanted[i];
    (void)pthread_mutex_unlock(&work->mutex);
    return should_follow;
}

/* Takes its time, as a sweep does whose services are slow. */
static void tidy(void *context)
{
    struct work *work = context;

    (void)pthread_mutex_lock(&work->mutex);
    if (work->tidied++ == 0)
        work->attempts_before_tidying = work->attempts[1];
    work->tidied_during_work |= work->at_once > 0;
    (void)pthread_mutex_unlock(&work->mutex);
    sleep_milliseconds(50);
}

static unsigned attempts_of(struct work *work, const char *id)
{
    unsigned attempts;

    (void)pthread_mutex_lock(&work->mutex);
    attempts = work->attempts[index_of(id)];
    (void)pthread_mutex_unlock(&work->mutex);
    return attempts;
}

static void wait_for_attempts(struct work *work, const char *id, unsigned attempts)
{
    for (int i = 0; i < 5000 && attempts_of(work, id) < attempts; i++)
        sleep_milliseconds(1);
    assert_true(attempts_of(work, id) >= attempts);
}

static void list_id(struct work *work, const char *id)
{
    (void)pthread_mutex_lock(&work->mutex);
    memcpy(work->listed[work->listed_count++], id, UUID_TEXT_BYTES);
    (void)pthread_mutex_unlock(&work->mutex);
}

static struct upload_worker *start_threads(struct work *work, unsigned threads, unsigned first_ms,
                                           unsigned last_ms)
{
    const struct upload_worker_parts parts = {.list = list,
                                              .attempt = attempt,
                                              .tidy = tidy,
                                              .context = work,
                                              .first_retry_ms = first_ms,
                                              .last_retry_ms = last_ms,
                                              .threads = threads};
    struct upload_worker *worker = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(upload_worker_new(&parts, &worker, &err));
    return worker;
}

static struct upload_worker *start(struct work *work, unsigned first_ms, unsigned last_ms)
{
    return start_threads(work, 2, first_ms, last_ms);
}

static int open_work(void **state)
{
    struct work *work = calloc(1, sizeof *work);

    *state = work;
    return work == NULL ? -1 : pthread_mutex_init(&work->mutex, NULL);
}

static int close_work(void **state)
{
    struct work *work = *state;

    (void)pthread_mutex_destroy(&work->mutex);
    free(work);
    return 0;
}

static void works_on_what_is_listed_at_the_start(void **state)
{
    struct work *work = *state;
    struct upload_worker *worker;

    list_id(work, FIRST_ID);
    list_id(work, SECOND_ID);
    worker = start(work, 1000, 100000);
    wait_for_attempts(work, FIRST_ID, 1);
    wait_for_attempts(work, SECOND_ID, 1);
    upload_worker_free(worker);
}

static unsigned times_tidied(struct work *work)
{
    unsigned tidied;

    (void)pthread_mutex_lock(&work->mutex);
    tidied = work->tidied;
    (void)pthread_mutex_unlock(&work->mutex);
    return tidied;
}

static void tidies_up_after_the_work(void **state)
{
    struct work *work = *state;
    struct upload_worker *worker;

    list_id(work, FIRST_ID);
    work->delay_ms = 20;
    worker = start(work, 1000, 100000);
    for (int i = 0; i < 5000 && times_tidied(work) == 0; i++)
        sleep_milliseconds(1);
    upload_worker_free(worker);
    assert_int_equal(work->tidied, 1);
    assert_true(work->attempts_before_tidying > 0);
    assert_false(work->tidied_during_work);
}

static void works_while_it_tidies_up(void **state)
{
    struct work *work = *state;
    CLEANUP(upload_worker_free) struct upload_worker *worker = start(work, 1000, 100000);

    for (int i = 0; i < 5000 && times_tidied(work) == 0; i++)
        sleep_milliseconds(1);
    upload_worker_add(worker, FIRST_ID);
    wait_for_attempts(work, FIRST_ID, 1);
    assert_int_equal(times_tidied(work), 1);
}

static void works_on_what_is_added_at_once(void **state)
{
    struct work *work = *state;
    CLEANUP(upload_worker_free) struct upload_worker *worker = start(work, 1000, 100000);

    sleep_milliseconds(20);
    upload_worker_add(worker, FIRST_ID);
    wait_for_attempts(work, FIRST_ID, 1);
}

static void finds_in_time_what_others_added(void **state)
{
    struct work *work = *state;
    struct upload_worker *worker = start(work, 1, 10);

    sleep_milliseconds(20);
    list_id(work, FIRST_ID);
    wait_for_attempts(work, FIRST_ID, 1);
    upload_worker_free(worker);
}

static void a_listing_that_fails_is_repeated(void **state)
{
    struct work *work = *state;
    struct upload_worker *worker;

    work->fails_listing = true;
    list_id(work, FIRST_ID);
    worker = start(work, 1, 10);
    sleep_milliseconds(30);
    (void)pthread_mutex_lock(&work->mutex);
    work->fails_listing = false;
    (void)pthread_mutex_unlock(&work->mutex);
    wait_for_attempts(work, FIRST_ID, 1);
    upload_worker_free(worker);
}

static void attempts_follow_until_none_is_wanted(void **state)
{
    struct work *work = *state;
    CLEANUP(upload_worker_free) struct upload_worker *worker = NULL;

    work->wanted[index_of(FIRST_ID)] = 5;
    worker = start(work, 1, 1000000);
    upload_worker_add(worker, FIRST_ID);
    wait_for_attempts(work, FIRST_ID, 5);
    sleep_milliseconds(50);
    assert_int_equal(attempts_of(work, FIRST_ID), 5);
}

static void waiting_ids_hold_no_thread(void **state)
{
    struct work *work = *state;
    CLEANUP(upload_worker_free) struct upload_worker *worker = NULL;

    work->wanted[index_of(FIRST_ID)] = 100;
    work->wanted[index_of(SECOND_ID)] = 100;
    worker = start(work, 100000, 100000);
    upload_worker_add(worker, FIRST_ID);
    upload_worker_add(worker, SECOND_ID);
    wait_for_attempts(work, FIRST_ID, 1);
    wait_for_attempts(work, SECOND_ID, 1);
    upload_worker_add(worker, THIRD_ID);
    wait_for_attempts(work, THIRD_ID, 1);
    assert_int_equal(attempts_of(work, FIRST_ID), 1);
}

static void adding_makes_a_waiting_id_due(void **state)
{
    struct work *work = *state;
    CLEANUP(upload_worker_free) struct upload_worker *worker = NULL;

    work->wanted[index_of(FIRST_ID)] = 2;
    worker = start(work, 100000, 100000);
    upload_worker_add(worker, FIRST_ID);
    wait_for_attempts(work, FIRST_ID, 1);
    sleep_milliseconds(20);
    upload_worker_add(worker, FIRST_ID);
    wait_for_attempts(work, FIRST_ID, 2);
}

static void one_attempt_per_id_and_two_in_all_run_at_a_time(void **state)
{
    struct work *work = *state;
    CLEANUP(upload_worker_free) struct upload_worker *worker = NULL;

    work->delay_ms = 3;
    for (size_t i = 0; i < IDS; i++)
        work->wanted[i] = 20;
    worker = start(work, 1, 2);
    for (int i = 0; i < 10; i++) {
        upload_worker_add(worker, FIRST_ID);
        upload_worker_add(worker, SECOND_ID);
        upload_worker_add(worker, THIRD_ID);
        sleep_milliseconds(1);
    }
    wait_for_attempts(work, FIRST_ID, 20);
    wait_for_attempts(work, SECOND_ID, 20);
    wait_for_attempts(work, THIRD_ID, 20);
    (void)pthread_mutex_lock(&work->mutex);
    assert_false(work->doubled);
    assert_int_equal(work->most_at_once, 2);
    (void)pthread_mutex_unlock(&work->mutex);
}

static void what_is_due_waits_for_the_only_thread(void **state)
{
    struct work *work = *state;
    CLEANUP(upload_worker_free) struct upload_worker *worker = NULL;
    struct limit_use use = {.limit = 0};

    work->delay_ms = 3600000;
    worker = start_threads(work, 1, 1, 2);
    upload_worker_add(worker, FIRST_ID);
    upload_worker_add(worker, SECOND_ID);
    upload_worker_add(worker, THIRD_ID);
    for (int i = 0; i < 5000 && (use.used != 1 || use.waiting != 2); i++) {
        sleep_milliseconds(1);
        upload_worker_use(worker, &use);
    }
    assert_int_equal(use.limit, 1);
    assert_int_equal(use.used, 1);
    assert_int_equal(use.waiting, 2);
}

static void what_is_added_during_its_attempt_is_tried_again(void **state)
{
    struct work *work = *state;
    CLEANUP(upload_worker_free) struct upload_worker *worker = NULL;

    work->delay_ms = 30;
    worker = start(work, 100000, 100000);
    upload_worker_add(worker, FIRST_ID);
    wait_for_attempts(work, FIRST_ID, 1);
    upload_worker_add(worker, FIRST_ID);
    wait_for_attempts(work, FIRST_ID, 2);
}

static void freeing_cuts_an_attempt_short(void **state)
{
    struct work *work = *state;
    struct upload_worker *worker;
    uint64_t begun_ns;

    work->delay_ms = 60000;
    worker = start(work, 1, 1);
    upload_worker_add(worker, FIRST_ID);
    wait_for_attempts(work, FIRST_ID, 1);
    begun_ns = clock_monotonic_ns();
    upload_worker_free(worker);
    assert_true(clock_monotonic_ns() - begun_ns < NANOSECONDS_PER_SECOND / 2);
}

static void null_can_be_freed(void **state)
{
    (void)state;
    upload_worker_free(NULL);
}

#define worker_test(name) cmocka_unit_test_setup_teardown(name, open_work, close_work)

int main(void)
{
    const struct CMUnitTest tests[] = {
        worker_test(works_on_what_is_listed_at_the_start),
        worker_test(tidies_up_after_the_work),
        worker_test(works_while_it_tidies_up),
        worker_test(works_on_what_is_added_at_once),
        worker_test(finds_in_time_what_others_added),
        worker_test(a_listing_that_fails_is_repeated),
        worker_test(attempts_follow_until_none_is_wanted),
        worker_test(waiting_ids_hold_no_thread),
        worker_test(adding_makes_a_waiting_id_due),
        worker_test(one_attempt_per_id_and_two_in_all_run_at_a_time),
        worker_test(what_is_due_waits_for_the_only_thread),
        worker_test(what_is_added_during_its_attempt_is_tried_again),
        worker_test(freeing_cuts_an_attempt_short),
        cmocka_unit_test(null_can_be_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
