/* SPDX-License-Identifier: Apache-2.0 */
/* The store between threads and between processes: who begins, reads, removes and looks at a time. */
#include "store_fixture.h"
#include "support/child_process.h"
#include "support/testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define HALF (STORE_SIZE / 2)
#define THREADS 4
#define PROCESSES 3

/* What several do at a time; threads count what they see, the test asserts on the counts. */
struct contest {
    const struct store_fixture *fixture;
    struct cancel *cancel;
    atomic_int holders;
    atomic_int published;
    atomic_int found_complete;
    atomic_int faults;
    atomic_bool is_over;
};

static void run_threads(struct contest *contest, void *(*function)(void *context))
{
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, function, contest), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static bool write_bytes(const struct partial_object *partial, size_t size)
{
    return pwrite(partial->data_fd, STORE_BYTES, size, 0) == (ssize_t)size;
}

/* Begins and publishes; leaves it half done when `present` was less than half. */
static int fetch_in_two_turns(const struct store_fixture *fixture, struct cancel *cancel,
                              atomic_int *holders, struct error *err)
{
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    bool is_alone;

    if (object_store_begin(fixture->layout, &fixture->metadata, NULL, cancel, &partial, err) < 0)
        return -1;
    is_alone = atomic_fetch_add(holders, 1) == 0;
    (void)usleep(2000);
    if (object_store_grant(partial, &fixture->metadata, err) < 0)
        return -1;
    if (partial->present < HALF) {
        (void)write_bytes(partial, HALF);
        atomic_fetch_sub(holders, 1);
        return is_alone ? 1 : error_set(err, ERROR_INVALID, "two have it in hand");
    }
    (void)write_bytes(partial, STORE_SIZE);
    atomic_fetch_sub(holders, 1);
    if (!is_alone)
        return error_set(err, ERROR_INVALID, "two have it in hand");
    return object_store_publish(fixture->layout, partial, &fixture->metadata, STORE_NOW_NS, cancel,
                                err);
}

static void *fetch_until_it_is_there(void *context)
{
    struct contest *contest = context;

    for (;;) {
        struct error err = ERROR_INIT;
        const int result = fetch_in_two_turns(contest->fixture, NULL, &contest->holders, &err);

        if (result > 0)
            continue;
        if (result == 0)
            atomic_fetch_add(&contest->published, 1);
        else if (err.kind == ERROR_EXISTS)
            atomic_fetch_add(&contest->found_complete, 1);
        else
            atomic_fetch_add(&contest->faults, 1);
        return NULL;
    }
}

/* One who waits for another download, and shows how far that is. */
struct waiting {
    const struct store_fixture *fixture;
    _Atomic uint64_t progress;
    uint64_t present;
};

static void *wait_for_the_other(void *context)
{
    struct waiting *waiting = context;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    const struct store_fixture *fixture = waiting->fixture;
    struct error err = ERROR_INIT;

    if (object_store_begin(fixture->layout, &fixture->metadata, &waiting->progress, NULL, &partial,
                           &err) == 0)
        waiting->present = partial->present;
    return NULL;
}

static void wait_until_shown(struct waiting *waiting, uint64_t bytes)
{
    while (atomic_load(&waiting->progress) != (CACHE_PROGRESS_WAITS | bytes))
        (void)usleep(1000);
}

