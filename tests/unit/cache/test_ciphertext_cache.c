/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/ciphertext_cache.h"

#include "cache_fixture.h"
#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/fake_image_service.h"
#include "support/memory_sink.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

/* --- a disk that fills up: what writes goes through this (the linker's --wrap) --- */

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __real_pwrite64(int fd, const void *bytes, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t size, off_t offset);

static atomic_size_t disk_bytes_left = SIZE_MAX;

/* How many of `size` bytes the disk takes; 0 when it is full. */
static size_t take_of_disk(int fd, size_t size)
{
    struct stat status;
    size_t left = atomic_load(&disk_bytes_left);

    if (left == SIZE_MAX || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return size;
    size = size < left ? size : left;
    atomic_store(&disk_bytes_left, left - size);
    errno = ENOSPC;
    return size;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    const size_t taken = take_of_disk(fd, size);

    return taken == 0 && size > 0 ? -1 : __real_write(fd, bytes, taken);
}

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
    const size_t taken = take_of_disk(fd, size);

    return taken == 0 && size > 0 ? -1 : __real_pwrite64(fd, bytes, taken, offset);
}

/* --- helpers --- */

static void assert_observed(const struct memory_sink_record *observed,
                            const struct cache_fixture *fixture)
{
    assert_int_equal(observed->size, fixture->size);
    assert_memory_equal(observed->bytes, fixture->bytes, fixture->size);
    assert_int_equal(observed->commits, 1);
    assert_int_equal(observed->aborts, 0);
    assert_int_equal(observed->frees, 0);
}

static void assert_aborted(const struct memory_sink_record *observed)
{
    assert_int_equal(observed->commits, 0);
    assert_int_equal(observed->aborts, 1);
    assert_int_equal(observed->frees, 0);
}

/* Opens with an observer that reports to `observed`; gives the result. */
static int open_observed(struct cache_fixture *fixture, struct image_record *record,
                         const struct memory_sink_options *options,
                         struct memory_sink_record *observed, struct cancel *cancel,
                         struct error *err)
{
    struct byte_sink *observer = memory_sink_new(observed, options);
    struct byte_source *source = NULL;
    const int result =
        ciphertext_cache_open(fixture->cache, record, observer, cancel, &source, err);

    assert_int_equal(observed->frees, 0);
    assert_int_equal(result == 0, source != NULL);
    byte_source_free(source);
    byte_sink_free(observer);
    observed->frees--;
    return result;
}

/* --- fetching --- */

