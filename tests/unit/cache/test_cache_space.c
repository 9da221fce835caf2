/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_space.h"

#include "cache/wall_clock.h"
#include "space_fixture.h"
#include "support/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SIZE KIBIBYTES(256)

static void limit_to(struct space_fixture *fixture, uint64_t bytes)
{
    fixture->space.limits.max_size = (struct cache_limit){.bytes = bytes};
}

/* Room for `count` objects of SIZE and nearly half of another. */
static uint64_t room_for(unsigned count)
{
    return count * (SIZE + OBJECT_OVERHEAD) + SIZE / 3;
}

static int reserve(struct space_fixture *fixture, struct partial_object *partial, unsigned number,
                   uint64_t size, struct error *err)
{
    const struct object_metadata metadata = space_fixture_metadata(number, size);

    return cache_space_reserve(&fixture->space, partial, &metadata, NOW, NULL, err);
}

/* Begins and reserves a download that lets go at once. */
static int try_download(struct space_fixture *fixture, unsigned number, uint64_t size,
                        struct error *err)
{
    CLEANUP(partial_object_free)
    struct partial_object *partial = space_fixture_begin(fixture, number, size);
    const int result = reserve(fixture, partial, number, size, err);

    assert_int_equal(partial->is_granted, result == 0);
    return result;
}

/* Complete objects 1 to `count`, the first one used the longest ago. */
static void put_objects(struct space_fixture *fixture, unsigned count)
{
    for (unsigned i = 1; i <= count; i++)
        space_fixture_put(fixture, i, SIZE, NOW - SECONDS(1000) + SECONDS(i));
}

/* `digits` are the numbers of those of 1 to 9 that are there. */
static void assert_there(const struct space_fixture *fixture, enum cache_place place,
                         const char *digits)
{
    char found[10] = "";
    size_t count = 0;

    for (unsigned i = 1; i <= 9; i++)
        if (space_fixture_has(fixture, place, i))
            found[count++] = (char)('0' + i);
    assert_string_equal(found, digits);
}

static void assert_nothing_in_trash(const struct space_fixture *fixture)
{
    CLEANUP(memory_free) char *path = temp_dir_join(fixture->dir, "cache/trash");
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_nlink, 2); /* no directory in it */
}

/* --- reserving --- */

static void what_fits_takes_nobodys_place(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 2);
    limit_to(fixture, room_for(3));
    assert_succeeds(try_download(fixture, 3, SIZE, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "12");
    assert_true(space_fixture_sum(fixture->layout) <= room_for(3));
    assert_int_equal(fixture->space.evictions, 0);
}

static void the_least_recently_used_makes_room(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 3);
    (void)close(space_fixture_read(fixture, 1, NOW - SECONDS(10)));
    limit_to(fixture, room_for(3));
    assert_succeeds(try_download(fixture, 4, SIZE, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "13");
    assert_int_equal(fixture->space.evictions, 1);
    assert_true(fixture->space.evicted_bytes >= SIZE);
    assert_nothing_in_trash(fixture);
}

/* Of what is opened while an instance starts, all within a second. */
static void the_order_of_use_holds_within_a_second(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 3);
    (void)close(space_fixture_read(fixture, 3, NOW - 3));
    (void)close(space_fixture_read(fixture, 1, NOW - 2));
    (void)close(space_fixture_read(fixture, 2, NOW - 1));
    limit_to(fixture, room_for(3));
    assert_succeeds(try_download(fixture, 4, SIZE, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "12");
    limit_to(fixture, room_for(1));
    assert_succeeds(cache_space_enforce(&fixture->space, NOW, NULL, NULL, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "2");
}

static void a_large_one_takes_the_place_of_several(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 4);
    limit_to(fixture, room_for(4));
    assert_succeeds(try_download(fixture, 5, 2 * SIZE, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "34");
}

static void what_is_in_use_stays(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 3);
    CLEANUP(fd_close) int reader = space_fixture_read(fixture, 1, NOW - SECONDS(5000));
    CLEANUP(partial_object_free)
    struct partial_object *download = space_fixture_begin(fixture, 4, SIZE);
    assert_succeeds(reserve(fixture, download, 4, SIZE, &err));
    limit_to(fixture, room_for(4));
    assert_succeeds(try_download(fixture, 5, SIZE, &err));
    assert_true(reader >= 0);
    assert_there(fixture, CACHE_PLACE_OBJECTS, "13");
    assert_there(fixture, CACHE_PLACE_PARTIAL, "45");
}

