/* SPDX-License-Identifier: Apache-2.0 */
/* Images that are read while they arrive. */
#include "glancefs/ciphertext_cache.h"

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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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

static struct byte_source *follow(struct cache_fixture *fixture)
{
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_follow(fixture->cache, fixture->record, &no_key, NULL, NULL,
                                            &source, &err));
    return source;
}

/* Waits until no pass runs and nothing temporary is left. */
static void await_files(struct cache_fixture *fixture, size_t count)
{
    for (int i = 0; i < 10000 && (fake_image_service_running(fixture->images) > 0 ||
                                  cache_fixture_files(fixture) != count);
         i++)
        pause_ms(1);
    assert_int_equal(fake_image_service_running(fixture->images), 0);
    assert_int_equal(cache_fixture_files(fixture), count);
}

/* Waits until the service is asked: the thread that does it may start late. */
static void await_running(struct cache_fixture *fixture)
{
    for (int i = 0; i < 10000 && fake_image_service_running(fixture->images) == 0; i++)
        pause_ms(1);
    assert_int_equal(fake_image_service_running(fixture->images), 1);
}

/* Reads everything and the end; ERROR_NONE or why that failed. */
static enum error_kind read_to_end(struct cache_fixture *fixture, struct byte_source *source)
{
    CLEANUP(memory_free) uint8_t *buffer = malloc(100000);
    struct error err = ERROR_INIT;
    uint64_t offset = 0;
    size_t got;

    assert_non_null(buffer);
    do {
        if (byte_source_pread(source, buffer, 100000, offset, NULL, &got, &err) < 0)
            return err.kind;
        assert_true(offset + got <= fixture->size);
        assert_memory_equal(buffer, fixture->bytes + offset, got);
        offset += got;
    } while (got > 0);
    assert_int_equal(offset, fixture->size);
    return ERROR_NONE;
}

