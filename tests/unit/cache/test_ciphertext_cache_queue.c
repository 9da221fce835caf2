/* SPDX-License-Identifier: Apache-2.0 */
/* A cache whose downloads wait for their turn. The queue itself is tested in test_download_queue.c. */
#include "cache_fixture.h"
#include "support/crypto_arena.h"
#include "support/fake_image_service.h"
#include "support/testing.h"

#include <pthread.h>
#include <time.h>

#define HOUR_MS 3600000U

static const struct pass_key no_key;

/* A cache beside the fixture's, of which OTHER_ID has the only turn. */
struct bed {
    struct cache_fixture *fixture;
    struct ciphertext_cache *cache;
    struct image_record *other;
    struct cancel *cancel; /* ends the download of OTHER_ID */
    pthread_t thread;
    int result;
    struct error err;
};

static void sleep_a_moment(void)
{
    const struct timespec span = {.tv_nsec = 1000000};

    (void)nanosleep(&span, NULL);
}

static int open_record(struct ciphertext_cache *cache, struct image_record *record,
                       struct cancel *cancel, struct error *err)
{
    struct byte_source *source = NULL;
    const int result = ciphertext_cache_open(cache, record, NULL, cancel, &source, err);

    byte_source_free(source);
    return result;
}

static void *download_other(void *context)
{
    struct bed *bed = context;

    bed->result = open_record(bed->cache, bed->other, bed->cancel, &bed->err);
    return NULL;
}

static struct limit_use use_of(const struct bed *bed)
{
    struct limit_use use;

    ciphertext_cache_download_use(bed->cache, &use);
    return use;
}

static void wait_for_use(const struct bed *bed, unsigned used, unsigned waiting)
{
    for (int i = 0; i < 5000 && (use_of(bed).used != used || use_of(bed).waiting != waiting); i++)
        sleep_a_moment();
    assert_int_equal(use_of(bed).used, used);
    assert_int_equal(use_of(bed).waiting, waiting);
}

static void open_bed(struct bed *bed, struct cache_fixture *fixture, uint64_t wait_ms)
{
    const struct fake_download hangs = {.delay_ms = HOUR_MS};
    const struct ciphertext_cache_parts parts = {.path = fixture->path,
                                                 .role = CACHE_COMMAND,
                                                 .images = fixture->images,
                                                 .arena = fixture->arena,
                                                 .require_hash = true,
                                                 .max_downloads = 1,
                                                 .download_wait_ms = wait_ms};
    struct error err = ERROR_INIT;

    *bed = (struct bed){.fixture = fixture};
    fake_image_service_put(fixture->images, OTHER_ID, fixture->bytes, fixture->size);
    fake_image_service_misbehave(fixture->images, OTHER_ID, &hangs);
    bed->other = fake_image_record_hashed(OTHER_ID, fixture->bytes, fixture->size, "sha512");
    assert_succeeds(cancel_new(&bed->cancel, &err));
    assert_succeeds(ciphertext_cache_new(&parts, &bed->cache, &err));
    assert_int_equal(pthread_create(&bed->thread, NULL, download_other, bed), 0);
    wait_for_use(bed, 1, 0);
}

static void end_other(struct bed *bed)
{
    cancel_request(bed->cancel);
    assert_int_equal(pthread_join(bed->thread, NULL), 0);
    assert_int_equal(bed->result, -1);
    assert_int_equal(bed->err.kind, ERROR_CANCELLED);
}

static void close_bed(struct bed *bed)
{
    assert_int_equal(use_of(bed).used, 0);
    ciphertext_cache_free(bed->cache);
    cancel_unref(bed->cancel);
    image_record_unref(bed->other);
}

static int open_image(const struct bed *bed, struct error *err)
{
    return open_record(bed->cache, bed->fixture->record, NULL, err);
}

