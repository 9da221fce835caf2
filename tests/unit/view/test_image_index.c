/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/image_view.h"

#include "support/crypto_arena.h"
#include "view_bed.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int look_up(struct view_bed *bed, const char *name, struct image_attributes *ret,
                   struct error *err)
{
    return image_index_lookup(bed->index, name, NULL, ret, err);
}

/* --- listing --- */

static bool lists(const struct image_listing *listing, const char *id)
{
    for (size_t i = 0; i < listing->count; i++)
        if (strcmp(listing->images[i].id, id) == 0)
            return true;
    return false;
}

static void lists_active_images_that_it_can_decrypt(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(image_listing_free) struct image_listing *listing = NULL;
    struct error err = ERROR_INIT;

    view_bed_put(bed, OTHER_ID, "\"os_encrypt_format\": \"gpg\"");
    view_bed_put(bed, "22222222-2222-4333-8444-555555555555", "\"name\": \"plain\"");
    view_bed_put(bed, "33333333-2222-4333-8444-555555555555", "\"os_encrypt_format\": \"LUKS\"");
    fake_cloud_put(bed->cloud,
                   &(struct fake_cloud_image){.id = "44444444-2222-4333-8444-555555555555",
                                              .status = "queued",
                                              .bytes = "",
                                              .more = GPG_MEMBERS});
    assert_succeeds(image_index_list(bed->index, NULL, &listing, &err));
    assert_int_equal(listing->count, 2);
    assert_true(lists(listing, IMAGE_ID));
    assert_true(lists(listing, OTHER_ID));
}

static void lists_anew_each_time(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    for (unsigned i = 1; i <= 2; i++) {
        CLEANUP(image_listing_free) struct image_listing *listing = NULL;

        assert_succeeds(image_index_list(bed->index, NULL, &listing, &err));
        assert_int_equal(fake_cloud_calls(bed->cloud).lists, i);
    }
}

static void passes_on_why_it_cannot_list(void **state)
{
    struct view_bed *bed = *state;
    struct image_listing *listing = NULL;
    struct error err = ERROR_INIT;

    fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
    assert_fails(ERROR_UNAVAILABLE, image_index_list(bed->index, NULL, &listing, &err));
    assert_null(listing);
    fake_cloud_fail_records(bed->cloud, ERROR_DENIED);
    assert_fails(ERROR_DENIED, image_index_list(bed->index, NULL, &listing, &err));
}

static void an_outage_of_the_image_service_leaves_what_is_known(void **state)
{
    static const enum error_kind outages[] = {ERROR_UNAVAILABLE, ERROR_TIMEOUT};
    struct view_bed *bed = *state;
    struct image_attributes attributes;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "record_ttl", "0");
    for (size_t i = 0; i < ELEMENTS_OF(outages); i++) {
        CLEANUP(image_listing_free) struct image_listing *before = NULL;
        CLEANUP(image_listing_free) struct image_listing *during = NULL;

        fake_cloud_fail_records(bed->cloud, ERROR_NONE);
        assert_succeeds(image_index_list(bed->index, NULL, &before, &err));
        assert_succeeds(look_up(bed, IMAGE_ID, &attributes, &err));
        fake_cloud_fail_records(bed->cloud, outages[i]);
        assert_succeeds(image_index_list(bed->index, NULL, &during, &err));
        assert_int_equal(during->count, 1);
        assert_true(lists(during, IMAGE_ID));
        assert_succeeds(look_up(bed, IMAGE_ID, &attributes, &err));
        assert_fails(outages[i], look_up(bed, OTHER_ID, &attributes, &err));
        assert_fails(outages[i], view_bed_try(bed, IMAGE_ID, &err));
    }
    fake_cloud_fail_records(bed->cloud, ERROR_DENIED);
    assert_fails(ERROR_DENIED, look_up(bed, IMAGE_ID, &attributes, &err));
}

static void a_listing_answers_the_look_ups_after_it(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(image_listing_free) struct image_listing *listing = NULL;
    struct image_attributes attributes;
    struct error err = ERROR_INIT;

    assert_succeeds(image_index_list(bed->index, NULL, &listing, &err));
    assert_succeeds(look_up(bed, IMAGE_ID, &attributes, &err));
    assert_int_equal(fake_cloud_calls(bed->cloud).gets, 0);
}

/* --- look-up --- */

