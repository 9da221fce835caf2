/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"
#include "support/testing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define HALF (STORE_SIZE / 2)

static struct partial_object *begin(const struct store_fixture *fixture)
{
    struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(
        object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
    return partial;
}

static int publish(const struct store_fixture *fixture, struct partial_object *partial,
                   struct error *err)
{
    return object_store_publish(fixture->layout, partial, &fixture->metadata, STORE_NOW_NS, NULL,
                                err);
}

static void assert_begins_from(const struct store_fixture *fixture, uint64_t present)
{
    CLEANUP(partial_object_free) struct partial_object *partial = begin(fixture);
    struct stat status;

    assert_int_equal(partial->present, present);
    assert_true(partial->is_granted == (present > 0));
    assert_int_equal(fstat(partial->data_fd, &status), 0);
    assert_int_equal(status.st_size, present);
    assert_true(store_has_file(fixture, CACHE_PLACE_PARTIAL, STORE_NAME, "meta.json") ==
                partial->is_granted);
}

static char *partial_path(const struct store_fixture *fixture, const char *file)
{
    return store_path(fixture, CACHE_PLACE_PARTIAL, STORE_NAME, file);
}

/* --- beginning --- */

static void a_download_begins_empty(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = begin(fixture);

    assert_string_equal(partial->name, STORE_NAME);
    assert_int_equal(partial->present, 0);
    assert_false(partial->is_granted);
    assert_int_equal(lseek(partial->data_fd, 0, SEEK_END), 0);
}

static void one_that_was_cut_goes_on_where_it_ended(void **state)
{
    const struct store_fixture *fixture = *state;
    struct partial_object *partial;
    struct error err = ERROR_INIT;

    store_leave_partial(fixture, HALF);
    partial = begin(fixture);
    assert_int_equal(partial->present, HALF);
    assert_true(partial->is_granted);
    store_write(partial, &STORE_BYTES[HALF], STORE_SIZE - HALF, HALF);
    assert_succeeds(publish(fixture, partial, &err));
    partial_object_free(partial);
    assert_store_object_is_right(fixture);
}

static void other_metadata_begin_anew(void **state)
{
    struct store_fixture *fixture = *state;
    const struct object_metadata before = fixture->metadata;

    store_leave_partial(fixture, HALF);
    fixture->metadata.size++;
    assert_begins_from(fixture, 0);
    fixture->metadata = before;
    store_leave_partial(fixture, HALF);
    memcpy(fixture->metadata.checksum, "fedcba9876543210fedcba9876543210", 33);
    assert_begins_from(fixture, 0);
    fixture->metadata = before;
    store_leave_partial(fixture, HALF);
    memcpy(fixture->metadata.hash_algo, "sha384", 7);
    assert_begins_from(fixture, 0);
}

/* Of an object that the record does not prove nobody could tell whether the beginning is right. */
static void what_no_hash_can_prove_begins_anew(void **state)
{
    struct store_fixture *fixture = *state;

    memcpy(fixture->metadata.hash_algo, "sha999", 7);
    store_leave_partial(fixture, HALF);
    assert_begins_from(fixture, 0);
    memcpy(fixture->metadata.checksum, "fedcba9876543210fedcba9876543210", 33);
    store_leave_partial(fixture, HALF);
    assert_begins_from(fixture, HALF);
}

static void one_that_nothing_was_granted_to_begins_anew(void **state)
{
    const struct store_fixture *fixture = *state;
    struct partial_object *partial = begin(fixture);

    store_write(partial, STORE_BYTES, HALF, 0);
    partial_object_free(partial);
    assert_begins_from(fixture, 0);
}

static void more_than_the_image_has_begins_anew(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *data = partial_path(fixture, "data");

    store_leave_partial(fixture, STORE_SIZE);
    assert_int_equal(truncate(data, STORE_SIZE + 1), 0);
    assert_begins_from(fixture, 0);
}

static void damaged_metadata_begin_anew(void **state)
{
    static const char *const texts[] = {"", "{}\n", "{\"version\": 2}\n"};
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *metadata = partial_path(fixture, "meta.json");

    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        store_leave_partial(fixture, HALF);
        temp_dir_write(fixture->dir, "cache/partial/" STORE_NAME "/meta.json", texts[i],
                       strlen(texts[i]));
        assert_begins_from(fixture, 0);
    }
    store_leave_partial(fixture, HALF);
    assert_int_equal(unlink(metadata), 0);
    assert_int_equal(symlink("/etc/passwd", metadata), 0);
    assert_begins_from(fixture, 0);
}

static void what_is_complete_is_not_begun(void **state)
{
    const struct store_fixture *fixture = *state;
    struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    store_publish(fixture);
    assert_fails(ERROR_EXISTS, object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL,
                                                  &partial, &err));
    assert_null(partial);
    assert_int_equal(store_count(fixture, CACHE_PLACE_PARTIAL), 0);
}

