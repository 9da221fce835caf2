/* SPDX-License-Identifier: Apache-2.0 */
/* Downloads that outlive who began them, and other processes at the same directory. */
#include "glancefs/ciphertext_cache.h"

#include "base/clock.h"
#include "cache_fixture.h"
#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/delay.h"
#include "support/fake_image_service.h"
#include "support/memory_sink.h"
#include "support/testing.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>

static const struct pass_key no_key;

static void pause_ms(unsigned milliseconds)
{
    struct error err = ERROR_INIT;

    (void)delay(milliseconds, NULL, &err);
}

static void misbehave(struct cache_fixture *fixture, struct fake_download download)
{
    fake_image_service_misbehave(fixture->images, IMAGE_ID, &download);
}

static void behave(struct cache_fixture *fixture)
{
    misbehave(fixture, (struct fake_download){.fails = false});
}

static void fail_to_open(struct cache_fixture *fixture, enum error_kind kind)
{
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    assert_fails(kind,
                 ciphertext_cache_open(fixture->cache, fixture->record, NULL, NULL, &source, &err));
    assert_null(source);
}

/* A download of which two MiB have come. */
static void leave_download(struct cache_fixture *fixture)
{
    misbehave(fixture, (struct fake_download){.fails = true, .fail_at = 2 * MIB});
    fail_to_open(fixture, ERROR_UNAVAILABLE);
    behave(fixture);
    assert_int_equal(cache_fixture_entries(fixture, "partial"), 1);
}

static struct byte_source *follow(struct cache_fixture *fixture)
{
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_follow(fixture->cache, fixture->record, &no_key, NULL, NULL,
                                            &source, &err));
    return source;
}

static int read_end(struct cache_fixture *fixture, struct byte_source *source, struct error *err)
{
    uint8_t byte;
    size_t got = 99;
    const int result = byte_source_pread(source, &byte, 1, fixture->size, NULL, &got, err);

    assert_true(result < 0 || got == 0);
    return result;
}

static struct ciphertext_cache *open_beside(struct cache_fixture *fixture, enum cache_role role,
                                            struct image_service *images)
{
    const struct ciphertext_cache_parts parts = {
        .path = fixture->path, .role = role, .images = images, .require_hash = true};
    struct ciphertext_cache *cache = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_new(&parts, &cache, &err));
    return cache;
}

/* --- going on --- */

static void the_next_open_goes_on(void **state)
{
    struct cache_fixture *fixture = *state;

    leave_download(fixture);
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_bytes(fixture->images), fixture->size);
    assert_int_equal(cache_fixture_entries(fixture, "partial"), 0);
}

static void the_next_process_goes_on_and_shows_all_to_its_observer(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record seen = {0};
    CLEANUP(byte_sink_free) struct byte_sink *observer = memory_sink_new(&seen, NULL);
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    leave_download(fixture);
    cache_fixture_restart(fixture);
    assert_succeeds(
        ciphertext_cache_open(fixture->cache, fixture->record, observer, NULL, &source, &err));
    assert_int_equal(seen.commits, 1);
    assert_int_equal(seen.size, fixture->size);
    assert_memory_equal(seen.bytes, fixture->bytes, fixture->size);
    assert_source_is(source, fixture->bytes, fixture->size);
    assert_int_equal(fake_image_service_bytes(fixture->images), fixture->size);
}

static void a_follower_goes_on_and_reads_what_was_there_at_once(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    CLEANUP(memory_free) uint8_t *bytes = malloc(2 * MIB);
    struct error err = ERROR_INIT;
    size_t got;

    leave_download(fixture);
    cache_fixture_restart(fixture);
    misbehave(fixture, (struct fake_download){.delay_ms = 50});
    source = follow(fixture);
    assert_succeeds(byte_source_pread(source, bytes, 2 * MIB, 0, NULL, &got, &err));
    assert_int_equal(got, 2 * MIB);
    assert_memory_equal(bytes, fixture->bytes, 2 * MIB);
    behave(fixture);
    assert_succeeds(read_end(fixture, source, &err));
    assert_int_equal(fake_image_service_bytes(fixture->images), fixture->size);
}

