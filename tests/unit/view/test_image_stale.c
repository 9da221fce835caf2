/* SPDX-License-Identifier: Apache-2.0 */
/* What is opened, and what is not, while the image service does not answer. */
#include "glancefs/image_view.h"

#include "glancefs/limits.h"
#include "stream_reader.h"
#include "support/crypto_arena.h"
#include "view_bed.h"

/* An index whose records are too old as soon as they are there. */
static void make_records_old(struct view_bed *bed)
{
    view_bed_configure(bed, "record_ttl", "0");
}

static void within_record_ttl_an_outage_stops_no_open(void **state)
{
    static const enum error_kind outages[] = {ERROR_UNAVAILABLE, ERROR_TIMEOUT};
    struct view_bed *bed = *state;

    assert_image_sound(bed, IMAGE_ID);
    for (size_t i = 0; i < ELEMENTS_OF(outages); i++) {
        fake_cloud_fail_records(bed->cloud, outages[i]);
        assert_image_sound(bed, IMAGE_ID);
        assert_int_equal(fake_cloud_calls(bed->cloud).payloads, i + 2);
    }
    assert_int_equal(fake_cloud_calls(bed->cloud).gets, 3);
    assert_int_equal(fake_cloud_calls(bed->cloud).downloads, 1);
}

static void after_record_ttl_an_outage_is_the_answer(void **state)
{
    static const enum error_kind outages[] = {ERROR_UNAVAILABLE, ERROR_TIMEOUT};
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    make_records_old(bed);
    assert_image_sound(bed, IMAGE_ID);
    for (size_t i = 0; i < ELEMENTS_OF(outages); i++) {
        fake_cloud_fail_records(bed->cloud, outages[i]);
        assert_fails(outages[i], view_bed_try(bed, IMAGE_ID, &err));
    }
    assert_int_equal(fake_cloud_calls(bed->cloud).payloads, 1);
    fake_cloud_fail_records(bed->cloud, ERROR_NONE);
    assert_image_sound(bed, IMAGE_ID);
}

static void under_stale_serve_the_last_record_will_do(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    make_records_old(bed);
    view_bed_configure(bed, "stale", "serve");
    assert_image_sound(bed, IMAGE_ID);
    fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
    assert_image_sound(bed, IMAGE_ID);
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    assert_succeeds(image_index_record(bed->index, IMAGE_ID, NULL, &record, &err));
    assert_string_equal(image_record_id(record), IMAGE_ID);
}

static void under_stale_serve_the_key_manager_has_its_say(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "stale", "serve");
    assert_image_sound(bed, IMAGE_ID);
    fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
    fake_cloud_set_secret(bed->cloud, KEY_ID, NULL);
    assert_fails(ERROR_DENIED, view_bed_try(bed, IMAGE_ID, &err));
}

static void an_image_never_seen_is_not_opened_in_an_outage(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "stale", "serve");
    fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
    assert_fails(ERROR_UNAVAILABLE, view_bed_try(bed, IMAGE_ID, &err));
}

/* The bytes are on disk, but nobody vouches for who may have them. */
static void the_cache_alone_does_not_suffice(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "stale", "serve");
    assert_image_sound(bed, IMAGE_ID);
    view_bed_restart_cache(bed);
    fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
    assert_fails(ERROR_UNAVAILABLE, view_bed_try(bed, IMAGE_ID, &err));
}

static void other_failures_are_not_made_up_for(void **state)
{
    static const enum error_kind kinds[] = {ERROR_DENIED, ERROR_LOGIN, ERROR_INVALID,
                                            ERROR_CANCELLED, ERROR_NOT_FOUND};
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "stale", "serve");
    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++) {
        fake_cloud_fail_records(bed->cloud, ERROR_NONE);
        assert_image_sound(bed, IMAGE_ID);
        fake_cloud_fail_records(bed->cloud, kinds[i]);
        assert_fails(kinds[i], view_bed_try(bed, IMAGE_ID, &err));
    }
}

/* What was said last counts, however that was asked for. */
static void an_image_that_was_refused_before_the_outage_stays_refused(void **state)
{
    static const struct {
        const char *status;
        const char *members;
    } refused[] = {
        {"deactivated", GPG_MEMBERS},
        {"pending_delete", GPG_MEMBERS},
        {"active", "\"os_encrypt_format\": \"LUKS\""},
        {"active", NULL},
    };
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "stale", "serve");
    for (size_t i = 0; i < 2 * ELEMENTS_OF(refused); i++) {
        fake_cloud_fail_records(bed->cloud, ERROR_NONE);
        view_bed_put(bed, IMAGE_ID, GPG_MEMBERS);
        assert_image_sound(bed, IMAGE_ID);
        fake_cloud_put(bed->cloud, &(struct fake_cloud_image){.id = IMAGE_ID,
                                                              .status = refused[i / 2].status,
                                                              .bytes = bed->message,
                                                              .size = bed->message_size,
                                                              .more = refused[i / 2].members});
        if (i % 2 == 0) {
            CLEANUP(image_listing_free) struct image_listing *listing = NULL;

            assert_succeeds(image_index_list(bed->index, NULL, &listing, &err));
        } else {
            assert_int_equal(view_bed_try(bed, IMAGE_ID, &err), -1);
        }
        fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
        assert_fails(ERROR_UNAVAILABLE, view_bed_try(bed, IMAGE_ID, &err));
    }
}