/* A link that has our name is taken away, and what it leads to is not touched. */
static void a_link_is_taken_out_of_the_way(void **state)
{
    static const char *const files[] = {NULL, "data", "meta.json"};
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *outside = temp_dir_join(fixture->dir, "outside");

    assert_int_equal(mkdir(outside, 0700), 0);
    temp_dir_write(fixture->dir, "outside/data", "x", 1);
    for (size_t i = 0; i < ELEMENTS_OF(files); i++) {
        CLEANUP(memory_free) char *path = partial_path(fixture, files[i]);
        CLEANUP(memory_free)
        char *target = temp_dir_join(fixture->dir, files[i] == NULL ? "outside" : "outside/data");
        CLEANUP(memory_free) uint8_t *bytes = NULL;
        struct error err = ERROR_INIT;

        store_leave_partial(fixture, HALF);
        if (files[i] == NULL)
            assert_succeeds(
                object_store_discard(fixture->layout, CACHE_PLACE_PARTIAL, STORE_NAME, &err));
        else
            assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink(target, path), 0);
        store_publish(fixture);
        assert_store_object_is_right(fixture);
        assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
        bytes = temp_dir_read(fixture->dir, "outside/data", NULL);
        assert_string_equal((const char *)bytes, "x");
        assert_succeeds(object_store_quarantine(fixture->layout, STORE_NAME, 0, NULL, &err));
    }
}

static void a_directory_as_data_is_taken_out_of_the_way(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *data = partial_path(fixture, "data");

    store_leave_partial(fixture, HALF);
    assert_int_equal(unlink(data), 0);
    assert_int_equal(mkdir(data, 0700), 0);
    store_publish(fixture);
    assert_store_object_is_right(fixture);
}

