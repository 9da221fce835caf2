/* SPDX-License-Identifier: Apache-2.0 */
#include "view/attribute_cache.h"

#include "base/clock.h"
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define HASH_A "\"os_hash_algo\": \"sha256\", \"os_hash_value\": \"aa\""
#define HASH_B "\"os_hash_algo\": \"sha256\", \"os_hash_value\": \"bb\""

/* A record with these members beside id and status; the test drops the reference. */
static struct image_record *record_of(const char *id, const char *members)
{
    struct image_record *record = NULL;
    struct error err = ERROR_INIT;
    char json[512];
    const int length =
        snprintf(json, sizeof json, "{\"id\": \"%s\", \"status\": \"active\", %s}", id, members);

    assert_succeeds(image_record_parse(json, (size_t)length, &record, &err));
    return record;
}

static int open_cache(void **state)
{
    struct error err = ERROR_INIT;

    return attribute_cache_new(60, (struct attribute_cache **)state, &err);
}

static int close_cache(void **state)
{
    attribute_cache_free(*state);
    return 0;
}

/* Puts a record with these members and gives the attributes. */
static struct image_attributes put(struct attribute_cache *cache, const char *members)
{
    CLEANUP(image_record_unref) struct image_record *record = record_of(IMAGE_ID, members);
    struct image_attributes attributes;

    attribute_cache_put(cache, record, true, &attributes);
    return attributes;
}

static void set_exact_size(struct attribute_cache *cache, const char *members, uint64_t size)
{
    CLEANUP(image_record_unref) struct image_record *record = record_of(IMAGE_ID, members);

    attribute_cache_set_exact_size(cache, record, size);
}

static void estimates_by_the_declared_size_else_the_stored_one(void **state)
{
    static const struct {
        const char *members;
        uint64_t size;
    } records[] = {
        {"\"size\": 1000", 1000},
        {"\"size\": 1000, \"os_decrypt_size\": \"900\"", 900},
        {"\"size\": 1000, \"os_decrypt_size\": \"0\"", 0},
        {"\"size\": 1000, \"os_decrypt_size\": \"many\"", 1000},
        {"\"size\": 0", 1},
        {"\"name\": \"no size\"", 1},
    };

    for (size_t i = 0; i < ELEMENTS_OF(records); i++) {
        const struct image_attributes attributes = put(*state, records[i].members);

        assert_int_equal(attributes.size, records[i].size);
        assert_false(attributes.size_is_exact);
        assert_string_equal(attributes.id, IMAGE_ID);
    }
}

static void shows_when_the_image_was_updated(void **state)
{
    const struct image_attributes attributes =
        put(*state, "\"size\": 1, \"updated_at\": \"2024-05-06T07:08:09Z\"");

    assert_int_equal(attributes.updated_at, 1714979289);
}

static void an_exact_size_belongs_to_the_stored_bytes(void **state)
{
    put(*state, "\"size\": 1000, " HASH_A);
    set_exact_size(*state, "\"size\": 1000, " HASH_A, 777);
    assert_int_equal(put(*state, "\"size\": 1000, " HASH_A).size, 777);
    assert_true(put(*state, "\"size\": 1000, \"name\": \"new\", " HASH_A).size_is_exact);
    assert_int_equal(put(*state, "\"size\": 1000, " HASH_B).size, 1000);
    assert_int_equal(put(*state, "\"size\": 1001, " HASH_A).size, 1001);
    assert_int_equal(put(*state, "\"size\": 1000, " HASH_A).size, 777);
}

static void an_exact_size_shows_at_once(void **state)
{
    struct image_attributes attributes;

    put(*state, "\"size\": 1000, \"os_decrypt_size\": \"0\", " HASH_A);
    set_exact_size(*state, "\"size\": 1000, " HASH_A, 0);
    assert_int_equal(attribute_cache_get(*state, IMAGE_ID, &attributes), ATTRIBUTES_FRESH);
    assert_int_equal(attributes.size, 0);
    assert_true(attributes.size_is_exact);
}

