/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that are changed on disk behind the cache's back. */
#include "glancefs/ciphertext_cache.h"

#include "cache_fixture.h"
#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/fake_image_service.h"
#include "support/memory_sink.h"
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

/* The object file, open for the harm to be done. */
static int open_object(const struct cache_fixture *fixture)
{
    CLEANUP(memory_free) char *path = cache_fixture_object(fixture, fixture->record);
    const int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void flip_bit(const struct cache_fixture *fixture, size_t offset)
{
    CLEANUP(fd_close) int fd = open_object(fixture);
    uint8_t byte;

    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x01;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
}

static void truncate_object(const struct cache_fixture *fixture, size_t size)
{
    CLEANUP(fd_close) int fd = open_object(fixture);

    assert_int_equal(ftruncate(fd, (off_t)size), 0);
}

/* --- a bad sector --- */

/* Where the data of the object at hand cannot be read; negative: nowhere. */
static off_t bad_sector = -1;

ssize_t __real_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset);

ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset)
{
    if (bad_sector < offset || bad_sector >= offset + (off_t)size)
        return __real_pread64(fd, buffer, size, offset);
    errno = EIO;
    return -1;
}

static int close_mended_fixture(void **state)
{
    bad_sector = -1;
    return cache_fixture_close(state);
}

/* Reads one byte; 0, or -1 with the kind of the error. */
static int read_byte(struct byte_source *source, size_t offset, uint8_t *ret, struct error *err)
{
    size_t got;

    if (byte_source_pread(source, ret, 1, offset, NULL, &got, err) < 0)
        return -1;
    assert_int_equal(got, 1);
    return 0;
}

/* After a reader met damage: the object is gone, and the next open fetches and is sound. */
static void assert_dropped_and_fetched_again(struct cache_fixture *fixture)
{
    const unsigned downloads = fake_image_service_downloads(fixture->images);

    assert_false(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_int_equal(cache_fixture_files(fixture), 0);
    assert_int_equal(cache_fixture_entries(fixture, "quarantine"), 1);
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), downloads + 1);
}

/* --- edits --- */

static void an_edited_block_is_corrupt_and_the_object_is_dropped(void **state)
{
    struct cache_fixture *fixture = *state;
    const size_t places[] = {0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB - 1, 2 * MIB, fixture->size - 1};

    for (size_t i = 0; i < ELEMENTS_OF(places); i++) {
        CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(fixture);
        struct error err = ERROR_INIT;
        uint8_t byte;

        flip_bit(fixture, places[i]);
        assert_fails(ERROR_CORRUPT, read_byte(source, places[i], &byte, &err));
        assert_dropped_and_fetched_again(fixture);
    }
}

static void any_byte_of_an_edited_block_is_withheld(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(fixture);
    struct error err = ERROR_INIT;
    uint8_t byte;

    flip_bit(fixture, MIB + 500);
    assert_fails(ERROR_CORRUPT, read_byte(source, 2 * MIB - 1, &byte, &err));
    assert_fails(ERROR_CORRUPT, read_byte(source, MIB, &byte, &err));
    /* The blocks beside it are what they were. */
    assert_succeeds(read_byte(source, MIB - 1, &byte, &err));
    assert_int_equal(byte, fixture->bytes[MIB - 1]);
    assert_succeeds(read_byte(source, 2 * MIB, &byte, &err));
    assert_int_equal(byte, fixture->bytes[2 * MIB]);
}

static void a_read_that_touches_an_edited_block_gives_nothing(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(fixture);
    CLEANUP(memory_free) uint8_t *buffer = malloc(fixture->size);
    struct error err = ERROR_INIT;
    size_t got;

    flip_bit(fixture, 2 * MIB + 5);
    assert_fails(ERROR_CORRUPT,
                 byte_source_pread(source, buffer, fixture->size, 0, NULL, &got, &err));
    assert_dropped_and_fetched_again(fixture);
}

static void an_edit_that_keeps_size_and_times_is_found(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(fixture);
    CLEANUP(fd_close) int fd = open_object(fixture);
    struct error err = ERROR_INIT;
    struct timespec times[2];
    struct stat status;
    uint8_t byte;

    assert_int_equal(fstat(fd, &status), 0);
    flip_bit(fixture, 77);
    times[0] = status.st_atim;
    times[1] = status.st_mtim;
    assert_int_equal(futimens(fd, times), 0);
    assert_fails(ERROR_CORRUPT, read_byte(source, 0, &byte, &err));
}