static void a_download_that_nobody_has_in_hand_may_go(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(try_download(fixture, 1, SIZE, &err));
    limit_to(fixture, room_for(1));
    assert_succeeds(try_download(fixture, 2, SIZE, &err));
    assert_there(fixture, CACHE_PLACE_PARTIAL, "2");
}

/* Metadata are written by us, but a file can be edited. */
static void a_download_that_claims_more_than_any_disk_evicts_nothing(void **state)
{
    struct space_fixture *fixture = *state;
    const struct object_metadata metadata = space_fixture_metadata(3, (uint64_t)1 << 62);
    char text[OBJECT_METADATA_TEXT_BYTES];
    char name[CACHE_OBJECT_NAME_BYTES];
    char path[CACHE_OBJECT_NAME_BYTES + sizeof "cache/partial//meta.json"];
    struct error err = ERROR_INIT;

    put_objects(fixture, 2);
    assert_succeeds(try_download(fixture, 3, SIZE, &err));
    object_metadata_name(&metadata, name);
    (void)snprintf(path, sizeof path, "cache/partial/%s/meta.json", name);
    temp_dir_write(fixture->dir, path, text, object_metadata_print(&metadata, text));
    fixture->space.limits.min_free = (struct cache_limit){.bytes = 1};
    limit_to(fixture, room_for(4));
    assert_succeeds(try_download(fixture, 4, SIZE, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "12");
    assert_succeeds(cache_space_enforce(&fixture->space, NOW, NULL, NULL, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "12");
    assert_there(fixture, CACHE_PLACE_PARTIAL, "4");
}

static void a_download_that_nobody_resumes_goes_before_an_object(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 2);
    assert_succeeds(try_download(fixture, 3, SIZE, &err));
    limit_to(fixture, room_for(3));
    assert_succeeds(try_download(fixture, 4, SIZE, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "12");
    assert_there(fixture, CACHE_PLACE_PARTIAL, "4");
}

static void quarantine_goes_before_the_oldest(void **state)
{
    struct space_fixture *fixture = *state;
    const struct object_metadata damaged = space_fixture_metadata(3, 0);
    char name[CACHE_OBJECT_NAME_BYTES];
    struct error err = ERROR_INIT;

    put_objects(fixture, 3);
    object_metadata_name(&damaged, name);
    assert_succeeds(object_store_quarantine(fixture->layout, name, 0, NULL, &err));
    limit_to(fixture, room_for(3));
    assert_succeeds(try_download(fixture, 4, SIZE, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "12");
    assert_there(fixture, CACHE_PLACE_QUARANTINE, "");
}

static void nothing_goes_when_all_of_it_would_not_do(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 3);
    limit_to(fixture, room_for(3));
    assert_fails(ERROR_NO_SPACE, try_download(fixture, 4, 4 * SIZE, &err));
    assert_message_has("max_size");
    assert_fails(ERROR_NO_SPACE, try_download(fixture, 4, UINT64_MAX - 1, &err));
    CLEANUP(fd_close) int reader = space_fixture_read(fixture, 3, NOW);
    assert_fails(ERROR_NO_SPACE, try_download(fixture, 4, 3 * SIZE, &err));
    assert_message_has("in use");
    assert_true(reader >= 0);
    assert_there(fixture, CACHE_PLACE_OBJECTS, "123");
    assert_int_equal(fixture->space.evictions, 0);
}

static void uploads_count_and_never_go(void **state)
{
    struct space_fixture *fixture = *state;
    CLEANUP(memory_free) char *staging = temp_dir_join(fixture->dir, "cache/staging");
    CLEANUP(memory_free) uint8_t *upload = calloc(1, SIZE);
    struct error err = ERROR_INIT;

    put_objects(fixture, 2);
    limit_to(fixture, room_for(3));
    (void)mkdir(staging, 0700);
    temp_dir_write(fixture->dir, "cache/staging/upload", upload, SIZE);
    assert_succeeds(try_download(fixture, 3, SIZE, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "2");
    assert_fails(ERROR_NO_SPACE, try_download(fixture, 4, 3 * SIZE, &err));
    assert_true(temp_dir_has(fixture->dir, "cache/staging/upload"));
}

static void min_free_is_kept_on_a_full_disk(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 3);
    /* Directories of the cache itself take some of it. */
    space_fixture_set_disk(fixture, room_for(3) + KIBIBYTES(1024));
    fixture->space.limits.min_free = (struct cache_limit){.bytes = KIBIBYTES(960)};
    assert_succeeds(try_download(fixture, 4, SIZE, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "23");
    assert_fails(ERROR_NO_SPACE, try_download(fixture, 5, 5 * SIZE, &err));
    assert_message_has("min_free");
    assert_there(fixture, CACHE_PLACE_OBJECTS, "23");
}

static void what_is_in_the_trash_need_not_be_evicted_again(void **state)
{
    struct space_fixture *fixture = *state;
    const struct object_metadata metadata = space_fixture_metadata(3, 0);
    CLEANUP(fd_close) int lock = -1;
    char name[CACHE_OBJECT_NAME_BYTES];
    struct error err = ERROR_INIT;

    put_objects(fixture, 3);
    object_metadata_name(&metadata, name);
    assert_succeeds(cache_layout_lock(fixture->layout, NULL, &lock, &err));
    assert_succeeds(object_store_discard(fixture->layout, CACHE_PLACE_OBJECTS, name, &err));
    (void)close(steal_fd(&lock));
    space_fixture_set_disk(fixture, room_for(3) + KIBIBYTES(1024));
    fixture->space.limits.min_free = (struct cache_limit){.bytes = KIBIBYTES(960)};
    assert_succeeds(try_download(fixture, 4, SIZE, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "12");
}

/* --- the filesystem's own word --- */

static void a_filesystem_that_is_full_after_all_gets_room_made(void **state)
{
    static const int errnums[] = {ENOSPC, EDQUOT};
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 4);
    for (size_t i = 0; i < ELEMENTS_OF(errnums); i++) {
        space_fixture_fail_allocations(errnums[i], 1);
        assert_succeeds(try_download(fixture, 5 + (unsigned)i, SIZE, &err));
    }
    /* The second time what the first left is idle. */
    assert_there(fixture, CACHE_PLACE_OBJECTS, "234");
    assert_there(fixture, CACHE_PLACE_PARTIAL, "6");
}

static void a_filesystem_that_stays_full_is_the_end(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 3);
    CLEANUP(fd_close) int reader = space_fixture_read(fixture, 2, NOW);
    space_fixture_fail_allocations(ENOSPC, 1000);
    assert_fails(ERROR_NO_SPACE, try_download(fixture, 4, SIZE, &err));
    assert_true(reader >= 0);
    assert_there(fixture, CACHE_PLACE_OBJECTS, "2");
}

static void other_failures_evict_nothing(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 2);
    space_fixture_fail_allocations(EIO, 1);
    assert_fails(ERROR_SYSTEM, try_download(fixture, 3, SIZE, &err));
    assert_int_equal(err.errnum, EIO);
    space_fixture_fail_statvfs(EIO);
    assert_fails(ERROR_SYSTEM, try_download(fixture, 3, SIZE, &err));
    assert_int_equal(err.errnum, EIO);
    assert_fails(ERROR_SYSTEM, cache_space_make_room(&fixture->space, 1, NOW, NULL, &err));
    assert_fails(ERROR_SYSTEM, cache_space_enforce(&fixture->space, NOW, NULL, NULL, &err));
    space_fixture_fail_statvfs(0);
    assert_there(fixture, CACHE_PLACE_OBJECTS, "12");
}

/* What was promised counts until it is written, although nothing of it is on disk. */
static void a_promise_counts_where_nothing_can_be_allocated(void **state)
{
    struct space_fixture *fixture = *state;
    CLEANUP(partial_object_free)
    struct partial_object *first = space_fixture_begin(fixture, 1, SIZE);
    struct error err = ERROR_INIT;

    space_fixture_fail_allocations(EOPNOTSUPP, 1000);
    limit_to(fixture, room_for(1));
    assert_succeeds(reserve(fixture, first, 1, SIZE, &err));
    assert_fails(ERROR_NO_SPACE, try_download(fixture, 2, SIZE, &err));
    limit_to(fixture, 0);
    space_fixture_set_disk(fixture, room_for(1) + KIBIBYTES(128));
    assert_fails(ERROR_NO_SPACE, try_download(fixture, 2, SIZE, &err));
    partial_object_free(steal(&first));
    assert_succeeds(try_download(fixture, 2, SIZE, &err));
    assert_there(fixture, CACHE_PLACE_PARTIAL, "2");
}

static void what_is_granted_is_not_reserved_twice(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    limit_to(fixture, room_for(1));
    for (int i = 0; i < 3; i++)
        assert_succeeds(try_download(fixture, 1, SIZE, &err));
    assert_true(space_fixture_sum(fixture->layout) <= room_for(1));
    assert_int_equal(fixture->space.evictions, 0);
}

static void an_object_of_unknown_size_reserves_nothing(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 2);
    limit_to(fixture, room_for(2));
    assert_succeeds(try_download(fixture, 3, OBJECT_SIZE_UNKNOWN, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "12");
}

/* Two downloads of unknown size, where one step of either fits. */
static void a_step_counts_where_nothing_can_be_allocated(void **state)
{
    struct space_fixture *fixture = *state;
    const struct object_metadata metadata = space_fixture_metadata(1, OBJECT_SIZE_UNKNOWN);
    CLEANUP(partial_object_free)
    struct partial_object *one = space_fixture_begin(fixture, 1, OBJECT_SIZE_UNKNOWN);
    CLEANUP(partial_object_free)
    struct partial_object *other = space_fixture_begin(fixture, 2, OBJECT_SIZE_UNKNOWN);
    struct error err = ERROR_INIT;

    assert_succeeds(reserve(fixture, one, 1, OBJECT_SIZE_UNKNOWN, &err));
    assert_succeeds(reserve(fixture, other, 2, OBJECT_SIZE_UNKNOWN, &err));
    limit_to(fixture, room_for(1) + OBJECT_OVERHEAD);
    space_fixture_fail_allocations(EOPNOTSUPP, 2);
    assert_succeeds(cache_space_extend(&fixture->space, one, 0, SIZE, NOW, NULL, &err));
    assert_in_range(space_fixture_sum(fixture->layout), SIZE, SIZE + 2 * OBJECT_OVERHEAD);
    assert_fails(ERROR_NO_SPACE,
                 cache_space_extend(&fixture->space, other, 0, SIZE, NOW, NULL, &err));
    assert_succeeds(object_store_publish(fixture->layout, one, &metadata, NOW, NULL, &err));
    assert_in_range(space_fixture_sum(fixture->layout), 0, 2 * OBJECT_OVERHEAD);
    err = (struct error)ERROR_INIT;
    assert_succeeds(cache_space_extend(&fixture->space, other, 0, SIZE, NOW, NULL, &err));
    assert_in_range(space_fixture_sum(fixture->layout), SIZE, SIZE + 2 * OBJECT_OVERHEAD);
    object_store_trim(other);
    assert_in_range(space_fixture_sum(fixture->layout), 0, 2 * OBJECT_OVERHEAD);
}

static void whoever_waits_for_the_lock_can_be_cancelled(void **state)
{
    struct space_fixture *fixture = *state;
    const struct object_metadata metadata = space_fixture_metadata(1, SIZE);
    CLEANUP(partial_object_free)
    struct partial_object *partial = space_fixture_begin(fixture, 1, SIZE);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(fd_close) int lock = -1;
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&cancel, &err));
    assert_succeeds(cache_layout_lock(fixture->layout, NULL, &lock, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED,
                 cache_space_reserve(&fixture->space, partial, &metadata, NOW, cancel, &err));
    assert_false(partial->is_granted);
}