static void what_was_dropped_is_unknown(void **state)
{
    struct image_attributes attributes;

    assert_int_equal(attribute_cache_get(*state, IMAGE_ID, &attributes), ATTRIBUTES_UNKNOWN);
    put(*state, "\"size\": 1000");
    attribute_cache_drop(*state, IMAGE_ID);
    attribute_cache_drop(*state, IMAGE_ID);
    assert_int_equal(attribute_cache_get(*state, IMAGE_ID, &attributes), ATTRIBUTES_UNKNOWN);
    assert_null(attribute_cache_record(*state, IMAGE_ID));
}

static void what_is_older_than_the_ttl_is_stale(void **state)
{
    CLEANUP(attribute_cache_free) struct attribute_cache *cache = NULL;
    struct image_attributes attributes;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(attribute_cache_new(0, &cache, &err));
    put(cache, "\"size\": 1000, " HASH_A);
    assert_int_equal(attribute_cache_get(cache, IMAGE_ID, &attributes), ATTRIBUTES_STALE);
    assert_null(attribute_cache_record(cache, IMAGE_ID));
    set_exact_size(cache, "\"size\": 1000, " HASH_A, 777);
    attribute_cache_prune(cache);
    assert_int_equal(attribute_cache_get(cache, IMAGE_ID, &attributes), ATTRIBUTES_STALE);
    attribute_cache_drop(cache, IMAGE_ID);
    put(cache, "\"size\": 1000, " HASH_A);
    attribute_cache_prune(cache);
    assert_int_equal(attribute_cache_get(cache, IMAGE_ID, &attributes), ATTRIBUTES_UNKNOWN);
}

static void id_of(unsigned number, char ret[37])
{
    (void)snprintf(ret, 37, "%08x-2222-4333-8444-555555555555", number);
}

static void keeps_the_attributes_of_many_and_the_records_of_the_last_few(void **state)
{
    const unsigned count = 5000;
    unsigned records = 0;

    for (unsigned i = 0; i < count; i++) {
        struct image_attributes attributes;
        char id[37];

        id_of(i, id);
        CLEANUP(image_record_unref) struct image_record *record = record_of(id, "\"size\": 1000");
        attribute_cache_put(*state, record, true, &attributes);
    }
    for (unsigned i = 0; i < count; i++) {
        struct image_attributes attributes;
        char id[37];

        id_of(i, id);
        CLEANUP(image_record_unref)
        struct image_record *record = attribute_cache_record(*state, id);
        assert_int_equal(attribute_cache_get(*state, id, &attributes), ATTRIBUTES_FRESH);
        assert_int_equal(record != NULL, i >= count - ATTRIBUTE_CACHE_RECORDS);
        records += record != NULL;
    }
    assert_int_equal(records, ATTRIBUTE_CACHE_RECORDS);
}

static void a_newer_record_replaces_the_one_kept(void **state)
{
    struct image_attributes attributes;

    put(*state, "\"size\": 1, \"name\": \"old\"");
    put(*state, "\"size\": 1, \"name\": \"new\"");
    CLEANUP(image_record_unref)
    struct image_record *record = attribute_cache_record(*state, IMAGE_ID);
    assert_string_equal(image_record_name(record), "new");
    CLEANUP(image_record_unref)
    struct image_record *listed = record_of(IMAGE_ID, "\"size\": 1, \"name\": \"listed\"");
    attribute_cache_put(*state, listed, false, &attributes);
    CLEANUP(image_record_unref)
    struct image_record *kept = attribute_cache_record(*state, IMAGE_ID);
    assert_string_equal(image_record_name(kept), "listed");
}

