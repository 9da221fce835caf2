/* SPDX-License-Identifier: Apache-2.0 */
/* Many callers at once: one fetch, hand-over, cancellation, and nobody waits for another's image. */
#include "glancefs/ciphertext_cache.h"

#include "base/clock.h"
#include "cache_fixture.h"
#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/delay.h"
#include "support/fake_image_service.h"
#include "support/memory_sink.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MILLISECONDS(n) ((n)*NANOSECONDS_PER_SECOND / 1000)

/* One caller of ciphertext_cache_open in a thread of its own. */
struct caller {
    const struct cache_fixture *fixture;
    struct image_record *record; /* borrowed */
    struct cancel *cancel;
    struct memory_sink_record observed;
    pthread_t thread;
    struct byte_source *source;
    uint64_t done_ns; /* when the call returned */
    struct error err;
    int result;
    atomic_bool done;
};

static void *call_open(void *argument)
{
    struct caller *caller = argument;
    struct byte_sink *observer = memory_sink_new(&caller->observed, NULL);

    caller->result = ciphertext_cache_open(caller->fixture->cache, caller->record, observer,
                                           caller->cancel, &caller->source, &caller->err);
    caller->done_ns = clock_monotonic_ns();
    atomic_store(&caller->done, true);
    byte_sink_free(observer);
    return NULL;
}

static void start(struct caller *caller, const struct cache_fixture *fixture,
                  struct image_record *record)
{
    struct error err = ERROR_INIT;

    caller->fixture = fixture;
    caller->record = record;
    if (caller->cancel == NULL)
        assert_succeeds(cancel_new(&caller->cancel, &err));
    assert_int_equal(pthread_create(&caller->thread, NULL, call_open, caller), 0);
}

static void join(struct caller *caller)
{
    assert_int_equal(pthread_join(caller->thread, NULL), 0);
}

static void clear(struct caller *caller)
{
    byte_source_free(caller->source);
    cancel_unref(caller->cancel);
    memory_sink_record_clear(&caller->observed);
}

static void pause_ms(unsigned milliseconds)
{
    struct error err = ERROR_INIT;

    (void)delay(milliseconds, NULL, &err);
}

static void await_running_download(struct cache_fixture *fixture)
{
    for (int i = 0; i < 30000 && fake_image_service_running(fixture->images) == 0; i++)
        pause_ms(1);
    assert_int_equal(fake_image_service_running(fixture->images), 1);
}

static void assert_served(struct caller *caller, const uint8_t *bytes, size_t size)
{
    if (caller->result != 0)
        fail_msg("open failed: %s", caller->err.message);
    assert_int_equal(caller->observed.commits, 1);
    assert_int_equal(caller->observed.aborts, 0);
    assert_int_equal(caller->observed.size, size);
    assert_memory_equal(caller->observed.bytes, bytes, size);
    assert_source_is(caller->source, bytes, size);
}

static void assert_left(struct caller *caller, uint64_t since_ns)
{
    assert_int_equal(caller->result, -1);
    assert_int_equal(caller->err.kind, ERROR_CANCELLED);
    assert_null(caller->source);
    assert_int_equal(caller->observed.commits, 0);
    assert_int_equal(caller->observed.aborts, 1);
    assert_true(caller->done_ns - since_ns < MILLISECONDS(1000));
}

/* Some 2.6 MB in pieces of 64 KiB: 41 delays. */
static void slow_down(struct cache_fixture *fixture, unsigned delay_ms)
{
    const struct fake_download download = {.delay_ms = delay_ms};

    fake_image_service_misbehave(fixture->images, IMAGE_ID, &download);
}