/* Both blocks are authentic, each in the other's place. */
static void exchanged_blocks_are_corrupt(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(fixture);
    CLEANUP(fd_close) int fd = open_object(fixture);
    struct error err = ERROR_INIT;
    uint8_t byte;

    assert_int_equal(pwrite(fd, fixture->bytes + MIB, MIB, 0), MIB);
    assert_int_equal(pwrite(fd, fixture->bytes, MIB, (off_t)MIB), MIB);
    assert_fails(ERROR_CORRUPT, read_byte(source, 0, &byte, &err));
    assert_fails(ERROR_CORRUPT, read_byte(source, MIB, &byte, &err));
}

/* A block that was checked once may be served from memory: right bytes or an error, never others. */
static void a_block_edited_after_it_was_read_is_never_wrong(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(fixture);
    struct error err = ERROR_INIT;
    uint8_t byte;

    assert_succeeds(read_byte(source, 0, &byte, &err));
    flip_bit(fixture, 10);
    if (read_byte(source, 10, &byte, &err) == 0)
        assert_int_equal(byte, fixture->bytes[10]);
    else
        assert_int_equal(err.kind, ERROR_CORRUPT);
}

/* Opening reads along what later readers would get, and meets the damage. */
static void an_observer_of_an_edited_object_is_aborted(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
    CLEANUP(byte_sink_free) struct byte_sink *observer = memory_sink_new(&observed, NULL);
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    assert_opens_soundly(fixture);
    flip_bit(fixture, MIB + 3);
    assert_fails(ERROR_CORRUPT, ciphertext_cache_open(fixture->cache, fixture->record, observer,
                                                      NULL, &source, &err));
    assert_null(source);
    assert_int_equal(observed.commits, 0);
    assert_int_equal(observed.aborts, 1);
    assert_dropped_and_fetched_again(fixture);
}

/* --- sectors --- */

static void a_bad_sector_that_a_reader_meets_is_damage(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(fixture);
    struct error err = ERROR_INIT;
    uint8_t byte;

    bad_sector = MIB + 5000;
    assert_fails(ERROR_CORRUPT, read_byte(source, MIB, &byte, &err));
    assert_int_equal(err.errnum, EIO);
    bad_sector = -1;
    assert_dropped_and_fetched_again(fixture);
}

static void a_bad_sector_that_the_first_pass_meets_is_damage(void **state)
{
    struct cache_fixture *fixture = *state;
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    assert_opens_soundly(fixture);
    cache_fixture_restart(fixture);
    bad_sector = 2 * MIB + 1;
    assert_fails(ERROR_CORRUPT,
                 ciphertext_cache_open(fixture->cache, fixture->record, NULL, NULL, &source, &err));
    bad_sector = -1;
    assert_dropped_and_fetched_again(fixture);
}

static void a_bad_sector_that_a_proof_meets_is_damage(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(cached_object_list_free) struct cached_object_list *objects = NULL;
    struct error err = ERROR_INIT;

    assert_opens_soundly(fixture);
    assert_succeeds(ciphertext_cache_list(fixture->cache, &objects, &err));
    bad_sector = 0;
    assert_fails(ERROR_CORRUPT,
                 ciphertext_cache_verify(fixture->cache, &objects->objects[0], NULL, NULL, &err));
    bad_sector = -1;
    assert_dropped_and_fetched_again(fixture);
}

/* --- sizes --- */

static void a_truncated_object_is_corrupt_where_bytes_are_missing(void **state)
{
    struct cache_fixture *fixture = *state;
    const size_t sizes[] = {0, 1, MIB, 2 * MIB, fixture->size - 1};

    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(fixture);
        struct error err = ERROR_INIT;
        uint8_t byte;

        truncate_object(fixture, sizes[i]);
        assert_fails(ERROR_CORRUPT, read_byte(source, fixture->size - 1, &byte, &err));
        assert_int_equal(byte_source_size(source), fixture->size);
        assert_opens_soundly(fixture);
    }
}

static void a_truncated_object_is_fetched_again_at_the_next_open(void **state)
{
    struct cache_fixture *fixture = *state;

    assert_opens_soundly(fixture);
    truncate_object(fixture, fixture->size - 1);
    assert_false(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 2);
}

static void an_extended_object_shows_no_byte_more(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(fixture);
    uint8_t buffer[16];
    struct error err = ERROR_INIT;
    size_t got = 99;

    truncate_object(fixture, fixture->size + 1000);
    assert_int_equal(byte_source_size(source), fixture->size);
    if (byte_source_pread(source, buffer, 16, fixture->size - 4, NULL, &got, &err) == 0) {
        assert_int_equal(got, 4);
        assert_memory_equal(buffer, fixture->bytes + fixture->size - 4, 4);
    }
    assert_succeeds(byte_source_pread(source, buffer, 16, fixture->size, NULL, &got, &err));
    assert_int_equal(got, 0);
    assert_opens_soundly(fixture);
}

/* --- other things in the object's place --- */