static void followers_who_left_had_it_kept_for_the_next_one(void **state)
{
    struct cache_fixture *fixture = *state;
    struct byte_source *source;
    uint8_t byte;
    struct error err = ERROR_INIT;
    size_t got;

    misbehave(fixture, (struct fake_download){.delay_ms = 5});
    source = follow(fixture);
    assert_succeeds(byte_source_pread(source, &byte, 1, MIB, NULL, &got, &err));
    byte_source_free(source);
    behave(fixture);
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_bytes(fixture->images), fixture->size);
}

/* --- what nobody can use --- */

static void what_is_refused_while_it_arrives_is_dropped_when_its_followers_leave(void **state)
{
    struct cache_fixture *fixture = *state;
    struct byte_source *source;
    uint8_t byte;
    struct error err = ERROR_INIT;
    size_t got;

    misbehave(fixture, (struct fake_download){.delay_ms = 5});
    source = follow(fixture);
    assert_succeeds(byte_source_pread(source, &byte, 1, MIB, NULL, &got, &err));
    ciphertext_cache_refuse(fixture->cache, fixture->record);
    assert_int_equal(cache_fixture_entries(fixture, "partial"), 1);
    byte_source_free(source);
    for (int i = 0; i < 10000 && cache_fixture_entries(fixture, "partial") > 0; i++)
        pause_ms(1);
    assert_int_equal(cache_fixture_entries(fixture, "partial"), 0);
    behave(fixture);
    assert_opens_soundly(fixture);
    assert_true(fake_image_service_bytes(fixture->images) > fixture->size + MIB);
}