static void many_callers_share_one_fetch(void **state)
{
    struct cache_fixture *fixture = *state;
    struct caller callers[8] = {0};

    slow_down(fixture, 5);
    for (size_t i = 0; i < ELEMENTS_OF(callers); i++)
        start(&callers[i], fixture, fixture->record);
    for (size_t i = 0; i < ELEMENTS_OF(callers); i++)
        join(&callers[i]);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
    assert_int_equal(fake_image_service_bytes(fixture->images), fixture->size);
    for (size_t i = 0; i < ELEMENTS_OF(callers); i++) {
        assert_served(&callers[i], fixture->bytes, fixture->size);
        clear(&callers[i]);
    }
    assert_int_equal(cache_fixture_files(fixture), 1);
}

static void the_next_caller_takes_over_from_a_cancelled_one(void **state)
{
    struct cache_fixture *fixture = *state;
    struct caller first = {0}, second = {0};
    uint64_t cancelled_ns;

    slow_down(fixture, 20);
    start(&first, fixture, fixture->record);
    await_running_download(fixture);
    start(&second, fixture, fixture->record);
    pause_ms(50);
    slow_down(fixture, 0);
    cancelled_ns = clock_monotonic_ns();
    cancel_request(first.cancel);
    join(&first);
    join(&second);
    assert_left(&first, cancelled_ns);
    assert_served(&second, fixture->bytes, fixture->size);
    assert_int_equal(fake_image_service_downloads(fixture->images), 2);
    assert_int_equal(cache_fixture_files(fixture), 1);
    clear(&first);
    clear(&second);
}

static void a_cancelled_waiter_leaves_and_the_fetch_goes_on(void **state)
{
    struct cache_fixture *fixture = *state;
    struct caller first = {0}, second = {0};
    uint64_t cancelled_ns;
    bool first_was_done;

    slow_down(fixture, 40);
    start(&first, fixture, fixture->record);
    await_running_download(fixture);
    start(&second, fixture, fixture->record);
    pause_ms(50);
    cancelled_ns = clock_monotonic_ns();
    cancel_request(second.cancel);
    join(&second);
    first_was_done = atomic_load(&first.done);
    join(&first);
    assert_left(&second, cancelled_ns);
    assert_false(first_was_done);
    assert_served(&first, fixture->bytes, fixture->size);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
    clear(&first);
    clear(&second);
}

/* The interrupt may be there before the wait begins. */
static void a_waiter_that_was_cancelled_before_it_came_does_not_wait(void **state)
{
    struct cache_fixture *fixture = *state;
    struct caller first = {0}, second = {0};
    struct error err = ERROR_INIT;
    uint64_t came_ns;
    bool first_was_done;

    slow_down(fixture, 40);
    start(&first, fixture, fixture->record);
    await_running_download(fixture);
    assert_succeeds(cancel_new(&second.cancel, &err));
    cancel_request(second.cancel);
    came_ns = clock_monotonic_ns();
    start(&second, fixture, fixture->record);
    join(&second);
    first_was_done = atomic_load(&first.done);
    cancel_request(first.cancel);
    join(&first);
    assert_left(&second, came_ns);
    assert_false(first_was_done);
    clear(&first);
    clear(&second);
}

static void all_callers_cancelled_leave_a_cache_that_works(void **state)
{
    struct cache_fixture *fixture = *state;
    struct caller callers[4] = {0};

    slow_down(fixture, 40);
    for (size_t i = 0; i < ELEMENTS_OF(callers); i++)
        start(&callers[i], fixture, fixture->record);
    await_running_download(fixture);
    pause_ms(20);
    for (size_t i = 0; i < ELEMENTS_OF(callers); i++)
        cancel_request(callers[i].cancel);
    for (size_t i = 0; i < ELEMENTS_OF(callers); i++) {
        join(&callers[i]);
        assert_int_equal(callers[i].err.kind, ERROR_CANCELLED);
        assert_int_equal(callers[i].observed.aborts, 1);
        clear(&callers[i]);
    }
    assert_int_equal(cache_fixture_files(fixture), 0);
    slow_down(fixture, 0);
    assert_opens_soundly(fixture);
}

