/* SPDX-License-Identifier: Apache-2.0 */
/* Fetches into a cache whose disk is full before the first byte, or says so only after the last. */
#include "cache/object_fetch.h"

#include "base/file_sink.h"
#include "cache_fixture.h"
#include "glancefs/limits.h"
#include "space_fixture.h"
#include "support/fake_image_service.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SIZE (MIB + 17)
#define BEFORE (NOW - SECONDS(1000))

/* --- a disk on which one call finds no room while object 1 is there (the linker's --wrap) --- */

enum call {
    CALL_NONE,
    CALL_MKDIR,
    CALL_CREATE,
    CALL_SYNC_DATA,
    CALL_SYNC_DIRECTORY,
    CALL_METADATA
};

static struct {
    const struct space_fixture *fixture;
    struct image_service *images;
    enum call call;
    int errnum;
    bool is_for_good;
} full;

int __real_mkdirat(int dir_fd, const char *name, mode_t mode);
int __wrap_mkdirat(int dir_fd, const char *name, mode_t mode);
int __real_openat64(int dir_fd, const char *name, int flags, ...);
int __wrap_openat64(int dir_fd, const char *name, int flags, ...);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

static bool is_full_for(enum call call)
{
    if (full.call != call ||
        (!full.is_for_good && !space_fixture_has(full.fixture, CACHE_PLACE_OBJECTS, 1)))
        return false;
    errno = full.errnum;
    return true;
}

int __wrap_mkdirat(int dir_fd, const char *name, mode_t mode)
{
    return is_full_for(CALL_MKDIR) ? -1 : __real_mkdirat(dir_fd, name, mode);
}

int __wrap_openat64(int dir_fd, const char *name, int flags, ...)
{
    mode_t mode = 0;
    va_list arguments;

    va_start(arguments, flags);
    if ((flags & O_CREAT) != 0)
        mode = va_arg(arguments, mode_t);
    va_end(arguments);
    if ((flags & O_CREAT) != 0 && strcmp(name, "data") == 0 && is_full_for(CALL_CREATE))
        return -1;
    if (strncmp(name, FILE_SINK_TEMPORARY_PREFIX, sizeof FILE_SINK_TEMPORARY_PREFIX - 1) == 0 &&
        full.call == CALL_METADATA && fake_image_service_downloads(full.images) > 0 &&
        is_full_for(CALL_METADATA))
        return -1;
    return __real_openat64(dir_fd, name, flags, mode);
}

int __wrap_fdatasync(int fd)
{
    return is_full_for(CALL_SYNC_DATA) ? -1 : __real_fdatasync(fd);
}

/* Of the place, when the object has got there. */
int __wrap_fsync(int fd)
{
    if (full.call == CALL_SYNC_DIRECTORY &&
        fd == full.fixture->layout->place_fds[CACHE_PLACE_OBJECTS] &&
        is_full_for(CALL_SYNC_DIRECTORY))
        return -1;
    return __real_fsync(fd);
}

/* --- a cache with object 1, before a service --- */

struct bed {
    struct space_fixture *fixture;
    struct image_service *images;
    struct image_record *record;
    uint8_t *bytes;
};

static int open_bed(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    struct error err = ERROR_INIT;

    if (bed == NULL || space_fixture_open((void **)&bed->fixture) < 0)
        return -1;
    full.fixture = bed->fixture;
    bed->bytes = pseudo_random_bytes(1, SIZE);
    bed->images = fake_image_service_new();
    full.images = bed->images;
    fake_image_service_put(bed->images, IMAGE_ID, bed->bytes, SIZE);
    assert_succeeds(image_service_get(bed->images, IMAGE_ID, NULL, &bed->record, &err));
    space_fixture_put(bed->fixture, 1, SIZE, BEFORE);
    *state = bed;
    return 0;
}

static int close_bed(void **state)
{
    struct bed *bed = *state;

    full.call = CALL_NONE;
    (void)space_fixture_close((void **)&bed->fixture);
    image_record_unref(bed->record);
    image_service_free(bed->images);
    free(bed->bytes);
    free(bed);
    return 0;
}

static void fill_disk(enum call call, int errnum, bool is_for_good)
{
    full.call = call;
    full.errnum = errnum;
    full.is_for_good = is_for_good;
}

static int fetch_record(struct bed *bed, struct image_record *record, struct byte_sink *observer,
                        struct error *err)
{
    const struct object_fetch fetch = {.layout = bed->fixture->layout,
                                       .space = &bed->fixture->space,
                                       .images = bed->images,
                                       .observer = observer,
                                       .record = record};
    struct fetched_object fetched = {.data_fd = -1};
    const int result = object_fetch_run(&fetch, NULL, &fetched, err);

    full.call = CALL_NONE;
    gmac_table_free(fetched.tags);
    fd_close_cleanup(&fetched.data_fd);
    return result;
}

static int run(struct bed *bed, struct error *err)
{
    return fetch_record(bed, bed->record, NULL, err);
}

static bool is_complete(const struct bed *bed)
{
    struct object_metadata metadata;

    object_metadata_of(bed->record, &metadata);
    return object_store_has(bed->fixture->layout, &metadata);
}

static void assert_nothing_partial(const struct bed *bed)
{
    CLEANUP(memory_free) char *path = temp_dir_join(bed->fixture->dir, "cache/partial");
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_nlink, 2); /* no directory in it */
}

/* --- before the first byte --- */