static void a_fetched_image_is_observed_stored_and_read(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
    CLEANUP(byte_sink_free) struct byte_sink *observer = memory_sink_new(&observed, NULL);
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    assert_false(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_succeeds(
        ciphertext_cache_open(fixture->cache, fixture->record, observer, NULL, &source, &err));
    assert_observed(&observed, fixture);
    assert_true(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_int_equal(cache_fixture_files(fixture), 1);
    assert_source_is(source, fixture->bytes, fixture->size);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

static void every_size_around_the_block_is_read_right(void **state)
{
    static const size_t sizes[] = {0,       1,           4095,    MIB - 1,     MIB,
                                   MIB + 1, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 3 * MIB + 77};
    struct cache_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        CLEANUP(image_record_unref) struct image_record *record = NULL;
        CLEANUP(byte_source_free) struct byte_source *source = NULL;
        CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(i, sizes[i]);
        struct error err = ERROR_INIT;

        fake_image_service_put(fixture->images, OTHER_ID, bytes, sizes[i]);
        assert_succeeds(image_service_get(fixture->images, OTHER_ID, NULL, &record, &err));
        assert_succeeds(ciphertext_cache_open(fixture->cache, record, NULL, NULL, &source, &err));
        assert_source_is(source, bytes, sizes[i]);
    }
}

static void offsets_past_the_end_read_nothing(void **state)
{
    static const uint64_t beyond[] = {0, 1, 1 << 20, (uint64_t)1 << 40, INT64_MAX};
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(fixture);
    struct error err = ERROR_INIT;
    uint8_t byte = 0xaa;
    size_t got;

    for (size_t i = 0; i < ELEMENTS_OF(beyond); i++) {
        got = 99;
        assert_succeeds(
            byte_source_pread(source, &byte, 1, fixture->size + beyond[i], NULL, &got, &err));
        assert_int_equal(got, 0);
    }
    assert_succeeds(byte_source_pread(source, &byte, 1, UINT64_MAX, NULL, &got, &err));
    assert_int_equal(got, 0);
    assert_succeeds(byte_source_pread(source, &byte, 0, 5, NULL, &got, &err));
    assert_int_equal(got, 0);
    assert_int_equal(byte, 0xaa);
}

static void small_chunks_of_the_service_do_not_matter(void **state)
{
    const struct fake_download download = {.chunk_bytes = 4099};
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
    struct error err = ERROR_INIT;

    fake_image_service_misbehave(fixture->images, IMAGE_ID, &download);
    assert_succeeds(open_observed(fixture, fixture->record, NULL, &observed, NULL, &err));
    assert_observed(&observed, fixture);
    assert_opens_soundly(fixture);
}

static void an_image_that_is_there_is_not_fetched_again(void **state)
{
    struct cache_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_opens_soundly(fixture);
    for (int i = 0; i < 3; i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};

        assert_succeeds(open_observed(fixture, fixture->record, NULL, &observed, NULL, &err));
        assert_observed(&observed, fixture);
        assert_opens_soundly(fixture);
    }
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

static void the_next_process_verifies_what_lies_on_disk(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
    struct error err = ERROR_INIT;

    assert_opens_soundly(fixture);
    cache_fixture_restart(fixture);
    assert_true(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_succeeds(open_observed(fixture, fixture->record, NULL, &observed, NULL, &err));
    assert_observed(&observed, fixture);
    cache_fixture_restart(fixture);
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

/* --- what must not be published --- */

static void assert_not_published(struct cache_fixture *fixture,
                                 const struct fake_download *download, enum error_kind kind)
{
    CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
    struct error err = ERROR_INIT;
    const struct fake_download well_behaved = {0};

    fake_image_service_misbehave(fixture->images, IMAGE_ID, download);
    assert_int_equal(open_observed(fixture, fixture->record, NULL, &observed, NULL, &err), -1);
    assert_int_equal(err.kind, kind);
    assert_aborted(&observed);
    assert_int_equal(cache_fixture_files(fixture), 0);
    assert_false(ciphertext_cache_has(fixture->cache, fixture->record));
    fake_image_service_misbehave(fixture->images, IMAGE_ID, &well_behaved);
}

static void wrong_bytes_are_not_published(void **state)
{
    struct cache_fixture *fixture = *state;
    const size_t places[] = {0, 5, MIB - 1, MIB, fixture->size - 1};

    for (size_t i = 0; i < ELEMENTS_OF(places); i++) {
        const struct fake_download download = {.flips_a_bit = true, .flip_at = places[i]};

        assert_not_published(fixture, &download, ERROR_CORRUPT);
    }
    assert_opens_soundly(fixture);
}

static void a_wrong_size_is_not_published(void **state)
{
    struct cache_fixture *fixture = *state;
    const struct fake_download downloads[] = {
        {.missing_bytes = 1}, {.missing_bytes = MIB}, {.missing_bytes = fixture->size},
        {.extra_bytes = 1},   {.extra_bytes = MIB},   {.extra_bytes = 50 * MIB},
    };

    for (size_t i = 0; i < ELEMENTS_OF(downloads); i++)
        assert_not_published(fixture, &downloads[i], ERROR_CORRUPT);
    /* A service that never stops is cut off at the size of the record. */
    assert_true(fake_image_service_bytes(fixture->images) < 7 * fixture->size);
    assert_opens_soundly(fixture);
}

static void a_download_that_fails_is_not_published(void **state)
{
    struct cache_fixture *fixture = *state;
    const struct fake_download downloads[] = {
        {.fails = true, .fail_at = 0},
        {.fails = true, .fail_at = 100000, .fail_kind = ERROR_TIMEOUT},
        {.fails = true, .fail_at = MIB, .fail_kind = ERROR_DENIED},
        {.fails = true, .fail_at = fixture->size, .fail_kind = ERROR_NOT_FOUND},
    };

    for (size_t i = 0; i < ELEMENTS_OF(downloads); i++)
        assert_not_published(fixture, &downloads[i],
                             downloads[i].fail_kind == ERROR_NONE ? ERROR_UNAVAILABLE
                                                                  : downloads[i].fail_kind);
    assert_opens_soundly(fixture);
}

static void a_full_disk_is_no_space_and_leaves_nothing(void **state)
{
    static const size_t room[] = {0, 100, MIB, MIB + 1, 2 * MIB + 100};
    struct cache_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(room); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
        struct error err = ERROR_INIT;
        int result;

        atomic_store(&disk_bytes_left, room[i]);
        result = open_observed(fixture, fixture->record, NULL, &observed, NULL, &err);
        atomic_store(&disk_bytes_left, SIZE_MAX);
        assert_int_equal(result, -1);
        assert_int_equal(err.kind, ERROR_NO_SPACE);
        assert_int_equal(err.errnum, ENOSPC);
        assert_aborted(&observed);
        assert_int_equal(cache_fixture_files(fixture), 0);
        assert_int_equal(cache_fixture_entries(fixture, "partial"), 0);
    }
    assert_opens_soundly(fixture);
}

static void an_arena_that_is_full_is_exhausted_and_leaves_nothing(void **state)
{
    struct cache_fixture *fixture = *state;
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    void *pages[4096];
    size_t count = 0;
    int result;

    while (count < ELEMENTS_OF(pages) &&
           (pages[count] = secure_arena_allocate(fixture->arena, 1)) != NULL)
        count++;
    result = ciphertext_cache_open(fixture->cache, fixture->record, NULL, NULL, &source, &err);
    while (count > 0)
        secure_arena_release(fixture->arena, pages[--count]);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERROR_EXHAUSTED);
    assert_int_equal(cache_fixture_files(fixture), 0);
    assert_opens_soundly(fixture);
}

static void a_cancelled_fetch_publishes_nothing(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED,
                 open_observed(fixture, fixture->record, NULL, &observed, cancel, &err));
    assert_aborted(&observed);
    assert_int_equal(cache_fixture_files(fixture), 0);
    assert_opens_soundly(fixture);
}

/* --- observers --- */

/* The observer's failure is the call's; the object is as good as before. */
static void observers_fail(struct cache_fixture *fixture, enum error_kind kind)
{
    const struct memory_sink_options options[] = {
        {.fails = true, .fail_at = 0, .fail_kind = kind},
        {.fails = true, .fail_at = MIB + 5, .fail_kind = kind},
        {.fails = true, .fail_at = fixture->size - 1, .fail_kind = kind},
        {.fails_commit = true, .fail_kind = kind},
    };

    for (size_t i = 0; i < ELEMENTS_OF(options); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
        struct error err = ERROR_INIT;

        assert_int_equal(
            open_observed(fixture, fixture->record, &options[i], &observed, NULL, &err), -1);
        assert_int_equal(err.kind, kind);
        assert_int_equal(observed.aborts, 1);
        assert_int_equal(observed.commits, options[i].fails_commit);
    }
}

static void an_observer_that_fails_does_not_harm_a_known_object(void **state)
{
    struct cache_fixture *fixture = *state;

    assert_opens_soundly(fixture);
    observers_fail(fixture, ERROR_UNSUPPORTED);
    observers_fail(fixture, ERROR_CORRUPT); /* a wrong passphrase looks like this */
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

static void an_observer_that_fails_does_not_harm_an_object_on_disk(void **state)
{
    struct cache_fixture *fixture = *state;

    assert_opens_soundly(fixture);
    cache_fixture_restart(fixture);
    observers_fail(fixture, ERROR_UNSUPPORTED);
    observers_fail(fixture, ERROR_CORRUPT);
    assert_true(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 1);
}

static void an_observer_that_fails_while_fetching_leaves_a_sound_cache(void **state)
{
    struct cache_fixture *fixture = *state;

    observers_fail(fixture, ERROR_CORRUPT);
    assert_opens_soundly(fixture);
}

/* What nobody can use must not fill the disk. */
static void a_download_that_the_observer_refuses_at_its_end_is_not_kept(void **state)
{
    const struct memory_sink_options options = {.fails_commit = true, .fail_kind = ERROR_CORRUPT};
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
    struct error err = ERROR_INIT;

    assert_fails(ERROR_CORRUPT,
                 open_observed(fixture, fixture->record, &options, &observed, NULL, &err));
    assert_int_equal(cache_fixture_files(fixture), 0);
    assert_int_equal(cache_fixture_entries(fixture, "partial"), 0);
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 2);
}

/* --- many images --- */

static void open_small_image(struct cache_fixture *fixture, size_t number)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    char id[37];

    (void)snprintf(id, sizeof id, "22222222-2222-4333-8444-%012zu", number);
    fake_image_service_put(fixture->images, id, "abc", 3);
    assert_succeeds(image_service_get(fixture->images, id, NULL, &record, &err));
    assert_succeeds(ciphertext_cache_open(fixture->cache, record, NULL, NULL, &source, &err));
    assert_source_is(source, (const uint8_t *)"abc", 3);
}