static void a_deleted_object_is_fetched_again_and_its_readers_go_on(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(fixture);
    CLEANUP(memory_free) char *path = cache_fixture_object(fixture, fixture->record);

    assert_int_equal(unlink(path), 0);
    assert_false(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 2);
    assert_source_is(source, fixture->bytes, fixture->size);
}

/* Also one to a file with just the right bytes: nothing outside the cache is ever read. */
static void a_link_in_the_objects_place_is_not_followed(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = cache_fixture_object(fixture, fixture->record);
    CLEANUP(memory_free) char *target = temp_dir_join(fixture->dir, "target");
    CLEANUP(memory_free) uint8_t *kept = NULL;

    assert_opens_soundly(fixture);
    temp_dir_write(fixture->dir, "target", fixture->bytes, fixture->size);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_false(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 2);
    kept = temp_dir_read(fixture->dir, "target", NULL);
    assert_memory_equal(kept, fixture->bytes, fixture->size);
}

static void a_fifo_in_the_objects_place_hangs_nobody(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = cache_fixture_object(fixture, fixture->record);

    assert_opens_soundly(fixture);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_opens_soundly(fixture);
}

static void a_directory_in_the_datas_place_is_no_object(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = cache_fixture_object(fixture, fixture->record);

    assert_opens_soundly(fixture);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_opens_soundly(fixture);
}

static void another_file_of_the_same_size_is_corrupt(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(fixture);
    CLEANUP(byte_source_free) struct byte_source *late = NULL;
    CLEANUP(memory_free) char *path = cache_fixture_object(fixture, fixture->record);
    CLEANUP(memory_free) char *other = temp_dir_join(fixture->dir, "other");
    CLEANUP(memory_free) uint8_t *zeros = calloc(1, fixture->size);
    struct error err = ERROR_INIT;
    uint8_t byte;

    temp_dir_write(fixture->dir, "other", zeros, fixture->size);
    assert_int_equal(rename(other, path), 0);
    late = cache_fixture_source(fixture);
    assert_fails(ERROR_CORRUPT, read_byte(late, 0, &byte, &err));
    /* The first reader still has the sound file, which nobody can see any more. */
    assert_source_is(source, fixture->bytes, fixture->size);
    assert_dropped_and_fetched_again(fixture);
}

/* --- while no daemon watches --- */

static void an_object_damaged_between_two_processes_is_set_aside(void **state)
{
    struct cache_fixture *fixture = *state;
    const size_t places[] = {0, MIB, fixture->size - 1};

    for (size_t i = 0; i < ELEMENTS_OF(places); i++) {
        struct byte_source *source = NULL;
        struct error err = ERROR_INIT;

        assert_opens_soundly(fixture);
        flip_bit(fixture, places[i]);
        cache_fixture_restart(fixture);
        assert_fails(ERROR_CORRUPT, ciphertext_cache_open(fixture->cache, fixture->record, NULL,
                                                          NULL, &source, &err));
        assert_null(source);
        assert_dropped_and_fetched_again(fixture);
    }
}

static void a_truncated_object_of_another_process_is_fetched_again(void **state)
{
    struct cache_fixture *fixture = *state;

    assert_opens_soundly(fixture);
    truncate_object(fixture, 100);
    cache_fixture_restart(fixture);
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 2);
}

#define with_cache(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, cache_fixture_open, close_mended_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_cache(an_edited_block_is_corrupt_and_the_object_is_dropped),
        with_cache(any_byte_of_an_edited_block_is_withheld),
        with_cache(a_read_that_touches_an_edited_block_gives_nothing),
        with_cache(an_edit_that_keeps_size_and_times_is_found),
        with_cache(exchanged_blocks_are_corrupt),
        with_cache(a_block_edited_after_it_was_read_is_never_wrong),
        with_cache(an_observer_of_an_edited_object_is_aborted),
        with_cache(a_bad_sector_that_a_reader_meets_is_damage),
        with_cache(a_bad_sector_that_the_first_pass_meets_is_damage),
        with_cache(a_bad_sector_that_a_proof_meets_is_damage),
        with_cache(a_truncated_object_is_corrupt_where_bytes_are_missing),
        with_cache(a_truncated_object_is_fetched_again_at_the_next_open),
        with_cache(an_extended_object_shows_no_byte_more),
        with_cache(a_deleted_object_is_fetched_again_and_its_readers_go_on),
        with_cache(a_link_in_the_objects_place_is_not_followed),
        with_cache(a_fifo_in_the_objects_place_hangs_nobody),
        with_cache(a_directory_in_the_datas_place_is_no_object),
        with_cache(another_file_of_the_same_size_is_corrupt),
        with_cache(an_object_damaged_between_two_processes_is_set_aside),
        with_cache(a_truncated_object_of_another_process_is_fetched_again),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