static void a_disk_too_full_to_begin_on_evicts(void **state)
{
    static const enum call calls[] = {CALL_MKDIR, CALL_CREATE};
    static const int errnums[] = {ENOSPC, EDQUOT};
    struct bed *bed = *state;

    for (size_t i = 0; i < ELEMENTS_OF(calls); i++) {
        struct error err = ERROR_INIT;
        struct object_metadata metadata;
        char name[CACHE_OBJECT_NAME_BYTES];

        fill_disk(calls[i], errnums[i], false);
        assert_succeeds(run(bed, &err));
        assert_true(is_complete(bed));
        assert_false(space_fixture_has(bed->fixture, CACHE_PLACE_OBJECTS, 1));
        object_metadata_of(bed->record, &metadata);
        object_metadata_name(&metadata, name);
        assert_succeeds(
            object_store_discard(bed->fixture->layout, CACHE_PLACE_OBJECTS, name, &err));
        space_fixture_put(bed->fixture, 1, SIZE, BEFORE);
    }
}

/* What was begun in vain is no room that could be made. */
static void a_disk_that_stays_too_full_to_begin_on_is_no_space(void **state)
{
    static const enum call calls[] = {CALL_MKDIR, CALL_CREATE};
    struct bed *bed = *state;
    CLEANUP(fd_close) int reader = space_fixture_read(bed->fixture, 1, NOW);

    for (size_t i = 0; i < ELEMENTS_OF(calls); i++) {
        struct error err = ERROR_INIT;

        fill_disk(calls[i], ENOSPC, true);
        assert_fails(ERROR_NO_SPACE, run(bed, &err));
        assert_nothing_partial(bed);
    }
    assert_true(reader >= 0);
    assert_int_equal(fake_image_service_downloads(bed->images), 0);
}

/* --- after the last byte --- */

static void bytes_that_found_no_room_are_fetched_again_when_there_is_some(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    fill_disk(CALL_SYNC_DATA, EDQUOT, false);
    assert_succeeds(run(bed, &err));
    assert_true(is_complete(bed));
    assert_false(space_fixture_has(bed->fixture, CACHE_PLACE_OBJECTS, 1));
    assert_int_equal(fake_image_service_bytes(bed->images), 2 * SIZE);
}

static void an_object_that_is_there_is_enough_on_a_full_disk(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    fill_disk(CALL_SYNC_DIRECTORY, ENOSPC, true);
    assert_succeeds(run(bed, &err));
    assert_true(is_complete(bed));
    assert_nothing_partial(bed);
    assert_true(space_fixture_has(bed->fixture, CACHE_PLACE_OBJECTS, 1));
    assert_int_equal(fake_image_service_bytes(bed->images), SIZE);
}

/* That passes, and it says nothing against the bytes. */
static void what_came_stays_when_the_process_runs_out_of_files(void **state)
{
    static const int errnums[] = {EMFILE, ENFILE};
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(errnums); i++) {
        fill_disk(CALL_METADATA, errnums[i], true);
        assert_fails(ERROR_SYSTEM, run(bed, &err));
        assert_int_equal(err.errnum, errnums[i]);
        assert_false(is_complete(bed));
    }
    assert_succeeds(run(bed, &err));
    assert_true(is_complete(bed));
    assert_int_equal(fake_image_service_bytes(bed->images), SIZE);
}

/* --- an image that does not tell its size --- */

static struct image_record *record_without_size(void)
{
    static const char text[] = "{\"id\": \"" IMAGE_ID "\", \"status\": \"active\"}";
    struct image_record *record = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(image_record_parse(text, sizeof text - 1, &record, &err));
    return record;
}

static void an_object_of_unknown_size_keeps_max_size(void **state)
{
    struct bed *bed = *state;
    const uint64_t one_object = SIZE + (uint64_t)2 * OBJECT_OVERHEAD;
    CLEANUP(image_record_unref) struct image_record *record = record_without_size();
    struct error err = ERROR_INIT;

    bed->fixture->space.limits.max_size.bytes = one_object;
    assert_succeeds(fetch_record(bed, record, NULL, &err));
    assert_false(space_fixture_has(bed->fixture, CACHE_PLACE_OBJECTS, 1));
    /* Nothing stays reserved. */
    assert_true(space_fixture_sum(bed->fixture->layout) <= one_object);
}

static void an_object_of_unknown_size_keeps_min_free(void **state)
{
    struct bed *bed = *state;
    CLEANUP(image_record_unref) struct image_record *record = record_without_size();
    struct error err = ERROR_INIT;

    space_fixture_set_disk(bed->fixture, 3 * SIZE);
    bed->fixture->space.limits.min_free.bytes = (uint64_t)3 * SIZE / 2;
    assert_succeeds(fetch_record(bed, record, NULL, &err));
    assert_false(space_fixture_has(bed->fixture, CACHE_PLACE_OBJECTS, 1));
}

static void an_object_of_unknown_size_that_is_too_large_is_no_space(void **state)
{
    struct bed *bed = *state;
    CLEANUP(image_record_unref) struct image_record *record = record_without_size();
    struct error err = ERROR_INIT;

    bed->fixture->space.limits.max_size.bytes = SIZE - 1;
    assert_fails(ERROR_NO_SPACE, fetch_record(bed, record, NULL, &err));
    assert_message_has("max_size");
    assert_nothing_partial(bed);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_bed, close_bed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_disk_too_full_to_begin_on_evicts),
        test(a_disk_that_stays_too_full_to_begin_on_is_no_space),
        test(bytes_that_found_no_room_are_fetched_again_when_there_is_some),
        test(an_object_that_is_there_is_enough_on_a_full_disk),
        test(what_came_stays_when_the_process_runs_out_of_files),
        test(an_object_of_unknown_size_keeps_max_size),
        test(an_object_of_unknown_size_keeps_min_free),
        test(an_object_of_unknown_size_that_is_too_large_is_no_space),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