static void a_listed_record_alone_is_not_kept(void **state)
{
    CLEANUP(image_record_unref)
    struct image_record *listed = record_of(IMAGE_ID, "\"size\": 1000");
    struct image_attributes attributes;

    attribute_cache_put(*state, listed, false, &attributes);
    assert_int_equal(attribute_cache_get(*state, IMAGE_ID, &attributes), ATTRIBUTES_FRESH);
    assert_null(attribute_cache_last_record(*state, IMAGE_ID));
}

static void a_stale_record_is_the_last_one_until_it_is_forgotten(void **state)
{
    CLEANUP(attribute_cache_free) struct attribute_cache *cache = NULL;
    struct image_attributes attributes;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(attribute_cache_new(0, &cache, &err));
    assert_null(attribute_cache_last_record(cache, IMAGE_ID));
    put(cache, "\"size\": 1000, \"name\": \"last\"");
    assert_null(attribute_cache_record(cache, IMAGE_ID));
    CLEANUP(image_record_unref)
    struct image_record *record = attribute_cache_last_record(cache, IMAGE_ID);
    assert_string_equal(image_record_name(record), "last");
    attribute_cache_forget_record(cache, IMAGE_ID);
    attribute_cache_forget_record(cache, IMAGE_ID);
    assert_null(attribute_cache_last_record(cache, IMAGE_ID));
    assert_int_equal(attribute_cache_get(cache, IMAGE_ID, &attributes), ATTRIBUTES_STALE);
}

static void what_a_listing_misses_is_neither_fresh_nor_the_last(void **state)
{
    struct image_attributes attributes;

    put(*state, "\"size\": 1000, " HASH_A);
    set_exact_size(*state, "\"size\": 1000, " HASH_A, 777);
    attribute_cache_miss_older(*state, UINT64_MAX);
    assert_null(attribute_cache_last_record(*state, IMAGE_ID));
    attribute_cache_prune(*state);
    assert_int_equal(attribute_cache_get(*state, IMAGE_ID, &attributes), ATTRIBUTES_MISSED);
    assert_int_equal(attributes.size, 777);
    put(*state, "\"size\": 1000, " HASH_A);
    assert_int_equal(attribute_cache_get(*state, IMAGE_ID, &attributes), ATTRIBUTES_FRESH);
    assert_int_equal(attributes.size, 777);
}

static void what_came_during_a_listing_is_not_missed(void **state)
{
    const uint64_t begun_ns = clock_monotonic_ns();
    struct image_attributes attributes;

    put(*state, "\"size\": 1000");
    attribute_cache_miss_older(*state, begun_ns);
    assert_int_equal(attribute_cache_get(*state, IMAGE_ID, &attributes), ATTRIBUTES_FRESH);
    CLEANUP(image_record_unref)
    struct image_record *record = attribute_cache_last_record(*state, IMAGE_ID);
    assert_non_null(record);
}

static void what_was_missed_without_an_exact_size_goes(void **state)
{
    struct image_attributes attributes;

    put(*state, "\"size\": 1000");
    attribute_cache_miss_older(*state, UINT64_MAX);
    attribute_cache_prune(*state);
    assert_int_equal(attribute_cache_get(*state, IMAGE_ID, &attributes), ATTRIBUTES_UNKNOWN);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_cache, close_cache)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(estimates_by_the_declared_size_else_the_stored_one),
        test(shows_when_the_image_was_updated),
        test(an_exact_size_belongs_to_the_stored_bytes),
        test(an_exact_size_shows_at_once),
        test(what_was_dropped_is_unknown),
        test(what_is_older_than_the_ttl_is_stale),
        test(keeps_the_attributes_of_many_and_the_records_of_the_last_few),
        test(a_newer_record_replaces_the_one_kept),
        test(a_listed_record_alone_is_not_kept),
        test(a_stale_record_is_the_last_one_until_it_is_forgotten),
        test(what_a_listing_misses_is_neither_fresh_nor_the_last),
        test(what_came_during_a_listing_is_not_missed),
        test(what_was_missed_without_an_exact_size_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