static void a_failed_fetch_is_tried_by_the_next_caller(void **state)
{
    const struct fake_download download = {
        .delay_ms = 10, .fails = true, .fail_at = MIB, .failures = 1};
    struct cache_fixture *fixture = *state;
    struct caller first = {0}, second = {0};

    fake_image_service_misbehave(fixture->images, IMAGE_ID, &download);
    start(&first, fixture, fixture->record);
    await_running_download(fixture);
    start(&second, fixture, fixture->record);
    join(&first);
    join(&second);
    assert_int_equal(first.result, -1);
    assert_int_equal(first.err.kind, ERROR_UNAVAILABLE);
    assert_served(&second, fixture->bytes, fixture->size);
    assert_int_equal(fake_image_service_downloads(fixture->images), 2);
    clear(&first);
    clear(&second);
}

static void one_slow_image_holds_up_no_other(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct caller slow = {0}, quick = {0};
    struct error err = ERROR_INIT;
    bool slow_was_done;

    fake_image_service_put(fixture->images, OTHER_ID, fixture->bytes, 2 * MIB);
    assert_succeeds(image_service_get(fixture->images, OTHER_ID, NULL, &record, &err));
    slow_down(fixture, 100);
    start(&slow, fixture, fixture->record);
    await_running_download(fixture);
    start(&quick, fixture, record);
    join(&quick);
    slow_was_done = atomic_load(&slow.done);
    cancel_request(slow.cancel);
    join(&slow);
    assert_false(slow_was_done);
    assert_served(&quick, fixture->bytes, 2 * MIB);
    assert_false(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_true(ciphertext_cache_has(fixture->cache, record));
    clear(&slow);
    clear(&quick);
}

/* --- many readers --- */

struct reader {
    struct cache_fixture *fixture;
    struct byte_source *source; /* shared, or NULL for one of its own */
    pthread_t thread;
    uint64_t seed;
    unsigned wrong;   /* reads with wrong bytes or of a wrong size */
    unsigned failed;  /* calls that failed */
    unsigned corrupt; /* of these, with ERROR_CORRUPT */
    unsigned succeeded;
};

static void count_failure(struct reader *reader, const struct error *err)
{
    reader->failed++;
    reader->corrupt += err->kind == ERROR_CORRUPT;
}

static void read_at_random(struct reader *reader, struct byte_source *source, int times,
                           uint8_t *buffer)
{
    struct pseudo_random random = {.state = reader->seed};
    const struct cache_fixture *fixture = reader->fixture;

    for (int i = 0; i < times; i++) {
        const size_t offset = pseudo_random_below(&random, fixture->size);
        const size_t wanted = 1 + pseudo_random_below(&random, 300000);
        const size_t left = fixture->size - offset;
        struct error err = ERROR_INIT;
        size_t got;

        if (byte_source_pread(source, buffer, wanted, offset, NULL, &got, &err) < 0) {
            count_failure(reader, &err);
            continue;
        }
        reader->wrong += got != (wanted < left ? wanted : left) ||
                         memcmp(buffer, fixture->bytes + offset, got) != 0;
        reader->succeeded++;
    }
}

static void *run_reader(void *argument)
{
    struct reader *reader = argument;
    struct byte_source *own = NULL;
    uint8_t *buffer = malloc(300000);
    struct error err = ERROR_INIT;

    if (reader->source == NULL &&
        ciphertext_cache_open(reader->fixture->cache, reader->fixture->record, NULL, NULL, &own,
                              &err) < 0)
        count_failure(reader, &err);
    else
        read_at_random(reader, own == NULL ? reader->source : own, 60, buffer);
    byte_source_free(own);
    free(buffer);
    return NULL;
}

static void read_by_many(struct cache_fixture *fixture, struct byte_source *shared)
{
    struct reader readers[6] = {0};

    for (size_t i = 0; i < ELEMENTS_OF(readers); i++) {
        readers[i] = (struct reader){.fixture = fixture, .source = shared, .seed = i};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, run_reader, &readers[i]), 0);
    }
    for (size_t i = 0; i < ELEMENTS_OF(readers); i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_int_equal(readers[i].wrong, 0);
        assert_int_equal(readers[i].failed, 0);
        assert_int_equal(readers[i].succeeded, 60);
    }
}