static void gives_everything_and_publishes_it(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = follow(fixture);

    assert_int_equal(read_to_end(fixture, source), ERROR_NONE);
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

static void gives_the_first_bytes_when_they_have_arrived(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    uint8_t buffer[512];
    struct error err = ERROR_INIT;
    size_t got;

    misbehave(fixture, (struct fake_download){.chunk_bytes = 512, .delay_ms = 20});
    source = follow(fixture);
    assert_succeeds(byte_source_pread(source, buffer, sizeof buffer, 0, NULL, &got, &err));
    assert_memory_equal(buffer, fixture->bytes, sizeof buffer);
    assert_true(fake_image_service_bytes(fixture->images) <= 4 * KIB);
    assert_int_equal(fake_image_service_running(fixture->images), 1);
}

static void followers_share_one_download(void **state)
{
    struct cache_fixture *fixture = *state;
    struct byte_source *sources[5];

    misbehave(fixture, (struct fake_download){.delay_ms = 2});
    for (size_t i = 0; i < ELEMENTS_OF(sources); i++)
        sources[i] = follow(fixture);
    for (size_t i = 0; i < ELEMENTS_OF(sources); i++) {
        assert_int_equal(read_to_end(fixture, sources[i]), ERROR_NONE);
        byte_source_free(sources[i]);
    }
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

static void the_download_goes_on_when_nobody_reads(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = follow(fixture);

    for (int i = 0; i < 10000 && !ciphertext_cache_has(fixture->cache, fixture->record); i++)
        pause_ms(1);
    assert_true(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_int_equal(read_to_end(fixture, source), ERROR_NONE);
}

static void the_last_follower_that_leaves_ends_the_download(void **state)
{
    struct cache_fixture *fixture = *state;
    struct byte_source *first, *second;

    misbehave(fixture, (struct fake_download){.chunk_bytes = 1000, .delay_ms = 5});
    first = follow(fixture);
    second = follow(fixture);
    await_running(fixture);
    byte_source_free(first);
    pause_ms(50);
    assert_int_equal(fake_image_service_running(fixture->images), 1);
    byte_source_free(second);
    await_files(fixture, 0);
    misbehave(fixture, (struct fake_download){.fails = false});
    assert_opens_soundly(fixture);
}

static void a_newcomer_after_that_gets_a_download_of_his_own(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;

    misbehave(fixture, (struct fake_download){.delay_ms = 2});
    for (int i = 0; i < 20; i++)
        byte_source_free(follow(fixture));
    source = follow(fixture);
    assert_int_equal(read_to_end(fixture, source), ERROR_NONE);
}

struct opening {
    struct cache_fixture *fixture;
    pthread_t thread;
    struct cancel *cancel;
    struct byte_source *source;
    int result;
};

static void *run_open(void *argument)
{
    struct opening *opening = argument;
    struct error err = ERROR_INIT;

    opening->result = ciphertext_cache_open(opening->fixture->cache, opening->fixture->record, NULL,
                                            opening->cancel, &opening->source, &err);
    return NULL;
}

static void one_who_waits_keeps_the_download_going(void **state)
{
    struct cache_fixture *fixture = *state;
    struct opening opening = {.fixture = fixture};
    struct byte_source *follower;

    misbehave(fixture, (struct fake_download){.delay_ms = 5});
    follower = follow(fixture);
    assert_int_equal(pthread_create(&opening.thread, NULL, run_open, &opening), 0);
    pause_ms(50);
    byte_source_free(follower);
    assert_int_equal(pthread_join(opening.thread, NULL), 0);
    assert_int_equal(opening.result, 0);
    assert_source_is(opening.source, fixture->bytes, fixture->size);
    byte_source_free(opening.source);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

static void the_last_one_who_waits_ends_it_as_well(void **state)
{
    struct cache_fixture *fixture = *state;
    struct opening opening = {.fixture = fixture};
    struct byte_source *follower;
    struct error err = ERROR_INIT;

    misbehave(fixture, (struct fake_download){.chunk_bytes = 1000, .delay_ms = 5});
    assert_succeeds(cancel_new(&opening.cancel, &err));
    follower = follow(fixture);
    await_running(fixture);
    assert_int_equal(pthread_create(&opening.thread, NULL, run_open, &opening), 0);
    pause_ms(50);
    byte_source_free(follower);
    pause_ms(50);
    assert_int_equal(fake_image_service_running(fixture->images), 1);
    cancel_request(opening.cancel);
    assert_int_equal(pthread_join(opening.thread, NULL), 0);
    assert_int_equal(opening.result, -1);
    cancel_unref(opening.cancel);
    await_files(fixture, 0);
}

static void wrong_bytes_have_no_end(void **state)
{
    static const struct fake_download wrongs[] = {{.flips_a_bit = true, .flip_at = 2 * MIB + 5},
                                                  {.missing_bytes = 100},
                                                  {.extra_bytes = 100}};
    struct cache_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(wrongs); i++) {
        struct byte_source *source;
        uint8_t byte;
        struct error err = ERROR_INIT;
        size_t got;

        misbehave(fixture, wrongs[i]);
        source = follow(fixture);
        assert_fails(ERROR_CORRUPT,
                     byte_source_pread(source, &byte, 1, fixture->size, NULL, &got, &err));
        byte_source_free(source);
        await_files(fixture, 0);
    }
}

static void a_download_that_fails_is_the_readers_error(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;

    misbehave(fixture, (struct fake_download){
                           .fails = true, .fail_at = MIB + 77, .fail_kind = ERROR_TIMEOUT});
    source = follow(fixture);
    assert_int_equal(read_to_end(fixture, source), ERROR_TIMEOUT);
    await_files(fixture, 0);
}

static void a_copy_on_disk_is_followed_while_it_is_hashed(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;

    byte_source_free(cache_fixture_source(fixture));
    cache_fixture_restart(fixture);
    source = follow(fixture);
    assert_int_equal(byte_source_size(source), BYTE_SOURCE_SIZE_UNKNOWN);
    assert_int_equal(read_to_end(fixture, source), ERROR_NONE);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

static void a_damaged_copy_on_disk_is_removed(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = cache_fixture_object(fixture, fixture->record);
    struct byte_source *source;
    int fd;

    byte_source_free(cache_fixture_source(fixture));
    cache_fixture_restart(fixture);
    assert_int_equal(chmod(path, 0600), 0);
    fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "!!", 2, (off_t)fixture->size - 2), 2);
    assert_int_equal(close(fd), 0);
    source = follow(fixture);
    uint8_t byte;
    struct error err = ERROR_INIT;
    size_t got;
    assert_fails(ERROR_CORRUPT,
                 byte_source_pread(source, &byte, 1, fixture->size, NULL, &got, &err));
    byte_source_free(source);
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 2);
}

static void a_verified_object_is_given_as_it_is(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;

    byte_source_free(cache_fixture_source(fixture));
    source = follow(fixture);
    assert_source_is(source, fixture->bytes, fixture->size);
}

/* Makes the object one that was used last when the epoch began. */
static void forget_use(struct cache_fixture *fixture)
{
    const struct timespec times[2] = {{0}, {0}};
    CLEANUP(memory_free) char *data = cache_fixture_object(fixture, fixture->record);
    CLEANUP(memory_free) char *metadata = NULL;

    assert_true(asprintf(&metadata, "%.*s/meta.json", (int)(strlen(data) - strlen("/data")), data) >
                0);
    assert_int_equal(utimensat(AT_FDCWD, metadata, times, 0), 0);
}

static int64_t last_use(struct cache_fixture *fixture)
{
    CLEANUP(cached_object_list_free) struct cached_object_list *objects = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_list(fixture->cache, &objects, &err));
    assert_int_equal(objects->count, 1);
    return objects->objects[0].last_used;
}