static void who_waits_shows_what_the_other_has(void **state)
{
    const struct store_fixture *fixture = *state;
    struct waiting waiting = {.fixture = fixture};
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;
    pthread_t thread;

    assert_succeeds(
        object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
    assert_succeeds(object_store_grant(partial, &fixture->metadata, &err));
    assert_int_equal(pthread_create(&thread, NULL, wait_for_the_other, &waiting), 0);
    wait_until_shown(&waiting, 0);
    assert_true(write_bytes(partial, HALF));
    wait_until_shown(&waiting, HALF);
    partial_object_free(steal(&partial));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(waiting.progress, 0);
    assert_int_equal(waiting.present, HALF);
}

static void of_several_threads_one_downloads_at_a_time(void **state)
{
    struct contest contest = {.fixture = *state};

    run_threads(&contest, fetch_until_it_is_there);
    assert_int_equal(contest.faults, 0);
    assert_int_equal(contest.published, 1);
    assert_int_equal(contest.found_complete, THREADS - 1);
    assert_store_object_is_right(*state);
    assert_int_equal(store_count(*state, CACHE_PLACE_PARTIAL), 0);
    assert_int_equal(store_count(*state, CACHE_PLACE_TRASH), 0);
}

/* 1: published, 2: found complete, 3: neither. With a layout of its own, as another program has. */
static int fetch_in_a_process(const struct store_fixture *fixture)
{
    CLEANUP(cache_layout_free) struct cache_layout *layout = NULL;
    struct store_fixture own = *fixture;
    struct error err = ERROR_INIT;
    atomic_int holders = 0;
    int result;

    if (cache_layout_open(fixture->path, CACHE_COMMAND, &layout, &err) < 0)
        return 3;
    own.layout = layout;
    do
        result = fetch_in_two_turns(&own, NULL, &holders, &err);
    while (result > 0);
    if (result == 0)
        return 1;
    return err.kind == ERROR_EXISTS ? 2 : 3;
}

static void of_several_processes_one_downloads_at_a_time(void **state)
{
    const struct store_fixture *fixture = *state;
    unsigned results[4] = {0};
    pid_t children[PROCESSES];

    for (size_t i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            _exit(fetch_in_a_process(fixture));
    }
    for (size_t i = 0; i < PROCESSES; i++) {
        int status;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 4);
        results[WEXITSTATUS(status)]++;
    }
    assert_int_equal(results[1], 1);
    assert_int_equal(results[2], PROCESSES - 1);
    assert_store_object_is_right(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_PARTIAL), 0);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
}

static void *cancel_soon(void *context)
{
    (void)usleep(30000);
    cancel_request(((struct contest *)context)->cancel);
    return NULL;
}

static void waiting_for_another_download_ends_when_cancelled(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct partial_object *second = NULL;
    struct contest contest = {.fixture = fixture};
    struct error err = ERROR_INIT;
    pthread_t thread;

    assert_succeeds(cancel_new(&cancel, &err));
    contest.cancel = cancel;
    assert_succeeds(
        object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &contest), 0);
    assert_fails(ERROR_CANCELLED, object_store_begin(fixture->layout, &fixture->metadata, NULL,
                                                     cancel, &second, &err));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_null(second);
}

/* --- what a lock is worth when its holder dies --- */

static int begin_and_die(void *context)
{
    const struct store_fixture *fixture = context;
    struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    if (object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err) < 0 ||
        object_store_grant(partial, &fixture->metadata, &err) < 0 || !write_bytes(partial, HALF))
        return 1;
    _exit(0);
}