static void asks_nobody_about_names_that_are_no_ids(void **state)
{
    static const char *const names[] = {"",
                                        ".Trash",
                                        "autorun.inf",
                                        "11111111-2222-4333-8444-55555555555",
                                        "11111111-2222-4333-8444-5555555555555",
                                        "11111111-2222-4333-8444-55555555555G"};
    struct view_bed *bed = *state;
    struct image_attributes attributes;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        assert_fails(ERROR_NOT_FOUND, look_up(bed, names[i], &attributes, &err));
        assert_false(image_index_peek(bed->index, names[i], &attributes));
    }
    assert_int_equal(fake_cloud_calls(bed->cloud).gets, 0);
}

static void tells_what_cannot_be_read_by_its_reason(void **state)
{
    static const struct {
        const char *status;
        const char *members;
        enum error_kind kind;
        const char *word;
    } images[] = {
        {"queued", GPG_MEMBERS, ERROR_NOT_FOUND, "queued"},
        {"saving", GPG_MEMBERS, ERROR_NOT_FOUND, "saving"},
        {"deleted", GPG_MEMBERS, ERROR_NOT_FOUND, "deleted"},
        {"deactivated", GPG_MEMBERS, ERROR_DENIED, "deactivated"},
        {"active", NULL, ERROR_NOT_FOUND, "not encrypted"},
        {"active", "\"os_encrypt_format\": \"LUKS\"", ERROR_UNSUPPORTED, "LUKS"},
        {"active", "\"cinder_encryption_key_id\": \"" KEY_ID "\"", ERROR_UNSUPPORTED, "cinder"},
    };
    struct view_bed *bed = *state;
    struct image_attributes attributes;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(images); i++) {
        fake_cloud_put(bed->cloud, &(struct fake_cloud_image){.id = OTHER_ID,
                                                              .status = images[i].status,
                                                              .bytes = "x",
                                                              .size = 1,
                                                              .more = images[i].members});
        assert_fails(images[i].kind, look_up(bed, OTHER_ID, &attributes, &err));
        assert_message_has(images[i].word);
        assert_fails(images[i].kind, view_bed_try(bed, OTHER_ID, &err));
    }
}

static void remembers_a_record_for_record_ttl(void **state)
{
    struct view_bed *bed = *state;
    struct image_attributes attributes;
    struct error err = ERROR_INIT;

    assert_false(image_index_peek(bed->index, IMAGE_ID, &attributes));
    for (unsigned i = 0; i < 3; i++)
        assert_succeeds(look_up(bed, IMAGE_ID, &attributes, &err));
    assert_int_equal(fake_cloud_calls(bed->cloud).gets, 1);
    assert_true(image_index_peek(bed->index, IMAGE_ID, &attributes));
    view_bed_configure(bed, "record_ttl", "0");
    for (unsigned i = 0; i < 3; i++)
        assert_succeeds(look_up(bed, IMAGE_ID, &attributes, &err));
    assert_int_equal(fake_cloud_calls(bed->cloud).gets, 4);
    assert_false(image_index_peek(bed->index, IMAGE_ID, &attributes));
}

static void an_image_that_is_gone_is_forgotten(void **state)
{
    struct view_bed *bed = *state;
    struct image_attributes attributes;
    struct error err = ERROR_INIT;

    assert_succeeds(look_up(bed, IMAGE_ID, &attributes, &err));
    fake_cloud_remove(bed->cloud, IMAGE_ID);
    assert_succeeds(look_up(bed, IMAGE_ID, &attributes, &err));
    assert_fails(ERROR_NOT_FOUND, view_bed_try(bed, IMAGE_ID, &err));
    assert_fails(ERROR_NOT_FOUND, look_up(bed, IMAGE_ID, &attributes, &err));
}

static void an_open_image_needs_no_service_to_be_looked_at(void **state)
{
    struct view_bed *bed = *state;
    struct image_attributes attributes;

    view_bed_configure(bed, "record_ttl", "0");
    CLEANUP(read_stream_close) struct read_stream *stream = view_bed_stream(bed, IMAGE_ID);
    fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
    assert_true(image_index_peek(bed->index, IMAGE_ID, &attributes));
    assert_int_equal(attributes.size, PLAINTEXT_BYTES);
    read_stream_close(steal(&stream));
    assert_false(image_index_peek(bed->index, IMAGE_ID, &attributes));
}

static void a_slow_look_up_can_be_cancelled(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct image_attributes attributes;
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.get_ms = 100000});
    assert_fails(ERROR_CANCELLED,
                 image_index_lookup(bed->index, IMAGE_ID, cancel, &attributes, &err));
}