/* A program that only lists the directory has found it out, too. */
static void an_image_that_a_listing_missed_is_not_served_in_an_outage(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(image_listing_free) struct image_listing *listing = NULL;
    struct image_attributes attributes;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "stale", "serve");
    view_bed_put(bed, OTHER_ID, GPG_MEMBERS);
    assert_image_sound(bed, IMAGE_ID);
    assert_image_sound(bed, OTHER_ID);
    fake_cloud_remove(bed->cloud, IMAGE_ID);
    assert_succeeds(image_index_list(bed->index, NULL, &listing, &err));
    fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
    assert_image_sound(bed, OTHER_ID);
    assert_fails(ERROR_UNAVAILABLE,
                 image_index_lookup(bed->index, IMAGE_ID, NULL, &attributes, &err));
    assert_fails(ERROR_UNAVAILABLE, view_bed_try(bed, IMAGE_ID, &err));
    fake_cloud_fail_records(bed->cloud, ERROR_NONE);
    view_bed_put(bed, IMAGE_ID, GPG_MEMBERS);
    assert_image_sound(bed, IMAGE_ID);
}

static void a_listing_keeps_records_of_opened_images_fresh(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(image_listing_free) struct image_listing *listing = NULL;
    struct error err = ERROR_INIT;

    assert_image_sound(bed, IMAGE_ID);
    assert_succeeds(image_index_list(bed->index, NULL, &listing, &err));
    fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
    assert_image_sound(bed, IMAGE_ID);
}

static void an_image_that_is_gone_leaves_the_cache(void **state)
{
    struct view_bed *bed = *state;
    struct image_attributes attributes;
    struct error err = ERROR_INIT;

    view_bed_put(bed, OTHER_ID, GPG_MEMBERS);
    assert_image_sound(bed, IMAGE_ID);
    assert_image_sound(bed, OTHER_ID);
    fake_cloud_remove(bed->cloud, IMAGE_ID);
    assert_fails(ERROR_NOT_FOUND, view_bed_try(bed, IMAGE_ID, &err));
    assert_false(ciphertext_cache_has_image(bed->cache, IMAGE_ID));
    /* Programs that look before they open have it found out by that. */
    make_records_old(bed);
    fake_cloud_remove(bed->cloud, OTHER_ID);
    assert_fails(ERROR_NOT_FOUND,
                 image_index_lookup(bed->index, OTHER_ID, NULL, &attributes, &err));
    assert_false(ciphertext_cache_has_image(bed->cache, OTHER_ID));
}

static void an_image_that_may_come_back_stays_cached(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_image_sound(bed, IMAGE_ID);
    fake_cloud_put(bed->cloud, &(struct fake_cloud_image){.id = IMAGE_ID,
                                                          .status = "deactivated",
                                                          .bytes = bed->message,
                                                          .size = bed->message_size,
                                                          .more = GPG_MEMBERS});
    assert_fails(ERROR_DENIED, view_bed_try(bed, IMAGE_ID, &err));
    fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
    assert_fails(ERROR_UNAVAILABLE, view_bed_try(bed, IMAGE_ID, &err));
    fake_cloud_fail_records(bed->cloud, ERROR_DENIED);
    assert_fails(ERROR_DENIED, view_bed_try(bed, IMAGE_ID, &err));
    assert_true(ciphertext_cache_has_image(bed->cache, IMAGE_ID));
    fake_cloud_fail_records(bed->cloud, ERROR_NONE);
    view_bed_put(bed, IMAGE_ID, GPG_MEMBERS);
    assert_image_sound(bed, IMAGE_ID);
    assert_int_equal(fake_cloud_calls(bed->cloud).downloads, 1);
}

static void an_open_stream_outlives_its_image(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = view_bed_stream(bed, IMAGE_ID);
    struct error err = ERROR_INIT;

    fake_cloud_remove(bed->cloud, IMAGE_ID);
    assert_fails(ERROR_NOT_FOUND, view_bed_try(bed, IMAGE_ID, &err));
    assert_stream_gives(stream, 0, bed->plaintext, PLAINTEXT_BYTES, FUSE_REQUEST_BYTES);
}

#define test(name) cmocka_unit_test_setup_teardown(name, view_bed_open, view_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(within_record_ttl_an_outage_stops_no_open),
        test(after_record_ttl_an_outage_is_the_answer),
        test(under_stale_serve_the_last_record_will_do),
        test(under_stale_serve_the_key_manager_has_its_say),
        test(an_image_never_seen_is_not_opened_in_an_outage),
        test(the_cache_alone_does_not_suffice),
        test(other_failures_are_not_made_up_for),
        test(an_image_that_was_refused_before_the_outage_stays_refused),
        test(an_image_that_a_listing_missed_is_not_served_in_an_outage),
        test(a_listing_keeps_records_of_opened_images_fresh),
        test(an_image_that_is_gone_leaves_the_cache),
        test(an_image_that_may_come_back_stays_cached),
        test(an_open_stream_outlives_its_image),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
