/* SPDX-License-Identifier: Apache-2.0 */
#include "view/image_lister.h"

#include "base/clock.h"
#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/fake_cloud.h"
#include "support/testing.h"
#include "view/record_refresh.h"

#include <stdlib.h>
#include <unistd.h>

#define FIRST_ID "11111111-2222-4333-8444-555555555555"
#define SECOND_ID "22222222-2222-4333-8444-555555555555"
#define GPG_MEMBERS                                                                                \
    "\"os_encrypt_format\": \"GPG\", \"os_encrypt_key_id\": "                                      \
    "\"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee\""
#define HANGS_MS 600000
#define LONG_NS (RECORD_TTL_SECONDS * NANOSECONDS_PER_SECOND)
#define RECORD_TTL_SECONDS 60

struct bed {
    struct secure_arena *arena;
    struct fake_cloud *cloud;
    struct attribute_cache *attributes;
    struct image_lister *lister;
};

static void put(struct bed *bed, const char *id)
{
    fake_cloud_put(bed->cloud, &(struct fake_cloud_image){
                                   .id = id, .bytes = "stored", .size = 6, .more = GPG_MEMBERS});
}

static int open_bed(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    struct error err = ERROR_INIT;

    if (bed == NULL || secure_arena_new(MIB, &bed->arena, &err) < 0 ||
        attribute_cache_new(RECORD_TTL_SECONDS, &bed->attributes, &err) < 0)
        return -1;
    bed->cloud = fake_cloud_new(bed->arena);
    put(bed, FIRST_ID);
    *state = bed;
    return image_lister_new(fake_cloud_services(bed->cloud)->images, bed->attributes, &bed->lister,
                            &err);
}

static int close_bed(void **state)
{
    struct bed *bed = *state;

    image_lister_free(bed->lister);
    attribute_cache_free(bed->attributes);
    fake_cloud_free(bed->cloud);
    secure_arena_free(bed->arena);
    free(bed);
    return 0;
}

static size_t listed(struct bed *bed)
{
    CLEANUP(image_listing_free) struct image_listing *listing = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(image_lister_list(bed->lister, NULL, &listing, &err));
    return listing->count;
}

static void hang(struct bed *bed, unsigned milliseconds)
{
    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.get_ms = milliseconds});
}

static void a_listing_shows_what_was_added_since(void **state)
{
    struct bed *bed = *state;

    assert_int_equal(listed(bed), 1);
    put(bed, SECOND_ID);
    assert_int_equal(listed(bed), 2);
    fake_cloud_remove(bed->cloud, SECOND_ID);
    assert_int_equal(listed(bed), 1);
}

static void a_service_that_hangs_delays_the_last_listing_once(void **state)
{
    struct bed *bed = *state;
    uint64_t begun_ns;

    assert_int_equal(listed(bed), 1);
    put(bed, SECOND_ID);
    hang(bed, HANGS_MS);
    begun_ns = clock_monotonic_ns();
    assert_int_equal(listed(bed), 1);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(listed(bed), 1);
    assert_true(clock_monotonic_ns() - begun_ns < LONG_NS);
    assert_true(fake_cloud_calls(bed->cloud).lists < 10);
}

static void what_comes_late_is_shown_afterwards(void **state)
{
    struct bed *bed = *state;

    assert_int_equal(listed(bed), 1);
    put(bed, SECOND_ID);
    hang(bed, 5 * REFRESH_GRACE_MS);
    assert_int_equal(listed(bed), 1);
    hang(bed, 0);
    while (listed(bed) != 2)
        (void)usleep(1000);
}

static void a_first_listing_waits_until_it_is_cancelled(void **state)
{
    struct bed *bed = *state;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct image_listing *listing = NULL;
    struct error err = ERROR_INIT;

    hang(bed, HANGS_MS);
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, image_lister_list(bed->lister, cancel, &listing, &err));
    assert_null(listing);
}

static void an_outage_shows_the_last_listing_and_a_refusal_does_not(void **state)
{
    struct bed *bed = *state;
    struct image_listing *listing = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(listed(bed), 1);
    fake_cloud_fail_records(bed->cloud, ERROR_TIMEOUT);
    assert_int_equal(listed(bed), 1);
    fake_cloud_fail_records(bed->cloud, ERROR_DENIED);
    assert_fails(ERROR_DENIED, image_lister_list(bed->lister, NULL, &listing, &err));
    assert_null(listing);
}

static void an_outage_before_the_first_listing_is_the_answer(void **state)
{
    struct bed *bed = *state;
    struct image_listing *listing = NULL;
    struct error err = ERROR_INIT;

    fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
    assert_fails(ERROR_UNAVAILABLE, image_lister_list(bed->lister, NULL, &listing, &err));
}

static void what_was_refused_late_is_not_shown_any_more(void **state)
{
    struct bed *bed = *state;
    CLEANUP(image_listing_free) struct image_listing *listing = NULL;
    struct error err = ERROR_INIT;
    int result = 0;

    assert_int_equal(listed(bed), 1);
    fake_cloud_fail_records(bed->cloud, ERROR_DENIED);
    hang(bed, 150);
    for (int i = 0; i < 100 && result == 0; i++) {
        image_listing_free(steal(&listing));
        result = image_lister_list(bed->lister, NULL, &listing, &err);
        (void)usleep(100 * 1000);
    }
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERROR_DENIED);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_bed, close_bed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_listing_shows_what_was_added_since),
        test(a_service_that_hangs_delays_the_last_listing_once),
        test(what_was_refused_late_is_not_shown_any_more),
        test(what_comes_late_is_shown_afterwards),
        test(a_first_listing_waits_until_it_is_cancelled),
        test(an_outage_shows_the_last_listing_and_a_refusal_does_not),
        test(an_outage_before_the_first_listing_is_the_answer),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