/* An image may be open for weeks: it is in use until it is closed, not when it was opened. */
static void an_object_is_used_until_its_readers_leave(void **state)
{
    struct cache_fixture *fixture = *state;
    const int64_t before = time(NULL);
    struct byte_source *follower = follow(fixture);
    struct byte_source *reader;

    assert_int_equal(read_to_end(fixture, follower), ERROR_NONE);
    reader = cache_fixture_source(fixture);
    forget_use(fixture);
    byte_source_free(follower);
    assert_in_range(last_use(fixture), before, time(NULL));
    forget_use(fixture);
    assert_int_equal(last_use(fixture), 0);
    byte_source_free(reader);
    assert_in_range(last_use(fixture), before, time(NULL));
}

/* Whoever may not wait gets what is known, also while somebody else has the turn, or nothing. */
static void a_known_object_opens_beside_a_pass(void **state)
{
    struct cache_fixture *fixture = *state;
    const struct memory_sink_options slow = {.delay_ms = 200};
    CLEANUP(memory_sink_record) struct memory_sink_record seen = {0};
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    CLEANUP(byte_source_free) struct byte_source *known = NULL;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_BUSY,
                 ciphertext_cache_open_known(fixture->cache, fixture->record, &known, &err));
    assert_int_equal(fake_image_service_downloads(fixture->images), 0);
    byte_source_free(cache_fixture_source(fixture));
    assert_succeeds(ciphertext_cache_follow(fixture->cache, fixture->record, &no_key,
                                            memory_sink_new(&seen, &slow), NULL, &source, &err));
    assert_succeeds(ciphertext_cache_open_known(fixture->cache, fixture->record, &known, &err));
    byte_source_free(cache_fixture_source(fixture));
    assert_int_equal(seen.commits, 0);
    assert_source_is(known, fixture->bytes, fixture->size);
    assert_int_equal(read_to_end(fixture, source), ERROR_NONE);
}

static void an_observer_sees_the_pass_and_can_refuse_it(void **state)
{
    struct cache_fixture *fixture = *state;
    struct memory_sink_record seen = {0}, refused = {0};
    const struct memory_sink_options refusing = {.fails_commit = true, .fail_kind = ERROR_DENIED};
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_follow(fixture->cache, fixture->record, &no_key,
                                            memory_sink_new(&refused, &refusing), NULL, &source,
                                            &err));
    assert_int_equal(read_to_end(fixture, source), ERROR_DENIED);
    byte_source_free(source);
    await_files(fixture, 0);
    assert_succeeds(ciphertext_cache_follow(fixture->cache, fixture->record, &no_key,
                                            memory_sink_new(&seen, NULL), NULL, &source, &err));
    assert_int_equal(read_to_end(fixture, source), ERROR_NONE);
    byte_source_free(source);
    assert_int_equal(seen.commits, 1);
    assert_memory_equal(seen.bytes, fixture->bytes, fixture->size);
    memory_sink_record_clear(&seen);
    /* Also when the bytes are known: it has not seen them. */
    assert_succeeds(ciphertext_cache_follow(fixture->cache, fixture->record, &no_key,
                                            memory_sink_new(&seen, NULL), NULL, &source, &err));
    assert_int_equal(read_to_end(fixture, source), ERROR_NONE);
    byte_source_free(source);
    assert_int_equal(seen.commits, 1);
    memory_sink_record_clear(&seen);
    memory_sink_record_clear(&refused);
}