/* A daemon that has opened every image of a cloud once must not hold memory for all of them. */
static void memory_is_held_for_a_bounded_number_of_images(void **state)
{
    struct cache_fixture *fixture = *state;
    size_t used, number = 0;

    while (number < CACHE_REMEMBERED_OBJECTS)
        open_small_image(fixture, number++);
    used = secure_arena_used(fixture->arena);
    while (number < CACHE_REMEMBERED_OBJECTS + 20)
        open_small_image(fixture, number++);
    assert_int_equal(secure_arena_used(fixture->arena), used);
    /* The forgotten ones are still on disk. */
    open_small_image(fixture, 0);
    assert_int_equal(fake_image_service_downloads(fixture->images), number);
}

static void an_object_of_which_nothing_is_left_gives_way(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = cache_fixture_object(fixture, fixture->record);

    *strrchr(path, '/') = '\0';
    assert_int_equal(mkdirat(temp_dir_fd(fixture->dir), path, 0700), 0);
    assert_opens_soundly(fixture);
}

/* --- another image behind the same id --- */

/* Opens what OTHER bytes now are behind IMAGE_ID; the record of them. */
static struct image_record *open_replaced(struct cache_fixture *fixture, const uint8_t *bytes)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct image_record *record = NULL;
    struct error err = ERROR_INIT;

    fake_image_service_put(fixture->images, IMAGE_ID, bytes, fixture->size);
    assert_succeeds(image_service_get(fixture->images, IMAGE_ID, NULL, &record, &err));
    assert_false(ciphertext_cache_has(fixture->cache, record));
    assert_succeeds(ciphertext_cache_open(fixture->cache, record, NULL, NULL, &source, &err));
    assert_source_is(source, bytes, fixture->size);
    return record;
}