static void an_open_without_a_turn_leaves_nothing(void **state)
{
    struct cache_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    struct bed bed;
    size_t entries;

    open_bed(&bed, fixture, 0);
    entries = cache_fixture_entries(fixture, "partial");
    assert_fails(ERROR_EXHAUSTED, open_image(&bed, &err));
    assert_message_has("max_downloads=1");
    assert_int_equal(cache_fixture_entries(fixture, "partial"), entries);
    end_other(&bed);
    assert_succeeds(open_image(&bed, &err));
    close_bed(&bed);
}

static void what_an_earlier_download_left_stays(void **state)
{
    struct cache_fixture *fixture = *state;
    const struct fake_download fails = {.fails = true, .fail_at = fixture->size / 2};
    const struct fake_download behaves = {.fails = false};
    struct error err = ERROR_INIT;
    struct bed bed;
    uint64_t fetched;

    fake_image_service_misbehave(fixture->images, IMAGE_ID, &fails);
    assert_fails(ERROR_UNAVAILABLE, open_record(fixture->cache, fixture->record, NULL, &err));
    fake_image_service_misbehave(fixture->images, IMAGE_ID, &behaves);
    fetched = fake_image_service_bytes(fixture->images);
    open_bed(&bed, fixture, 0);
    assert_fails(ERROR_EXHAUSTED, open_image(&bed, &err));
    end_other(&bed);
    assert_succeeds(open_image(&bed, &err));
    assert_int_equal(fake_image_service_bytes(fixture->images), fixture->size);
    assert_true(fetched > 0);
    close_bed(&bed);
}

static void what_is_complete_needs_no_turn(void **state)
{
    struct cache_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    struct bed bed;

    assert_opens_soundly(fixture);
    open_bed(&bed, fixture, 0);
    assert_succeeds(open_image(&bed, &err));
    end_other(&bed);
    close_bed(&bed);
}

static void a_follower_is_told_that_no_turn_came(void **state)
{
    struct cache_fixture *fixture = *state;
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    struct bed bed;
    uint8_t byte;
    size_t got;

    open_bed(&bed, fixture, 0);
    assert_succeeds(
        ciphertext_cache_follow(bed.cache, fixture->record, &no_key, NULL, NULL, &source, &err));
    assert_fails(ERROR_EXHAUSTED, byte_source_pread(source, &byte, 1, 0, NULL, &got, &err));
    byte_source_free(source);
    end_other(&bed);
    close_bed(&bed);
}

static void a_follower_who_leaves_gives_up_the_place_in_line(void **state)
{
    struct cache_fixture *fixture = *state;
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    struct bed bed;

    open_bed(&bed, fixture, HOUR_MS);
    assert_succeeds(
        ciphertext_cache_follow(bed.cache, fixture->record, &no_key, NULL, NULL, &source, &err));
    wait_for_use(&bed, 1, 1);
    byte_source_free(source);
    wait_for_use(&bed, 1, 0);
    end_other(&bed);
    close_bed(&bed);
}

static void the_end_of_one_download_lets_the_next_begin(void **state)
{
    struct cache_fixture *fixture = *state;
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    struct bed bed;
    uint8_t byte = 0;
    size_t got = 0;

    open_bed(&bed, fixture, HOUR_MS);
    assert_succeeds(
        ciphertext_cache_follow(bed.cache, fixture->record, &no_key, NULL, NULL, &source, &err));
    wait_for_use(&bed, 1, 1);
    end_other(&bed);
    assert_succeeds(byte_source_pread(source, &byte, 1, 0, NULL, &got, &err));
    assert_int_equal(byte, fixture->bytes[0]);
    byte_source_free(source);
    wait_for_use(&bed, 0, 0);
    close_bed(&bed);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, cache_fixture_open, cache_fixture_close)
    const struct CMUnitTest tests[] = {
        test(an_open_without_a_turn_leaves_nothing),
        test(what_an_earlier_download_left_stays),
        test(what_is_complete_needs_no_turn),
        test(a_follower_is_told_that_no_turn_came),
        test(a_follower_who_leaves_gives_up_the_place_in_line),
        test(the_end_of_one_download_lets_the_next_begin),
    };
#undef test

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