static void a_directory_as_metadata_is_taken_out_of_the_way(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *metadata = partial_path(fixture, "meta.json");

    store_leave_partial(fixture, HALF);
    assert_int_equal(unlink(metadata), 0);
    assert_int_equal(mkdir(metadata, 0700), 0);
    store_publish(fixture);
    assert_store_object_is_right(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
}

static void what_a_kill_left_of_the_metadata_goes(void **state)
{
    const struct store_fixture *fixture = *state;

    store_leave_partial(fixture, HALF);
    temp_dir_write(fixture->dir, "cache/partial/" STORE_NAME "/.glancefs-tmp-1", "x", 1);
    assert_begins_from(fixture, HALF);
    assert_false(store_has_file(fixture, CACHE_PLACE_PARTIAL, STORE_NAME, ".glancefs-tmp-1"));
}

/* --- space --- */

static uint64_t allocated_bytes(const struct partial_object *partial)
{
    struct stat status;

    assert_int_equal(fstat(partial->data_fd, &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

static void a_grant_is_recorded_and_leaves_the_size(void **state)
{
    struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct object_metadata metadata;
    struct error err = ERROR_INIT;

    fixture->metadata.size = 100000;
    fixture->metadata.fetched_at = STORE_NOW;
    partial = begin(fixture);
    assert_succeeds(object_store_grant(partial, &fixture->metadata, &err));
    assert_true(partial->is_granted);
    assert_int_equal(lseek(partial->data_fd, 0, SEEK_END), 0);
    assert_succeeds(object_store_read_metadata(fixture->layout, CACHE_PLACE_PARTIAL, STORE_NAME,
                                               &metadata, &err));
    assert_true(object_metadata_is_same(&metadata, &fixture->metadata));
    assert_int_equal(metadata.fetched_at, 0);
}

static void a_size_that_never_fits_is_not_granted(void **state)
{
    struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    fixture->metadata.size = UINT64_MAX - 1;
    partial = begin(fixture);
    assert_fails(ERROR_NO_SPACE, object_store_grant(partial, &fixture->metadata, &err));
    assert_false(partial->is_granted);
    assert_false(store_has_file(fixture, CACHE_PLACE_PARTIAL, STORE_NAME, "meta.json"));
}

static void a_restart_drops_the_bytes_and_keeps_the_grant(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    store_leave_partial(fixture, HALF);
    partial = begin(fixture);
    assert_succeeds(object_store_restart(partial, &err));
    assert_int_equal(partial->present, 0);
    assert_true(partial->is_granted);
    assert_int_equal(lseek(partial->data_fd, 0, SEEK_END), 0);
    assert_int_equal(allocated_bytes(partial), 0);
    assert_true(store_has_file(fixture, CACHE_PLACE_PARTIAL, STORE_NAME, "meta.json"));
}

/* --- the end --- */

static void what_is_not_whole_is_not_published(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    store_leave_partial(fixture, HALF);
    partial = begin(fixture);
    assert_fails(ERROR_CORRUPT, publish(fixture, partial, &err));
    store_write(partial, STORE_BYTES "x", STORE_SIZE + 1, 0);
    assert_fails(ERROR_CORRUPT, publish(fixture, partial, &err));
    assert_int_equal(store_count(fixture, CACHE_PLACE_OBJECTS), 0);
}

static void readers_come_as_soon_as_it_is_published(void **state)
{
    const struct store_fixture *fixture = *state;
    struct partial_object *partial = begin(fixture);
    struct error err = ERROR_INIT;

    assert_succeeds(object_store_grant(partial, &fixture->metadata, &err));
    store_write(partial, STORE_BYTES, STORE_SIZE, 0);
    assert_succeeds(publish(fixture, partial, &err));
    assert_store_object_is_right(fixture);
    /* It is a reader's lock that is left, and it counts. */
    assert_fails(ERROR_BUSY,
                 object_store_discard(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME, &err));
    object_store_drop(fixture->layout, partial);
    assert_store_object_is_right(fixture);
    partial_object_free(partial);
    assert_succeeds(object_store_discard(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME, &err));
}

static void what_stands_under_the_name_is_replaced(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(memory_free) char *object = store_path(fixture, CACHE_PLACE_OBJECTS, STORE_NAME, NULL);
    struct error err = ERROR_INIT;

    /* An earlier version's file, a link, a directory with something in it, an object of another size. */
    temp_dir_write(fixture->dir, "cache/objects/" STORE_NAME, "x", 1);
    store_publish(fixture);
    assert_store_object_is_right(fixture);
    assert_succeeds(object_store_quarantine(fixture->layout, STORE_NAME, 0, NULL, &err));
    assert_int_equal(symlink(fixture->path, object), 0);
    store_publish(fixture);
    assert_store_object_is_right(fixture);
    assert_succeeds(object_store_quarantine(fixture->layout, STORE_NAME, 0, NULL, &err));
    assert_int_equal(mkdir(object, 0700), 0);
    temp_dir_write(fixture->dir, "cache/objects/" STORE_NAME "/data", "x", 1);
    store_publish(fixture);
    assert_store_object_is_right(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
}

static void one_that_somebody_removed_is_not_published(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = begin(fixture);
    CLEANUP(memory_free) char *path = partial_path(fixture, NULL);
    CLEANUP(memory_free) char *elsewhere = temp_dir_join(fixture->dir, "elsewhere");
    struct error err = ERROR_INIT;

    assert_succeeds(object_store_grant(partial, &fixture->metadata, &err));
    store_write(partial, STORE_BYTES, STORE_SIZE, 0);
    assert_int_equal(rename(path, elsewhere), 0);
    assert_fails(ERROR_NOT_FOUND, publish(fixture, partial, &err));
    store_leave_partial(fixture, HALF);
    assert_fails(ERROR_NOT_FOUND, publish(fixture, partial, &err));
    object_store_drop(fixture->layout, partial);
    assert_begins_from(fixture, HALF);
}

static void a_dropped_download_leaves_nothing(void **state)
{
    const struct store_fixture *fixture = *state;
    struct partial_object *partial;

    store_leave_partial(fixture, HALF);
    partial = begin(fixture);
    object_store_drop(fixture->layout, partial);
    assert_int_equal(store_count(fixture, CACHE_PLACE_PARTIAL), 0);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
    object_store_drop(fixture->layout, partial);
    partial_object_free(partial);
    assert_begins_from(fixture, 0);
}

static void a_clock_before_the_epoch_does_not_unpublish(void **state)
{
    static const int64_t times[] = {0, -1, SECONDS(-1795430400)};
    const struct store_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(times); i++) {
        CLEANUP(partial_object_free) struct partial_object *partial = begin(fixture);
        struct error err = ERROR_INIT;

        assert_succeeds(object_store_grant(partial, &fixture->metadata, &err));
        store_write(partial, STORE_BYTES, STORE_SIZE, 0);
        assert_succeeds(object_store_publish(fixture->layout, partial, &fixture->metadata, times[i],
                                             NULL, &err));
        assert_store_object_is_right(fixture);
        assert_succeeds(object_store_quarantine(fixture->layout, STORE_NAME, 0, NULL, &err));
    }
}

#define store_test(name)                                                                           \
    cmocka_unit_test_setup_teardown(name, open_store_fixture, close_store_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_download_begins_empty),
        store_test(one_that_was_cut_goes_on_where_it_ended),
        store_test(other_metadata_begin_anew),
        store_test(what_no_hash_can_prove_begins_anew),
        store_test(one_that_nothing_was_granted_to_begins_anew),
        store_test(more_than_the_image_has_begins_anew),
        store_test(damaged_metadata_begin_anew),
        store_test(what_is_complete_is_not_begun),
        store_test(a_link_is_taken_out_of_the_way),
        store_test(a_directory_as_data_is_taken_out_of_the_way),
        store_test(a_directory_as_metadata_is_taken_out_of_the_way),
        store_test(what_a_kill_left_of_the_metadata_goes),
        store_test(a_grant_is_recorded_and_leaves_the_size),
        store_test(a_size_that_never_fits_is_not_granted),
        store_test(a_restart_drops_the_bytes_and_keeps_the_grant),
        store_test(what_is_not_whole_is_not_published),
        store_test(readers_come_as_soon_as_it_is_published),
        store_test(what_stands_under_the_name_is_replaced),
        store_test(one_that_somebody_removed_is_not_published),
        store_test(a_dropped_download_leaves_nothing),
        store_test(a_clock_before_the_epoch_does_not_unpublish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