/* --- making room --- */

static void a_full_disk_takes_as_much_as_is_needed(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 4);
    assert_succeeds(cache_space_make_room(&fixture->space, SIZE + SIZE / 2, NOW, NULL, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "34");
    assert_nothing_in_trash(fixture);
    assert_succeeds(cache_space_make_room(&fixture->space, 0, NOW, NULL, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "4");
}

static void a_full_disk_takes_what_there_is(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 2);
    CLEANUP(fd_close) int reader = space_fixture_read(fixture, 1, NOW);
    assert_succeeds(cache_space_make_room(&fixture->space, 100 * SIZE, NOW, NULL, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "1");
    assert_fails(ERROR_NO_SPACE, cache_space_make_room(&fixture->space, 1, NOW, NULL, &err));
    assert_true(reader >= 0);
    assert_there(fixture, CACHE_PLACE_OBJECTS, "1");
}

/* --- keeping the limits --- */

static void within_the_limits_nothing_goes(void **state)
{
    struct space_fixture *fixture = *state;
    struct cache_space_result removed = {1, 1};
    struct error err = ERROR_INIT;

    put_objects(fixture, 3);
    assert_succeeds(try_download(fixture, 4, SIZE, &err));
    limit_to(fixture, room_for(4));
    fixture->space.limits.max_age_seconds = 1000;
    assert_succeeds(cache_space_enforce(&fixture->space, NOW, NULL, &removed, &err));
    assert_int_equal(removed.objects, 0);
    assert_int_equal(removed.bytes, 0);
    assert_there(fixture, CACHE_PLACE_OBJECTS, "123");
    assert_there(fixture, CACHE_PLACE_PARTIAL, "4");
}

static void what_is_over_the_limits_goes(void **state)
{
    struct space_fixture *fixture = *state;
    struct cache_space_result removed;
    struct error err = ERROR_INIT;

    put_objects(fixture, 5);
    CLEANUP(fd_close) int reader = space_fixture_read(fixture, 2, NOW - SECONDS(900));
    limit_to(fixture, room_for(3));
    assert_succeeds(cache_space_enforce(&fixture->space, NOW, NULL, &removed, &err));
    assert_true(reader >= 0);
    assert_int_equal(removed.objects, 2);
    assert_true(removed.bytes >= 2 * SIZE);
    assert_there(fixture, CACHE_PLACE_OBJECTS, "245");
    assert_nothing_in_trash(fixture);
    /* Even if that does not suffice. */
    limit_to(fixture, 1);
    assert_succeeds(cache_space_enforce(&fixture->space, NOW, NULL, NULL, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "2");
}

static void others_who_fill_the_disk_shrink_the_cache(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 3);
    space_fixture_set_disk(fixture, room_for(3) + KIBIBYTES(1024));
    fixture->space.limits.min_free = (struct cache_limit){.bytes = KIBIBYTES(1024) + SIZE};
    assert_succeeds(cache_space_enforce(&fixture->space, NOW, NULL, NULL, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "23");
}

static void what_was_not_used_for_max_age_goes(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 4); /* used 999 to 996 seconds ago */
    CLEANUP(fd_close) int reader = space_fixture_read(fixture, 1, NOW - SECONDS(5000));
    fixture->space.limits.max_age_seconds = 997;
    assert_succeeds(cache_space_enforce(&fixture->space, NOW, NULL, NULL, &err));
    assert_true(reader >= 0);
    assert_there(fixture, CACHE_PLACE_OBJECTS, "134");
}

static void a_clock_that_went_back_ages_nothing(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    put_objects(fixture, 3);
    assert_succeeds(try_download(fixture, 4, SIZE, &err));
    fixture->space.limits.max_age_seconds = 1;
    assert_succeeds(cache_space_enforce(&fixture->space, NOW - SECONDS(86400), NULL, NULL, &err));
    assert_there(fixture, CACHE_PLACE_OBJECTS, "123");
    assert_there(fixture, CACHE_PLACE_PARTIAL, "4");
}

/* The times of a download are the true ones. */
static void a_download_that_nobody_resumes_goes_after_a_day(void **state)
{
    struct space_fixture *fixture = *state;
    const int64_t today = wall_clock_ns();
    struct error err = ERROR_INIT;

    assert_succeeds(try_download(fixture, 1, SIZE, &err));
    CLEANUP(partial_object_free)
    struct partial_object *in_hand = space_fixture_begin(fixture, 2, SIZE);
    assert_succeeds(reserve(fixture, in_hand, 2, SIZE, &err));
    assert_succeeds(cache_space_enforce(&fixture->space, today + SECONDS(86000), NULL, NULL, &err));
    assert_there(fixture, CACHE_PLACE_PARTIAL, "12");
    assert_succeeds(cache_space_enforce(&fixture->space, today + SECONDS(86500), NULL, NULL, &err));
    assert_there(fixture, CACHE_PLACE_PARTIAL, "2");
}

static void a_download_is_used_as_long_as_it_is_written(void **state)
{
    struct space_fixture *fixture = *state;
    const struct object_metadata metadata = space_fixture_metadata(1, SIZE);
    const int64_t today = wall_clock_ns();
    const struct timespec late = wall_clock_to_file(today + SECONDS(80000));
    const struct timespec written[2] = {late, late};
    CLEANUP(partial_object_free)
    struct partial_object *partial = space_fixture_begin(fixture, 1, SIZE);
    struct error err = ERROR_INIT;

    assert_succeeds(cache_space_reserve(&fixture->space, partial, &metadata, today, NULL, &err));
    assert_int_equal(futimens(partial->data_fd, written), 0);
    partial_object_free(steal(&partial));
    assert_succeeds(
        cache_space_enforce(&fixture->space, today + SECONDS(160000), NULL, NULL, &err));
    assert_there(fixture, CACHE_PLACE_PARTIAL, "1");
    assert_succeeds(
        cache_space_enforce(&fixture->space, today + SECONDS(170000), NULL, NULL, &err));
    assert_there(fixture, CACHE_PLACE_PARTIAL, "");
}

static void resuming_a_download_keeps_it_for_another_day(void **state)
{
    struct space_fixture *fixture = *state;
    const struct object_metadata metadata = space_fixture_metadata(1, SIZE);
    const int64_t tomorrow = wall_clock_ns() + SECONDS(80000);
    struct error err = ERROR_INIT;

    assert_succeeds(try_download(fixture, 1, SIZE, &err));
    CLEANUP(partial_object_free)
    struct partial_object *resumed = space_fixture_begin(fixture, 1, SIZE);
    assert_succeeds(cache_space_reserve(&fixture->space, resumed, &metadata, tomorrow, NULL, &err));
    partial_object_free(steal(&resumed));
    assert_succeeds(
        cache_space_enforce(&fixture->space, tomorrow + SECONDS(80000), NULL, NULL, &err));
    assert_there(fixture, CACHE_PLACE_PARTIAL, "1");
}

#define test(name) cmocka_unit_test_setup_teardown(name, space_fixture_open, space_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(what_fits_takes_nobodys_place),
        test(the_least_recently_used_makes_room),
        test(the_order_of_use_holds_within_a_second),
        test(a_large_one_takes_the_place_of_several),
        test(what_is_in_use_stays),
        test(a_download_that_nobody_has_in_hand_may_go),
        test(a_download_that_claims_more_than_any_disk_evicts_nothing),
        test(a_download_that_nobody_resumes_goes_before_an_object),
        test(quarantine_goes_before_the_oldest),
        test(nothing_goes_when_all_of_it_would_not_do),
        test(uploads_count_and_never_go),
        test(min_free_is_kept_on_a_full_disk),
        test(what_is_in_the_trash_need_not_be_evicted_again),
        test(a_filesystem_that_is_full_after_all_gets_room_made),
        test(a_filesystem_that_stays_full_is_the_end),
        test(other_failures_evict_nothing),
        test(a_promise_counts_where_nothing_can_be_allocated),
        test(what_is_granted_is_not_reserved_twice),
        test(an_object_of_unknown_size_reserves_nothing),
        test(a_step_counts_where_nothing_can_be_allocated),
        test(whoever_waits_for_the_lock_can_be_cancelled),
        test(a_full_disk_takes_as_much_as_is_needed),
        test(a_full_disk_takes_what_there_is),
        test(within_the_limits_nothing_goes),
        test(what_is_over_the_limits_goes),
        test(others_who_fill_the_disk_shrink_the_cache),
        test(what_was_not_used_for_max_age_goes),
        test(a_clock_that_went_back_ages_nothing),
        test(a_download_that_nobody_resumes_goes_after_a_day),
        test(a_download_is_used_as_long_as_it_is_written),
        test(resuming_a_download_keeps_it_for_another_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