static void what_another_one_follows_is_completed_all_the_same(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *other = NULL;
    struct byte_source *source;
    struct error err = ERROR_INIT;

    misbehave(fixture, (struct fake_download){.delay_ms = 3});
    source = follow(fixture);
    other = follow(fixture);
    ciphertext_cache_refuse(fixture->cache, fixture->record);
    byte_source_free(source);
    assert_succeeds(read_end(fixture, other, &err));
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
    /* And what is complete stays. */
    ciphertext_cache_refuse(fixture->cache, fixture->record);
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

static void a_left_download_that_is_refused_goes_at_once(void **state)
{
    struct cache_fixture *fixture = *state;

    leave_download(fixture);
    ciphertext_cache_refuse(fixture->cache, fixture->record);
    assert_int_equal(cache_fixture_entries(fixture, "partial"), 0);
    assert_int_equal(cache_fixture_entries(fixture, "trash"), 0);
}

/* --- fetching without reading --- */

static void a_fetched_image_is_there_for_the_daemon(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(ciphertext_cache_free)
    struct ciphertext_cache *command = open_beside(fixture, CACHE_COMMAND, fixture->images);
    _Atomic uint64_t progress = 0;
    bool was_there = true;
    struct error err = ERROR_INIT;

    assert_succeeds(
        ciphertext_cache_fetch(command, fixture->record, NULL, &progress, NULL, &was_there, &err));
    assert_false(was_there);
    assert_int_equal(progress, fixture->size);
    assert_succeeds(
        ciphertext_cache_fetch(command, fixture->record, NULL, NULL, NULL, &was_there, &err));
    assert_true(was_there);
    assert_succeeds(ciphertext_cache_fetch(command, fixture->record, NULL, NULL, NULL, NULL, &err));
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

static void a_fetch_goes_on_where_another_process_ended(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(ciphertext_cache_free)
    struct ciphertext_cache *command = open_beside(fixture, CACHE_COMMAND, fixture->images);
    struct error err = ERROR_INIT;

    leave_download(fixture);
    assert_succeeds(ciphertext_cache_fetch(command, fixture->record, NULL, NULL, NULL, NULL, &err));
    assert_int_equal(fake_image_service_bytes(fixture->images), fixture->size);
}

static void what_a_cache_was_not_opened_for_is_refused(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(ciphertext_cache_free)
    struct ciphertext_cache *command = open_beside(fixture, CACHE_COMMAND, NULL);
    CLEANUP(ciphertext_cache_free)
    struct ciphertext_cache *observer = open_beside(fixture, CACHE_OBSERVER, fixture->images);
    CLEANUP(memory_sink_record) struct memory_sink_record seen = {0};
    struct ciphertext_cache_removal removed = {0};
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_UNAVAILABLE,
                 ciphertext_cache_fetch(command, fixture->record, NULL, NULL, NULL, NULL, &err));
    assert_fails(ERROR_INVALID,
                 ciphertext_cache_open(command, fixture->record, NULL, NULL, &source, &err));
    assert_fails(ERROR_INVALID,
                 ciphertext_cache_follow(command, fixture->record, &no_key,
                                         memory_sink_new(&seen, NULL), NULL, &source, &err));
    assert_int_equal(seen.frees, 1);
    assert_fails(ERROR_READ_ONLY,
                 ciphertext_cache_fetch(observer, fixture->record, NULL, NULL, NULL, NULL, &err));
    assert_fails(ERROR_READ_ONLY, ciphertext_cache_evict(observer, IMAGE_ID, &removed, &err));
    assert_fails(ERROR_READ_ONLY, ciphertext_cache_prune(observer, NULL, &removed, &err));
    assert_null(source);
    assert_int_equal(fake_image_service_downloads(fixture->images), 0);
}

/* --- a daemon and a command side by side --- */

struct worker {
    struct cache_fixture *fixture;
    struct ciphertext_cache *cache;
    struct cancel *cancel;
    struct byte_source *source;
    pthread_t thread;
    int result;
    uint64_t done_ns;
    struct error err;
};

static void *run_fetch(void *argument)
{
    struct worker *worker = argument;

    worker->result = ciphertext_cache_fetch(worker->cache, worker->fixture->record, NULL, NULL,
                                            worker->cancel, NULL, &worker->err);
    return NULL;
}

static void *run_open(void *argument)
{
    struct worker *worker = argument;

    worker->result = ciphertext_cache_open(worker->cache, worker->fixture->record, NULL,
                                           worker->cancel, &worker->source, &worker->err);
    worker->done_ns = clock_monotonic_ns();
    return NULL;
}

static void start(struct worker *worker, void *(*function)(void *))
{
    assert_int_equal(pthread_create(&worker->thread, NULL, function, worker), 0);
}

static void join(struct worker *worker, int result)
{
    assert_int_equal(pthread_join(worker->thread, NULL), 0);
    if (worker->result != result)
        fail_msg("%d instead of %d: %s", worker->result, result, worker->err.message);
}

static void await_download(struct cache_fixture *fixture)
{
    for (int i = 0; i < 30000 && fake_image_service_running(fixture->images) == 0; i++)
        pause_ms(1);
    assert_int_equal(fake_image_service_running(fixture->images), 1);
}

static void a_daemon_waits_for_the_download_of_a_command(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(ciphertext_cache_free)
    struct ciphertext_cache *command = open_beside(fixture, CACHE_COMMAND, fixture->images);
    struct worker fetching = {.fixture = fixture, .cache = command};
    struct worker opening = {.fixture = fixture, .cache = fixture->cache};
    CLEANUP(byte_source_free) struct byte_source *follower = NULL;
    struct error err = ERROR_INIT;

    misbehave(fixture, (struct fake_download){.delay_ms = 10});
    start(&fetching, run_fetch);
    await_download(fixture);
    follower = follow(fixture);
    start(&opening, run_open);
    assert_succeeds(read_end(fixture, follower, &err));
    join(&fetching, 0);
    join(&opening, 0);
    assert_source_is(opening.source, fixture->bytes, fixture->size);
    byte_source_free(opening.source);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

static void who_waits_for_another_process_leaves_when_cancelled(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(ciphertext_cache_free)
    struct ciphertext_cache *command = open_beside(fixture, CACHE_COMMAND, fixture->images);
    struct worker fetching = {.fixture = fixture, .cache = command};
    struct worker opening = {.fixture = fixture, .cache = fixture->cache};
    struct error err = ERROR_INIT;
    uint64_t cancelled_ns;

    assert_succeeds(cancel_new(&fetching.cancel, &err));
    assert_succeeds(cancel_new(&opening.cancel, &err));
    misbehave(fixture, (struct fake_download){.delay_ms = 100});
    start(&fetching, run_fetch);
    await_download(fixture);
    start(&opening, run_open);
    pause_ms(100);
    cancelled_ns = clock_monotonic_ns();
    cancel_request(opening.cancel);
    join(&opening, -1);
    assert_int_equal(opening.err.kind, ERROR_CANCELLED);
    assert_true(opening.done_ns - cancelled_ns < NANOSECONDS_PER_SECOND);
    assert_int_equal(fake_image_service_running(fixture->images), 1);
    cancel_request(fetching.cancel);
    join(&fetching, -1);
    cancel_unref(opening.cancel);
    cancel_unref(fetching.cancel);
}

/* What is there of the one download that somebody has in hand. */
static uint64_t bytes_under_way(struct cache_fixture *fixture)
{
    CLEANUP(cached_object_list_free) struct cached_object_list *downloads = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_list_downloads(fixture->cache, &downloads, &err));
    return downloads->count > 0 && downloads->objects[0].in_use ? downloads->objects[0].data_bytes
                                                                : 0;
}

/* The one that downloads is killed while another one waits for it. */
static void who_waits_goes_on_with_what_a_killed_process_left(void **state)
{
    struct cache_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    uint64_t present;
    pid_t child;

    misbehave(fixture, (struct fake_download){.delay_ms = 20});
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ciphertext_cache *command = open_beside(fixture, CACHE_COMMAND, fixture->images);

        _exit(ciphertext_cache_fetch(command, fixture->record, NULL, NULL, NULL, NULL, &err) == 0);
    }
    while (bytes_under_way(fixture) < MIB / 2)
        pause_ms(1);
    behave(fixture);
    {
        struct worker opening = {.fixture = fixture, .cache = fixture->cache};

        start(&opening, run_open);
        pause_ms(50);
        assert_int_equal(kill(child, SIGKILL), 0);
        join(&opening, 0);
        assert_source_is(opening.source, fixture->bytes, fixture->size);
        byte_source_free(opening.source);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    present = fixture->size - fake_image_service_bytes(fixture->images);
    assert_true(present > 0 && present < fixture->size);
}

static void what_a_command_evicted_is_fetched_again(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(ciphertext_cache_free)
    struct ciphertext_cache *command = open_beside(fixture, CACHE_COMMAND, NULL);
    struct ciphertext_cache_removal removed = {0};
    struct byte_source *source = cache_fixture_source(fixture);
    struct error err = ERROR_INIT;

    assert_fails(ERROR_BUSY, ciphertext_cache_evict(command, IMAGE_ID, &removed, &err));
    assert_source_is(source, fixture->bytes, fixture->size);
    byte_source_free(source);
    assert_succeeds(ciphertext_cache_evict(command, IMAGE_ID, &removed, &err));
    assert_int_equal(removed.objects, 1);
    assert_false(ciphertext_cache_remembers(fixture->cache, fixture->record));
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 2);
}

#define with_cache(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, cache_fixture_open, cache_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_cache(the_next_open_goes_on),
        with_cache(the_next_process_goes_on_and_shows_all_to_its_observer),
        with_cache(a_follower_goes_on_and_reads_what_was_there_at_once),
        with_cache(followers_who_left_had_it_kept_for_the_next_one),
        with_cache(what_is_refused_while_it_arrives_is_dropped_when_its_followers_leave),
        with_cache(what_another_one_follows_is_completed_all_the_same),
        with_cache(a_left_download_that_is_refused_goes_at_once),
        with_cache(a_fetched_image_is_there_for_the_daemon),
        with_cache(a_fetch_goes_on_where_another_process_ended),
        with_cache(what_a_cache_was_not_opened_for_is_refused),
        with_cache(a_daemon_waits_for_the_download_of_a_command),
        with_cache(who_waits_for_another_process_leaves_when_cancelled),
        with_cache(who_waits_goes_on_with_what_a_killed_process_left),
        with_cache(what_a_command_evicted_is_fetched_again),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