static void a_record_is_kept_for_its_properties(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_put(bed, OTHER_ID, GPG_MEMBERS ", \"os_distro\": \"debian\"");
    for (unsigned i = 0; i < 2; i++) {
        CLEANUP(image_record_unref) struct image_record *record = NULL;

        assert_succeeds(image_index_record(bed->index, OTHER_ID, NULL, &record, &err));
        assert_string_equal(image_record_property(record, "os_distro"), "debian");
    }
    assert_int_equal(fake_cloud_calls(bed->cloud).gets, 1);
}

/* --- sizes --- */

static void a_size_is_declared_or_estimated_until_it_is_exact(void **state)
{
    struct view_bed *bed = *state;
    struct image_attributes attributes;
    struct error err = ERROR_INIT;
    char members[256];

    (void)snprintf(members, sizeof members, "%s, \"os_decrypt_size\": \"%d\"", GPG_MEMBERS,
                   PLAINTEXT_BYTES);
    view_bed_put(bed, OTHER_ID, members);
    assert_succeeds(look_up(bed, OTHER_ID, &attributes, &err));
    assert_int_equal(attributes.size, PLAINTEXT_BYTES);
    assert_false(attributes.size_is_exact);
    assert_succeeds(look_up(bed, IMAGE_ID, &attributes, &err));
    assert_int_equal(attributes.size, bed->message_size);
    assert_false(attributes.size_is_exact);
    assert_succeeds(view_bed_try(bed, IMAGE_ID, &err));
    assert_succeeds(look_up(bed, IMAGE_ID, &attributes, &err));
    assert_int_equal(attributes.size, PLAINTEXT_BYTES);
    assert_true(attributes.size_is_exact);
}

static void an_exact_size_survives_close_and_a_new_record(void **state)
{
    struct view_bed *bed = *state;
    struct image_attributes attributes;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "record_ttl", "0");
    assert_succeeds(view_bed_try(bed, IMAGE_ID, &err));
    view_bed_put(bed, IMAGE_ID, GPG_MEMBERS ", \"name\": \"renamed\"");
    assert_succeeds(look_up(bed, IMAGE_ID, &attributes, &err));
    assert_int_equal(attributes.size, PLAINTEXT_BYTES);
    assert_true(attributes.size_is_exact);
}

/* --- status --- */

static void status_tells_what_is_open(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(memory_free) char *before = view_bed_status(bed);
    CLEANUP(read_stream_close) struct read_stream *stream = view_bed_stream(bed, IMAGE_ID);
    CLEANUP(memory_free) char *during = view_bed_status(bed);

    assert_non_null(stream);
    assert_non_null(strstr(before, "\"version\": \"1.2.3\""));
    assert_non_null(strstr(before, "\"cloud\": \"local:/fake\""));
    assert_non_null(strstr(before, "\"opens\": 0"));
    assert_null(strstr(before, IMAGE_ID));
    assert_non_null(strstr(during, "\"image\": \"" IMAGE_ID "\""));
    assert_non_null(strstr(during, "\"opens\": 1"));
    assert_non_null(strstr(during, "\"verifications\": 1"));
    assert_non_null(strstr(during, "\"objects\": 1"));
    assert_int_equal(during[strlen(during) - 1], '\n');
}

static void space_is_that_of_the_caches_filesystem(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;
    uint64_t total = 0;
    uint64_t available = 0;

    assert_succeeds(image_index_space(bed->index, &total, &available, &err));
    assert_true(total > 0);
    assert_true(available <= total);
}

#define test(name) cmocka_unit_test_setup_teardown(name, view_bed_open, view_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(lists_active_images_that_it_can_decrypt),
        test(lists_anew_each_time),
        test(passes_on_why_it_cannot_list),
        test(an_outage_of_the_image_service_leaves_what_is_known),
        test(a_listing_answers_the_look_ups_after_it),
        test(asks_nobody_about_names_that_are_no_ids),
        test(tells_what_cannot_be_read_by_its_reason),
        test(remembers_a_record_for_record_ttl),
        test(an_image_that_is_gone_is_forgotten),
        test(an_open_image_needs_no_service_to_be_looked_at),
        test(a_slow_look_up_can_be_cancelled),
        test(a_record_is_kept_for_its_properties),
        test(a_size_is_declared_or_estimated_until_it_is_exact),
        test(an_exact_size_survives_close_and_a_new_record),
        test(status_tells_what_is_open),
        test(space_is_that_of_the_caches_filesystem),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
