/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"
#include "support/testing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define HALF (STORE_SIZE / 2)
#define BLOCKS_BYTES 4096

static struct stored_object_list *list(const struct store_fixture *fixture)
{
    struct stored_object_list *all = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(object_store_list(fixture->layout, NULL, NULL, &all, &err));
    return all;
}

/* The only one that is listed. */
static struct stored_object only_object(const struct store_fixture *fixture)
{
    CLEANUP(stored_object_list_free) struct stored_object_list *all = list(fixture);

    assert_int_equal(all->count, 1);
    assert_int_equal(all->unknown, 0);
    return all->objects[0];
}

static void tidy(const struct store_fixture *fixture)
{
    struct error err = ERROR_INIT;

    assert_succeeds(object_store_tidy(fixture->layout, (struct tidy_listener){NULL, NULL}, &err));
}

/* --- the listing --- */

static void an_empty_cache_has_an_empty_list(void **state)
{
    CLEANUP(stored_object_list_free) struct stored_object_list *all = list(*state);

    assert_int_equal(all->count, 0);
    assert_int_equal(all->unknown, 0);
}

static void tells_of_a_complete_object(void **state)
{
    const struct store_fixture *fixture = *state;
    struct stored_object object;

    store_publish(fixture);
    object = only_object(fixture);
    assert_string_equal(object.name, STORE_NAME);
    assert_int_equal(object.place, CACHE_PLACE_OBJECTS);
    assert_int_equal(object.data_bytes, STORE_SIZE);
    assert_true(object.disk_bytes >= STORE_SIZE);
    assert_int_equal(object.unallocated_bytes, 0);
    assert_int_equal(object.last_used_ns, STORE_NOW_NS);
}

static void tells_of_what_is_set_aside(void **state)
{
    const struct store_fixture *fixture = *state;
    struct stored_object object;
    struct error err = ERROR_INIT;

    store_publish(fixture);
    assert_succeeds(object_store_quarantine(fixture->layout, STORE_NAME, 0, NULL, &err));
    object = only_object(fixture);
    assert_int_equal(object.place, CACHE_PLACE_QUARANTINE);
    assert_int_equal(object.data_bytes, STORE_SIZE);
}

/* What a download reserved counts as a whole, be it allocated or not. */
static void a_download_counts_with_its_whole_size(void **state)
{
    struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *data = store_path(fixture, CACHE_PLACE_PARTIAL, STORE_NAME, "data");
    struct stored_object object;

    fixture->metadata.size = 1000000;
    store_leave_partial(fixture, HALF);
    object = only_object(fixture);
    assert_int_equal(object.place, CACHE_PLACE_PARTIAL);
    assert_int_equal(object.data_bytes, HALF);
    assert_true(object.disk_bytes >= 1000000);
    assert_true(object.disk_bytes < 1000000 + 10 * BLOCKS_BYTES);
    /* Gives back what was allocated behind the data; the metadata still reserve it. */
    assert_int_equal(truncate(data, HALF), 0);
    object = only_object(fixture);
    assert_true(object.unallocated_bytes >= 1000000 - BLOCKS_BYTES);
    assert_true(object.disk_bytes >= 1000000);
    assert_true(object.disk_bytes < 1000000 + 10 * BLOCKS_BYTES);
}