static void an_observer_that_is_not_needed_is_freed(void **state)
{
    struct cache_fixture *fixture = *state;
    struct memory_sink_record unused = {0};
    struct byte_source *first, *second = NULL;
    struct error err = ERROR_INIT;

    misbehave(fixture, (struct fake_download){.delay_ms = 5});
    first = follow(fixture);
    assert_succeeds(ciphertext_cache_follow(fixture->cache, fixture->record, &no_key,
                                            memory_sink_new(&unused, NULL), NULL, &second, &err));
    assert_int_equal(unused.frees, 1);
    assert_int_equal(unused.size, 0);
    byte_source_free(first);
    byte_source_free(second);
    memory_sink_record_clear(&unused);
    await_files(fixture, 0);
}

/* Whose observer looks for something else has a pass of his own, after the other one. */
static void a_pass_with_another_key_is_not_joined(void **state)
{
    struct cache_fixture *fixture = *state;
    const struct pass_key other_key = {{1}};
    const struct memory_sink_options refusing = {.fails_commit = true, .fail_kind = ERROR_DENIED};
    CLEANUP(memory_sink_record) struct memory_sink_record seen = {0};
    CLEANUP(byte_source_free) struct byte_source *first = NULL;
    CLEANUP(byte_source_free) struct byte_source *second = NULL;
    struct error err = ERROR_INIT;

    misbehave(fixture, (struct fake_download){.delay_ms = 5});
    first = follow(fixture);
    assert_succeeds(ciphertext_cache_follow(fixture->cache, fixture->record, &other_key,
                                            memory_sink_new(&seen, &refusing), NULL, &second,
                                            &err));
    assert_int_equal(fake_image_service_running(fixture->images), 0);
    assert_int_equal(read_to_end(fixture, first), ERROR_NONE);
    assert_int_equal(read_to_end(fixture, second), ERROR_DENIED);
    assert_int_equal(seen.size, fixture->size);
    assert_true(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

static void an_open_joins_what_is_followed_and_a_follower_waits_for_an_open(void **state)
{
    struct cache_fixture *fixture = *state;
    struct opening opening = {.fixture = fixture};
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;

    misbehave(fixture, (struct fake_download){.delay_ms = 5});
    assert_int_equal(pthread_create(&opening.thread, NULL, run_open, &opening), 0);
    for (int i = 0; i < 10000 && fake_image_service_running(fixture->images) == 0; i++)
        pause_ms(1);
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, ciphertext_cache_follow(fixture->cache, fixture->record, &no_key,
                                                          NULL, cancel, &source, &err));
    source = follow(fixture);
    assert_int_equal(read_to_end(fixture, source), ERROR_NONE);
    assert_int_equal(pthread_join(opening.thread, NULL), 0);
    byte_source_free(opening.source);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

#define test(name) cmocka_unit_test_setup_teardown(name, cache_fixture_open, cache_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(gives_everything_and_publishes_it),
        test(gives_the_first_bytes_when_they_have_arrived),
        test(followers_share_one_download),
        test(the_download_goes_on_when_nobody_reads),
        test(the_last_follower_that_leaves_ends_the_download),
        test(a_newcomer_after_that_gets_a_download_of_his_own),
        test(one_who_waits_keeps_the_download_going),
        test(the_last_one_who_waits_ends_it_as_well),
        test(wrong_bytes_have_no_end),
        test(a_download_that_fails_is_the_readers_error),
        test(a_copy_on_disk_is_followed_while_it_is_hashed),
        test(a_damaged_copy_on_disk_is_removed),
        test(a_verified_object_is_given_as_it_is),
        test(an_object_is_used_until_its_readers_leave),
        test(a_known_object_opens_beside_a_pass),
        test(an_observer_sees_the_pass_and_can_refuse_it),
        test(an_observer_that_is_not_needed_is_freed),
        test(a_pass_with_another_key_is_not_joined),
        test(an_open_joins_what_is_followed_and_a_follower_waits_for_an_open),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