static void what_a_dead_process_left_is_resumed(void **state)
{
    struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(run_in_child(begin_and_die, fixture), 0);
    assert_false(object_store_is_in_use(fixture->layout, CACHE_PLACE_PARTIAL, STORE_NAME));
    assert_succeeds(
        object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
    assert_int_equal(partial->present, HALF);
}

/* --- everything at once --- */

static void *read_until_it_is_over(void *context)
{
    struct contest *contest = context;

    while (!atomic_load(&contest->is_over)) {
        CLEANUP(fd_close) int fd = -1;
        struct error err = ERROR_INIT;
        char bytes[STORE_SIZE];

        if (object_store_open(contest->fixture->layout, STORE_NAME, STORE_NOW_NS, &fd, NULL, &err) <
            0)
            atomic_fetch_add(&contest->faults, err.kind != ERROR_NOT_FOUND);
        else if (pread(fd, bytes, sizeof bytes, 0) != (ssize_t)STORE_SIZE ||
                 memcmp(bytes, STORE_BYTES, STORE_SIZE) != 0)
            atomic_fetch_add(&contest->faults, 1);
        else
            atomic_fetch_add(&contest->found_complete, 1);
    }
    return NULL;
}

static void *fetch_until_it_is_over(void *context)
{
    struct contest *contest = context;
    atomic_int holders = 0;

    while (!atomic_load(&contest->is_over)) {
        struct error err = ERROR_INIT;

        if (fetch_in_two_turns(contest->fixture, NULL, &holders, &err) < 0)
            atomic_fetch_add(&contest->faults, err.kind != ERROR_EXISTS);
    }
    return NULL;
}

static void *look_until_it_is_over(void *context)
{
    struct contest *contest = context;

    while (!atomic_load(&contest->is_over)) {
        CLEANUP(stored_object_list_free) struct stored_object_list *list = NULL;
        struct error err = ERROR_INIT;

        if (object_store_list(contest->fixture->layout, NULL, NULL, &list, &err) < 0)
            atomic_fetch_add(&contest->faults, 1);
        (void)object_store_is_in_use(contest->fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME);
        (void)object_store_is_in_use(contest->fixture->layout, CACHE_PLACE_PARTIAL, STORE_NAME);
    }
    return NULL;
}

/* Counts what it removed in `published`. */
static void *remove_until_it_is_over(void *context)
{
    struct contest *contest = context;

    while (!atomic_load(&contest->is_over)) {
        static const enum cache_place places[] = {CACHE_PLACE_OBJECTS, CACHE_PLACE_PARTIAL};

        for (size_t i = 0; i < ELEMENTS_OF(places); i++) {
            CLEANUP(fd_close) int lock = -1;
            struct error err = ERROR_INIT;

            if (cache_layout_lock(contest->fixture->layout, NULL, &lock, &err) < 0)
                atomic_fetch_add(&contest->faults, 1);
            else if (object_store_discard(contest->fixture->layout, places[i], STORE_NAME, &err) ==
                     0)
                atomic_fetch_add(&contest->published, 1);
            else
                atomic_fetch_add(&contest->faults,
                                 err.kind != ERROR_BUSY && err.kind != ERROR_NOT_FOUND);
        }
        object_store_empty_trash(contest->fixture->layout);
        (void)usleep(1000);
    }
    return NULL;
}

static void readers_downloaders_and_removers_do_not_harm_each_other(void **state)
{
    static void *(*const functions[])(void *) = {read_until_it_is_over, fetch_until_it_is_over,
                                                 fetch_until_it_is_over, look_until_it_is_over,
                                                 remove_until_it_is_over};
    struct contest contest = {.fixture = *state};
    pthread_t threads[ELEMENTS_OF(functions)];

    for (size_t i = 0; i < ELEMENTS_OF(functions); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, functions[i], &contest), 0);
    for (int turn = 0; turn < 500 && (atomic_load(&contest.published) < 20 ||
                                      atomic_load(&contest.found_complete) < 20);
         turn++)
        (void)usleep(20000);
    atomic_store(&contest.is_over, true);
    for (size_t i = 0; i < ELEMENTS_OF(functions); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(contest.faults, 0);
    assert_true(contest.published >= 20);
    assert_true(contest.found_complete >= 20);
    object_store_empty_trash(contest.fixture->layout);
    assert_int_equal(store_count(*state, CACHE_PLACE_TRASH), 0);
}

#define store_test(name)                                                                           \
    cmocka_unit_test_setup_teardown(name, open_store_fixture, close_store_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(who_waits_shows_what_the_other_has),
        store_test(of_several_threads_one_downloads_at_a_time),
        store_test(of_several_processes_one_downloads_at_a_time),
        store_test(waiting_for_another_download_ends_when_cancelled),
        store_test(what_a_dead_process_left_is_resumed),
        store_test(readers_downloaders_and_removers_do_not_harm_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