static void a_download_that_nothing_was_granted_to_counts_for_nothing(void **state)
{
    struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct stored_object object;
    struct error err = ERROR_INIT;

    fixture->metadata.size = 1000000;
    assert_succeeds(
        object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
    object = only_object(fixture);
    assert_int_equal(object.unallocated_bytes, 0);
    assert_true(object.disk_bytes < 10 * BLOCKS_BYTES);
}

static void a_download_of_unknown_size_counts_with_what_it_has(void **state)
{
    struct store_fixture *fixture = *state;

    fixture->metadata.size = OBJECT_SIZE_UNKNOWN;
    store_leave_partial(fixture, HALF);
    assert_int_equal(only_object(fixture).data_bytes, HALF);
    assert_int_equal(only_object(fixture).unallocated_bytes, 0);
}

static void what_has_our_name_but_is_no_directory_is_listed(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *outside = temp_dir_join(fixture->dir, "outside");
    CLEANUP(memory_free) char *link = store_path(fixture, CACHE_PLACE_PARTIAL, STORE_NAME, NULL);
    CLEANUP(stored_object_list_free) struct stored_object_list *all = NULL;

    temp_dir_write(fixture->dir, "cache/objects/" STORE_NAME, "x", 1);
    assert_int_equal(mkdir(outside, 0700), 0);
    temp_dir_write(fixture->dir, "outside/data", STORE_BYTES, STORE_SIZE);
    assert_int_equal(symlink(outside, link), 0);
    all = list(fixture);
    assert_int_equal(all->count, 2);
    assert_int_equal(all->unknown, 0);
    assert_int_equal(all->objects[0].data_bytes, 0);
    assert_int_equal(all->objects[1].data_bytes, 0);
}

struct seen {
    unsigned count;
    unsigned in_partial;
};

static void count_unknown(void *context, enum cache_place place, const char *name)
{
    struct seen *seen = context;

    seen->count++;
    seen->in_partial += place == CACHE_PLACE_PARTIAL && strcmp(name, "README") == 0;
}

static void what_is_none_of_ours_is_told_and_left_alone(void **state)
{
    static const char *const foreign[] = {
        "cache/objects/README",
        "cache/partial/README",
        "cache/quarantine/.hidden",
        "cache/objects/" STORE_ID ".",
        "cache/objects/" STORE_ID ".xyz",
        "cache/objects/" STORE_ID "." STORE_SHA256 STORE_SHA256 "0",
        "cache/objects/" STORE_ID ".ABCDEF",
        "cache/objects/" STORE_ID "x",
        "cache/objects/11111111-2222-4333-8444",
        "cache/objects/.glancefs-tmp-1",
    };
    const struct store_fixture *fixture = *state;
    CLEANUP(stored_object_list_free) struct stored_object_list *all = NULL;
    struct seen seen = {0};
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(foreign); i++)
        temp_dir_write(fixture->dir, foreign[i], "x", 1);
    assert_succeeds(object_store_list(fixture->layout, count_unknown, &seen, &all, &err));
    assert_int_equal(all->count, 0);
    assert_int_equal(all->unknown, ELEMENTS_OF(foreign));
    assert_int_equal(seen.count, ELEMENTS_OF(foreign));
    assert_int_equal(seen.in_partial, 1);
    tidy(fixture);
    for (size_t i = 0; i < ELEMENTS_OF(foreign); i++)
        assert_true(temp_dir_has(fixture->dir, foreign[i]));
}

static void an_id_alone_and_with_any_digest_is_a_name(void **state)
{
    static const char *const names[] = {STORE_ID, STORE_ID ".0", STORE_NAME,
                                        STORE_ID "." STORE_SHA256 STORE_SHA256};
    const struct store_fixture *fixture = *state;
    CLEANUP(stored_object_list_free) struct stored_object_list *all = NULL;

    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        CLEANUP(memory_free) char *path = store_path(fixture, CACHE_PLACE_OBJECTS, names[i], NULL);

        assert_int_equal(mkdir(path, 0700), 0);
    }
    all = list(fixture);
    assert_int_equal(all->count, ELEMENTS_OF(names));
    assert_int_equal(all->unknown, 0);
}

static void lists_more_than_fit_into_the_first_allocation(void **state)
{
    enum { OBJECTS = 1000 };
    const struct store_fixture *fixture = *state;
    CLEANUP(stored_object_list_free) struct stored_object_list *all = NULL;

    for (int i = 0; i < OBJECTS; i++) {
        CLEANUP(memory_free) char *path = NULL;

        assert_true(asprintf(&path, "%s/objects/11111111-2222-4333-8444-%012d", fixture->path, i) >
                    0);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    all = list(fixture);
    assert_int_equal(all->count, OBJECTS);
}

/* --- the daemon's start --- */

static void tidying_leaves_what_is_right(void **state)
{
    const struct store_fixture *fixture = *state;

    store_publish(fixture);
    tidy(fixture);
    assert_store_object_is_right(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_QUARANTINE), 0);
}