static void readers_with_sources_of_their_own_get_the_bytes(void **state)
{
    read_by_many(*state, NULL);
    assert_int_equal(fake_image_service_downloads(((struct cache_fixture *)*state)->images), 1);
}

static void readers_of_one_source_get_the_bytes(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(*state);

    read_by_many(*state, source);
}

/* --- readers while the disk goes bad --- */

static void *open_and_read_often(void *argument)
{
    struct reader *reader = argument;
    uint8_t *buffer = malloc(300000);

    for (int i = 0; i < 15; i++) {
        CLEANUP(byte_source_free) struct byte_source *source = NULL;
        struct error err = ERROR_INIT;

        if (ciphertext_cache_open(reader->fixture->cache, reader->fixture->record, NULL, NULL,
                                  &source, &err) < 0)
            count_failure(reader, &err);
        else
            read_at_random(reader, source, 6, buffer);
    }
    free(buffer);
    return NULL;
}

/* Harms the object, when there is one, at a random place. */
static void harm(const struct cache_fixture *fixture, struct pseudo_random *random)
{
    CLEANUP(memory_free) char *path = cache_fixture_object(fixture, fixture->record);
    CLEANUP(fd_close) int fd = open(path, O_RDWR | O_CLOEXEC);
    const size_t offset = pseudo_random_below(random, fixture->size);
    const uint8_t byte = (uint8_t)(fixture->bytes[offset] ^ 0x80);

    if (fd >= 0)
        (void)!pwrite(fd, &byte, 1, (off_t)offset);
}

/* Property: whatever happens to the files, a byte that is read is the right one. */
static void no_byte_is_ever_wrong_while_the_disk_goes_bad(void **state)
{
    struct cache_fixture *fixture = *state;
    struct pseudo_random random = {.state = 5};
    struct reader readers[4] = {0};
    unsigned corrupt = 0;

    for (size_t i = 0; i < ELEMENTS_OF(readers); i++) {
        readers[i] = (struct reader){.fixture = fixture, .seed = i};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, open_and_read_often, &readers[i]),
                         0);
    }
    for (int i = 0; i < 60; i++) {
        pause_ms(5);
        harm(fixture, &random);
    }
    for (size_t i = 0; i < ELEMENTS_OF(readers); i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_int_equal(readers[i].wrong, 0);
        assert_int_equal(readers[i].failed, readers[i].corrupt);
        corrupt += readers[i].corrupt;
    }
    assert_true(corrupt > 0);
    /* What is left on disk may be harmed; one failing open removes it. */
    {
        struct byte_source *source = NULL;
        CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
        CLEANUP(byte_sink_free) struct byte_sink *observer = memory_sink_new(&observed, NULL);
        struct error err = ERROR_INIT;

        if (ciphertext_cache_open(fixture->cache, fixture->record, observer, NULL, &source, &err) ==
            0)
            byte_source_free(source);
    }
    assert_opens_soundly(fixture);
}

#define with_cache(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, cache_fixture_open, cache_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_cache(many_callers_share_one_fetch),
        with_cache(the_next_caller_takes_over_from_a_cancelled_one),
        with_cache(a_cancelled_waiter_leaves_and_the_fetch_goes_on),
        with_cache(a_waiter_that_was_cancelled_before_it_came_does_not_wait),
        with_cache(all_callers_cancelled_leave_a_cache_that_works),
        with_cache(a_failed_fetch_is_tried_by_the_next_caller),
        with_cache(one_slow_image_holds_up_no_other),
        with_cache(readers_with_sources_of_their_own_get_the_bytes),
        with_cache(readers_of_one_source_get_the_bytes),
        with_cache(no_byte_is_ever_wrong_while_the_disk_goes_bad),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
