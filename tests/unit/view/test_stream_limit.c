/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/stream_limit.h"

#include "support/testing.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#define PLACES 3
#define THREADS 4
#define ROUNDS 2000

static void refuses_one_more_than_there_are_places(void **state)
{
    CLEANUP(stream_limit_free) struct stream_limit *limit = NULL;
    struct limit_use use;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(stream_limit_new(PLACES, &limit, &err));
    for (unsigned i = 0; i < PLACES; i++)
        assert_succeeds(stream_limit_take(limit, &err));
    assert_fails(ERROR_EXHAUSTED, stream_limit_take(limit, &err));
    assert_int_equal(err.errnum, EMFILE);
    assert_message_has("max_streams=3");
    stream_limit_use(limit, &use);
    assert_int_equal(use.limit, PLACES);
    assert_int_equal(use.used, PLACES);
    assert_int_equal(use.waiting, 0);
    stream_limit_give(limit);
    assert_succeeds(stream_limit_take(limit, &err));
}

static void no_limit_has_places_without_end(void **state)
{
    struct limit_use use;
    struct error err = ERROR_INIT;

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_succeeds(stream_limit_take(NULL, &err));
    stream_limit_give(NULL);
    stream_limit_use(NULL, &use);
    assert_int_equal(use.limit, 0);
    assert_int_equal(use.used, 0);
}

struct crowd {
    struct stream_limit *limit;
    atomic_uint inside;
    atomic_bool was_crowded;
};

static void *come_and_go(void *context)
{
    struct crowd *crowd = context;
    struct error ignored = ERROR_INIT;

    for (unsigned i = 0; i < ROUNDS; i++) {
        if (stream_limit_take(crowd->limit, &ignored) < 0)
            continue;
        if (atomic_fetch_add(&crowd->inside, 1) >= PLACES)
            atomic_store(&crowd->was_crowded, true);
        atomic_fetch_sub(&crowd->inside, 1);
        stream_limit_give(crowd->limit);
    }
    return NULL;
}

static void threads_never_share_a_place(void **state)
{
    CLEANUP(stream_limit_free) struct stream_limit *limit = NULL;
    struct crowd crowd = {.limit = NULL};
    pthread_t threads[THREADS];
    struct limit_use use;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(stream_limit_new(PLACES, &limit, &err));
    crowd.limit = limit;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &crowd), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_false(atomic_load(&crowd.was_crowded));
    stream_limit_use(limit, &use);
    assert_int_equal(use.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_one_more_than_there_are_places),
        cmocka_unit_test(no_limit_has_places_without_end),
        cmocka_unit_test(threads_never_share_a_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