static void a_replaced_image_is_fetched_and_the_old_object_goes(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_free) uint8_t *replaced = pseudo_random_bytes(99, fixture->size);
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    assert_opens_soundly(fixture);
    record = open_replaced(fixture, replaced);
    assert_true(ciphertext_cache_has(fixture->cache, record));
    assert_false(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_int_equal(cache_fixture_files(fixture), 1);
}

/* What is open is never removed. */
static void who_reads_a_replaced_image_reads_it_to_its_end(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_free) uint8_t *replaced = pseudo_random_bytes(99, fixture->size);
    CLEANUP(memory_free) uint8_t *again = pseudo_random_bytes(98, fixture->size);
    CLEANUP(image_record_unref) struct image_record *second = NULL;
    CLEANUP(image_record_unref) struct image_record *third = NULL;
    struct byte_source *old = cache_fixture_source(fixture);

    second = open_replaced(fixture, replaced);
    assert_true(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_source_is(old, fixture->bytes, fixture->size);
    byte_source_free(old);
    third = open_replaced(fixture, again);
    assert_false(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_int_equal(cache_fixture_files(fixture), 1);
}

static void images_do_not_push_one_another_out(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct ciphertext_cache_usage usage;
    struct error err = ERROR_INIT;

    fake_image_service_put(fixture->images, OTHER_ID, fixture->bytes, 1000);
    assert_succeeds(image_service_get(fixture->images, OTHER_ID, NULL, &record, &err));
    assert_opens_soundly(fixture);
    assert_succeeds(ciphertext_cache_open(fixture->cache, record, NULL, NULL, &source, &err));
    assert_source_is(source, fixture->bytes, 1000);
    assert_true(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_true(ciphertext_cache_has(fixture->cache, record));
    assert_succeeds(ciphertext_cache_usage(fixture->cache, &usage, &err));
    assert_int_equal(usage.objects, 2);
    assert_int_equal(usage.stored_bytes, fixture->size + 1000);
}

/* --- figures --- */

static void usage_counts_what_is_stored(void **state)
{
    struct cache_fixture *fixture = *state;
    struct ciphertext_cache_usage usage = {.objects = 99, .stored_bytes = 99};
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_usage(fixture->cache, &usage, &err));
    assert_int_equal(usage.objects, 0);
    assert_int_equal(usage.stored_bytes, 0);
    assert_opens_soundly(fixture);
    assert_succeeds(ciphertext_cache_usage(fixture->cache, &usage, &err));
    assert_int_equal(usage.objects, 1);
    assert_int_equal(usage.stored_bytes, fixture->size);
}

static void space_is_that_of_the_filesystem_below(void **state)
{
    struct cache_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    uint64_t total = 0, free_bytes = UINT64_MAX;

    assert_succeeds(ciphertext_cache_space(fixture->cache, &total, &free_bytes, &err));
    assert_true(total > 0);
    assert_true(free_bytes <= total);
}

static void freeing_null_is_allowed(void **state)
{
    (void)state;
    ciphertext_cache_free(NULL);
}

#define with_cache(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, cache_fixture_open, cache_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_cache(a_fetched_image_is_observed_stored_and_read),
        with_cache(every_size_around_the_block_is_read_right),
        with_cache(offsets_past_the_end_read_nothing),
        with_cache(small_chunks_of_the_service_do_not_matter),
        with_cache(an_image_that_is_there_is_not_fetched_again),
        with_cache(the_next_process_verifies_what_lies_on_disk),
        with_cache(wrong_bytes_are_not_published),
        with_cache(a_wrong_size_is_not_published),
        with_cache(a_download_that_fails_is_not_published),
        with_cache(a_full_disk_is_no_space_and_leaves_nothing),
        with_cache(an_arena_that_is_full_is_exhausted_and_leaves_nothing),
        with_cache(a_cancelled_fetch_publishes_nothing),
        with_cache(an_observer_that_fails_does_not_harm_a_known_object),
        with_cache(an_observer_that_fails_does_not_harm_an_object_on_disk),
        with_cache(an_observer_that_fails_while_fetching_leaves_a_sound_cache),
        with_cache(a_download_that_the_observer_refuses_at_its_end_is_not_kept),
        with_cache(memory_is_held_for_a_bounded_number_of_images),
        with_cache(an_object_of_which_nothing_is_left_gives_way),
        with_cache(a_replaced_image_is_fetched_and_the_old_object_goes),
        with_cache(who_reads_a_replaced_image_reads_it_to_its_end),
        with_cache(images_do_not_push_one_another_out),
        with_cache(usage_counts_what_is_stored),
        with_cache(space_is_that_of_the_filesystem_below),
        cmocka_unit_test(freeing_null_is_allowed),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