static void tidying_sets_damaged_objects_aside(void **state)
{
    static const char *const files[] = {"data", "meta.json"};
    const struct store_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(files); i++) {
        CLEANUP(memory_free)
        char *path = store_path(fixture, CACHE_PLACE_OBJECTS, STORE_NAME, files[i]);

        store_publish(fixture);
        assert_int_equal(truncate(path, 5), 0);
        tidy(fixture);
        assert_int_equal(store_count(fixture, CACHE_PLACE_OBJECTS), 0);
        assert_true(store_has_file(fixture, CACHE_PLACE_QUARANTINE, STORE_NAME, files[i]));
        store_publish(fixture);
        assert_int_equal(unlink(path), 0);
        tidy(fixture);
        assert_int_equal(store_count(fixture, CACHE_PLACE_OBJECTS), 0);
        assert_false(store_has_file(fixture, CACHE_PLACE_QUARANTINE, STORE_NAME, files[i]));
    }
    temp_dir_write(fixture->dir, "cache/objects/" STORE_NAME, "an earlier version's", 5);
    tidy(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_OBJECTS), 0);
    assert_int_equal(store_count(fixture, CACHE_PLACE_QUARANTINE), 1);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
}

static void tidying_keeps_downloads_that_can_be_resumed(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    store_leave_partial(fixture, HALF);
    tidy(fixture);
    assert_succeeds(
        object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
    assert_int_equal(partial->present, HALF);
}

static void tidying_drops_downloads_that_cannot(void **state)
{
    struct store_fixture *fixture = *state;
    CLEANUP(memory_free)
    char *metadata = store_path(fixture, CACHE_PLACE_PARTIAL, STORE_NAME, "meta.json");

    store_leave_partial(fixture, HALF);
    assert_int_equal(unlink(metadata), 0);
    tidy(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_PARTIAL), 0);
    store_leave_partial(fixture, HALF);
    assert_int_equal(truncate(metadata, 10), 0);
    tidy(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_PARTIAL), 0);
    fixture->metadata.hash_algo[0] = '\0';
    store_leave_partial(fixture, HALF);
    tidy(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_PARTIAL), 0);
    temp_dir_write(fixture->dir, "cache/partial/" STORE_NAME, "x", 1);
    tidy(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_PARTIAL), 0);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
}

static void tidying_leaves_a_download_in_hand_alone(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(
        object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
    tidy(fixture);
    assert_succeeds(object_store_grant(partial, &fixture->metadata, &err));
    store_write(partial, STORE_BYTES, STORE_SIZE, 0);
    assert_succeeds(object_store_publish(fixture->layout, partial, &fixture->metadata, STORE_NOW_NS,
                                         NULL, &err));
    assert_store_object_is_right(fixture);
}

static void tidying_empties_the_trash_and_leaves_the_quarantine(void **state)
{
    const struct store_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    store_publish(fixture);
    assert_succeeds(object_store_quarantine(fixture->layout, STORE_NAME, 0, NULL, &err));
    store_publish(fixture);
    assert_succeeds(object_store_discard(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME, &err));
    tidy(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
    assert_int_equal(store_count(fixture, CACHE_PLACE_QUARANTINE), 1);
}

#define store_test(name)                                                                           \
    cmocka_unit_test_setup_teardown(name, open_store_fixture, close_store_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(an_empty_cache_has_an_empty_list),
        store_test(tells_of_a_complete_object),
        store_test(tells_of_what_is_set_aside),
        store_test(a_download_counts_with_its_whole_size),
        store_test(a_download_that_nothing_was_granted_to_counts_for_nothing),
        store_test(a_download_of_unknown_size_counts_with_what_it_has),
        store_test(what_has_our_name_but_is_no_directory_is_listed),
        store_test(what_is_none_of_ours_is_told_and_left_alone),
        store_test(an_id_alone_and_with_any_digest_is_a_name),
        store_test(lists_more_than_fit_into_the_first_allocation),
        store_test(tidying_leaves_what_is_right),
        store_test(tidying_sets_damaged_objects_aside),
        store_test(tidying_keeps_downloads_that_can_be_resumed),
        store_test(tidying_drops_downloads_that_cannot),
        store_test(tidying_leaves_a_download_in_hand_alone),
        store_test(tidying_empties_the_trash_and_leaves_the_quarantine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
