/* SPDX-License-Identifier: Apache-2.0 */
/* Downloads that are cut anywhere, killed, resumed, refused and squeezed for room. */
#include "cache/object_fetch.h"

#include "cache/wall_clock.h"
#include "cache_fixture.h"
#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/delay.h"
#include "support/fake_image_service.h"
#include "support/memory_sink.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define SIZE (2 * MIB + MIB / 2 + 17)

/* --- a disk that is full as long as something is on it (the linker's --wrap) --- */

ssize_t __real_pwrite64(int fd, const void *bytes, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t size, off_t offset);

static atomic_bool disk_is_full;
static const char *hog; /* a path: while it exists nothing is written behind byte FULL_AT */
#define FULL_AT (MIB + 5)

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
    if (!atomic_load(&disk_is_full) || (hog != NULL && access(hog, F_OK) < 0))
        return __real_pwrite64(fd, bytes, size, offset);
    if ((size_t)offset >= FULL_AT) {
        errno = EDQUOT;
        return -1;
    }
    if (size > FULL_AT - (size_t)offset)
        size = FULL_AT - (size_t)offset;
    return __real_pwrite64(fd, bytes, size, offset);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_renameat(int old_fd, const char *old_name, int new_fd, const char *new_name);
int __wrap_renameat(int old_fd, const char *old_name, int new_fd, const char *new_name);

static atomic_int sync_error; /* 0: none */
static atomic_bool renames_fail;

int __wrap_fdatasync(int fd)
{
    errno = atomic_load(&sync_error);
    return errno != 0 ? -1 : __real_fdatasync(fd);
}

/* The publishing one, while the hog is there. */
int __wrap_renameat(int old_fd, const char *old_name, int new_fd, const char *new_name)
{
    if (!atomic_load(&renames_fail) || strcmp(old_name, new_name) != 0 || access(hog, F_OK) < 0)
        return __real_renameat(old_fd, old_name, new_fd, new_name);
    errno = ENOSPC;
    return -1;
}

/* --- a cache directory before a service --- */

struct bed {
    struct secure_arena *arena;
    struct temp_dir *dir;
    char *path;
    struct cache_layout *layout;
    struct cache_space space;
    struct image_service *images;
    struct image_record *record;
    uint8_t *bytes;
    char name[CACHE_OBJECT_NAME_BYTES];
};

/* As the next process would find it. */
static void reopen(struct bed *bed)
{
    struct error err = ERROR_INIT;

    cache_layout_free(steal(&bed->layout));
    assert_succeeds(cache_layout_open(bed->path, CACHE_COMMAND, &bed->layout, &err));
    bed->space.layout = bed->layout;
}

static int open_bed(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    struct error err = ERROR_INIT;

    if (bed == NULL)
        return -1;
    bed->arena = *state;
    bed->dir = temp_dir_new();
    bed->path = temp_dir_join(bed->dir, "cache");
    bed->bytes = pseudo_random_bytes(1, SIZE);
    bed->images = fake_image_service_new();
    fake_image_service_put(bed->images, IMAGE_ID, bed->bytes, SIZE);
    assert_succeeds(image_service_get(bed->images, IMAGE_ID, NULL, &bed->record, &err));
    cache_object_name(bed->record, bed->name);
    reopen(bed);
    *state = bed;
    return 0;
}

static int close_bed(void **state)
{
    struct bed *bed = *state;

    atomic_store(&disk_is_full, false);
    hog = NULL;
    cache_layout_free(bed->layout);
    image_record_unref(bed->record);
    image_service_free(bed->images);
    temp_dir_free(bed->dir);
    free(bed->path);
    free(bed->bytes);
    free(bed);
    return 0;
}

static void misbehave(struct bed *bed, struct fake_download download)
{
    fake_image_service_misbehave(bed->images, IMAGE_ID, &download);
}

static void behave(struct bed *bed)
{
    misbehave(bed, (struct fake_download){.fails = false});
}

static struct object_fetch fetch_of(struct bed *bed)
{
    return (struct object_fetch){.layout = bed->layout,
                                 .space = &bed->space,
                                 .images = bed->images,
                                 .require_hash = true,
                                 .record = bed->record};
}

static void let_go(struct fetched_object *fetched)
{
    gmac_table_free(steal(&fetched->tags));
    if (fetched->data_fd >= 0)
        (void)close(steal_fd(&fetched->data_fd));
}

static int run(const struct object_fetch *fetch, struct error *err)
{
    struct fetched_object fetched = {.data_fd = -1};
    const int result = object_fetch_run(fetch, NULL, &fetched, err);

    let_go(&fetched);
    return result;
}

/* Runs with an observer that reports to `observed`. */
static int run_observed(struct bed *bed, const struct memory_sink_options *options,
                        struct memory_sink_record *observed, struct error *err)
{
    CLEANUP(byte_sink_free) struct byte_sink *observer = memory_sink_new(observed, options);
    struct object_fetch fetch = fetch_of(bed);

    fetch.observer = observer;
    return run(&fetch, err);
}

/* What is there of the download, in bytes; UINT64_MAX when there is none. */
static uint64_t partial_bytes(struct bed *bed)
{
    CLEANUP(memory_free) char *path = NULL;
    struct stat status;

    if (asprintf(&path, "%s/partial/%s/data", bed->path, bed->name) < 0)
        abort();
    return stat(path, &status) < 0 ? UINT64_MAX : (uint64_t)status.st_size;
}

static void assert_no_partial(struct bed *bed)
{
    CLEANUP(memory_free) char *path = NULL;

    if (asprintf(&path, "%s/partial/%s", bed->path, bed->name) < 0)
        abort();
    assert_int_equal(access(path, F_OK), -1);
}

/* The complete object has exactly the image's bytes. */
static void assert_published(struct bed *bed)
{
    CLEANUP(memory_free) uint8_t *bytes = malloc(SIZE + 1);
    CLEANUP(fd_close) int fd = -1;
    struct object_metadata metadata;
    struct error err = ERROR_INIT;

    assert_succeeds(
        object_store_open(bed->layout, bed->name, wall_clock_ns(), &fd, &metadata, &err));
    assert_int_equal(pread(fd, bytes, SIZE + 1, 0), SIZE);
    assert_memory_equal(bytes, bed->bytes, SIZE);
    assert_int_equal(metadata.size, SIZE);
    assert_true(metadata.fetched_at > 0);
    assert_no_partial(bed);
}

static void assert_not_published(struct bed *bed)
{
    struct object_metadata metadata;

    object_metadata_of(bed->record, &metadata);
    assert_false(object_store_has(bed->layout, &metadata));
}

static void assert_observed_whole(const struct memory_sink_record *observed, const struct bed *bed)
{
    assert_int_equal(observed->commits, 1);
    assert_int_equal(observed->size, SIZE);
    assert_memory_equal(observed->bytes, bed->bytes, SIZE);
}

/* --- the whole of it --- */

static void an_object_is_published_with_its_tags_and_a_readers_lock(void **state)
{
    struct bed *bed = *state;
    struct object_fetch fetch = fetch_of(bed);
    struct fetched_object fetched = {.data_fd = -1};
    _Atomic uint64_t progress = 0;
    struct error err = ERROR_INIT;
    uint8_t byte;

    fetch.arena = bed->arena;
    fetch.progress = &progress;
    assert_succeeds(object_fetch_run(&fetch, NULL, &fetched, &err));
    assert_int_equal(fetched.size, SIZE);
    assert_int_equal(progress, SIZE);
    assert_succeeds(gmac_table_check(fetched.tags, 1, bed->bytes + MIB, MIB, &err));
    assert_int_equal(pread(fetched.data_fd, &byte, 1, 5), 1);
    assert_int_equal(byte, bed->bytes[5]);
    assert_published(bed);
    assert_fails(ERROR_BUSY,
                 object_store_discard(bed->layout, CACHE_PLACE_OBJECTS, bed->name, &err));
    let_go(&fetched);
    assert_succeeds(object_store_discard(bed->layout, CACHE_PLACE_OBJECTS, bed->name, &err));
}

static void what_is_complete_is_not_begun(void **state)
{
    struct bed *bed = *state;
    const struct object_fetch fetch = fetch_of(bed);
    struct error err = ERROR_INIT;

    assert_succeeds(run(&fetch, &err));
    assert_fails(ERROR_EXISTS, run(&fetch, &err));
    assert_int_equal(fake_image_service_downloads(bed->images), 1);
}

/* --- cuts --- */

static const size_t cuts[] = {0,           1,       4095,       65536,       MIB - 1,
                              MIB,         MIB + 1, SIZE - MIB, 2 * MIB - 1, 2 * MIB,
                              2 * MIB + 1, 2500000, SIZE - 1,   SIZE};

static void a_cut_download_goes_on_where_it_ended(void **state)
{
    struct bed *bed = *state;

    for (size_t i = 0; i < ELEMENTS_OF(cuts); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record first = {0}, second = {0};
        const uint64_t before = fake_image_service_bytes(bed->images);
        struct error err = ERROR_INIT;

        misbehave(bed, (struct fake_download){.fails = true, .fail_at = cuts[i]});
        assert_fails(ERROR_UNAVAILABLE, run_observed(bed, NULL, &first, &err));
        assert_int_equal(first.aborts, 1);
        assert_int_equal(partial_bytes(bed), cuts[i]);
        assert_not_published(bed);
        reopen(bed);
        behave(bed);
        assert_succeeds(run_observed(bed, NULL, &second, &err));
        assert_observed_whole(&second, bed);
        assert_published(bed);
        assert_int_equal(fake_image_service_bytes(bed->images) - before, SIZE);
        assert_succeeds(object_store_discard(bed->layout, CACHE_PLACE_OBJECTS, bed->name, &err));
    }
}

static void no_byte_is_asked_for_twice_however_often_it_is_cut(void **state)
{
    struct bed *bed = *state;
    const struct object_fetch fetch = fetch_of(bed);
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(cuts); i++) {
        misbehave(bed, (struct fake_download){.fails = true, .fail_at = cuts[i]});
        assert_fails(ERROR_UNAVAILABLE, run(&fetch, &err));
        assert_int_equal(partial_bytes(bed), cuts[i]);
    }
    behave(bed);
    assert_succeeds(run(&fetch, &err));
    assert_published(bed);
    assert_int_equal(fake_image_service_bytes(bed->images), SIZE);
}

/* What says nothing against the bytes keeps them; a refusal of the service does not. */
static void an_outage_keeps_what_came_and_a_refusal_drops_it(void **state)
{
    static const struct {
        enum error_kind kind;
        bool stays;
    } ends[] = {{ERROR_UNAVAILABLE, true}, {ERROR_TIMEOUT, true},  {ERROR_LOGIN, true},
                {ERROR_BUSY, true},        {ERROR_DENIED, false},  {ERROR_NOT_FOUND, false},
                {ERROR_CORRUPT, false},    {ERROR_INVALID, false}, {ERROR_SYSTEM, false}};
    struct bed *bed = *state;
    const struct object_fetch fetch = fetch_of(bed);

    for (size_t i = 0; i < ELEMENTS_OF(ends); i++) {
        struct error err = ERROR_INIT;

        misbehave(bed, (struct fake_download){
                           .fails = true, .fail_at = 100000, .fail_kind = ends[i].kind});
        assert_fails(ends[i].kind, run(&fetch, &err));
        assert_int_equal(partial_bytes(bed), ends[i].stays ? 100000 : UINT64_MAX);
    }
}

static void a_cancelled_download_stays(void **state)
{
    struct bed *bed = *state;
    const struct object_fetch fetch = fetch_of(bed);
    const struct memory_sink_options cancels = {
        .fails = true, .fail_at = MIB + 5, .fail_kind = ERROR_CANCELLED};
    CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
    struct error err = ERROR_INIT;

    assert_fails(ERROR_CANCELLED, run_observed(bed, &cancels, &observed, &err));
    assert_true(partial_bytes(bed) >= MIB && partial_bytes(bed) <= SIZE);
    assert_succeeds(run(&fetch, &err));
    assert_published(bed);
}

/* --- a kill --- */

/* A child downloads slowly until it is killed; the parent goes on. */
static void a_killed_download_is_resumed(void **state)
{
    struct bed *bed = *state;
    const struct object_fetch fetch = fetch_of(bed);
    struct error err = ERROR_INIT;
    uint64_t present;
    pid_t child;

    misbehave(bed, (struct fake_download){.delay_ms = 5});
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(run(&fetch, &err) == 0 ? 0 : 1);
    while (partial_bytes(bed) == UINT64_MAX || partial_bytes(bed) < MIB)
        (void)delay(1, NULL, &err);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    present = partial_bytes(bed);
    assert_true(present >= MIB && present < SIZE);
    behave(bed);
    assert_succeeds(run(&fetch, &err));
    assert_published(bed);
    assert_int_equal(fake_image_service_bytes(bed->images), SIZE - present);
}

/* --- other bytes --- */

static void a_replaced_image_is_begun_anew(void **state)
{
    struct bed *bed = *state;
    CLEANUP(memory_free) uint8_t *replaced = pseudo_random_bytes(2, SIZE);
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct object_fetch fetch = fetch_of(bed);
    struct error err = ERROR_INIT;

    misbehave(bed, (struct fake_download){.fails = true, .fail_at = 2 * MIB});
    assert_fails(ERROR_UNAVAILABLE, run(&fetch, &err));
    fake_image_service_put(bed->images, IMAGE_ID, replaced, SIZE);
    assert_succeeds(image_service_get(bed->images, IMAGE_ID, NULL, &record, &err));
    fetch.record = record;
    assert_succeeds(run(&fetch, &err));
    assert_int_equal(fake_image_service_bytes(bed->images), 2 * MIB + SIZE);
}

/* The name is the same; the rest of the metadata tells them apart. */
static void an_image_of_another_size_is_begun_anew(void **state)
{
    struct bed *bed = *state;
    const char *hash = image_record_hash_value(bed->record);
    CLEANUP(image_record_unref)
    struct image_record *other = fake_image_record(IMAGE_ID, bed->bytes, SIZE - 1, "sha512", hash);
    struct object_fetch fetch = fetch_of(bed);
    struct error err = ERROR_INIT;

    misbehave(bed, (struct fake_download){.fails = true, .fail_at = 2 * MIB});
    assert_fails(ERROR_UNAVAILABLE, run(&fetch, &err));
    fetch.record = other;
    misbehave(bed, (struct fake_download){.fails = true, .fail_at = 5});
    assert_fails(ERROR_UNAVAILABLE, run(&fetch, &err));
    assert_int_equal(partial_bytes(bed), 5);
    assert_int_equal(fake_image_service_bytes(bed->images), 2 * MIB + 5);
}

/* What nothing can prove in the end is not put together from two downloads. */
static void an_image_without_a_hash_is_begun_anew(void **state)
{
    struct bed *bed = *state;
    char without_checksum[200];
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct object_fetch fetch = fetch_of(bed);
    struct error err = ERROR_INIT;
    const int length =
        snprintf(without_checksum, sizeof without_checksum,
                 "{\"id\": \"%s\", \"status\": \"active\", \"size\": %zu}", IMAGE_ID, SIZE);

    assert_succeeds(image_record_parse(without_checksum, (size_t)length, &record, &err));
    fetch.require_hash = false;
    fetch.record = record;
    misbehave(bed, (struct fake_download){.fails = true, .fail_at = MIB});
    assert_fails(ERROR_UNAVAILABLE, run(&fetch, &err));
    behave(bed);
    assert_succeeds(run(&fetch, &err));
    assert_int_equal(fake_image_service_bytes(bed->images), MIB + SIZE);
}

static void spoil_partial(struct bed *bed)
{
    CLEANUP(memory_free) char *path = NULL;
    CLEANUP(fd_close) int fd = -1;

    if (asprintf(&path, "%s/partial/%s/data", bed->path, bed->name) < 0)
        abort();
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(__real_pwrite64(fd, "!!", 2, 1000), 2);
}

/* Somebody has seen the wrong bytes: he gets the error, and the next one the image. */
static void a_spoilt_rest_fails_the_observed_pass_and_is_dropped(void **state)
{
    struct bed *bed = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record first = {0}, second = {0}, third = {0};
    struct error err = ERROR_INIT;

    misbehave(bed, (struct fake_download){.fails = true, .fail_at = MIB});
    assert_fails(ERROR_UNAVAILABLE, run_observed(bed, NULL, &first, &err));
    spoil_partial(bed);
    behave(bed);
    assert_fails(ERROR_CORRUPT, run_observed(bed, NULL, &second, &err));
    assert_int_equal(second.commits, 0);
    assert_not_published(bed);
    assert_no_partial(bed);
    assert_succeeds(run_observed(bed, NULL, &third, &err));
    assert_observed_whole(&third, bed);
    assert_published(bed);
}

static void a_spoilt_rest_that_nobody_saw_is_downloaded_anew_at_once(void **state)
{
    struct bed *bed = *state;
    const struct object_fetch fetch = fetch_of(bed);
    struct error err = ERROR_INIT;

    misbehave(bed, (struct fake_download){.fails = true, .fail_at = MIB});
    assert_fails(ERROR_UNAVAILABLE, run(&fetch, &err));
    spoil_partial(bed);
    behave(bed);
    assert_succeeds(run(&fetch, &err));
    assert_published(bed);
    assert_int_equal(fake_image_service_bytes(bed->images), 2 * SIZE);
}

static void wrong_bytes_are_dropped_and_asked_for_once(void **state)
{
    static const struct fake_download wrongs[] = {
        {.flips_a_bit = true, .flip_at = 5}, {.missing_bytes = 1}, {.extra_bytes = 1}};
    struct bed *bed = *state;
    const struct object_fetch fetch = fetch_of(bed);

    for (size_t i = 0; i < ELEMENTS_OF(wrongs); i++) {
        struct error err = ERROR_INIT;

        misbehave(bed, wrongs[i]);
        assert_fails(ERROR_CORRUPT, run(&fetch, &err));
        assert_not_published(bed);
        assert_no_partial(bed);
        assert_int_equal(fake_image_service_downloads(bed->images), i + 1);
    }
}

/* --- observers --- */

static void what_the_observer_refuses_is_dropped(void **state)
{
    static const struct memory_sink_options refusals[] = {
        {.fails = true, .fail_at = 0, .fail_kind = ERROR_CORRUPT},
        {.fails = true, .fail_at = MIB + 5, .fail_kind = ERROR_UNSUPPORTED},
        {.fails_commit = true, .fail_kind = ERROR_DENIED},
    };
    struct bed *bed = *state;

    for (size_t i = 0; i < ELEMENTS_OF(refusals); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
        struct error err = ERROR_INIT;

        assert_fails(refusals[i].fail_kind, run_observed(bed, &refusals[i], &observed, &err));
        assert_not_published(bed);
        assert_no_partial(bed);
    }
}

/* An observer that could not ask somebody has not refused: nothing is downloaded again. */
static void what_the_observer_could_not_judge_stays(void **state)
{
    const struct memory_sink_options outage = {.fails_commit = true,
                                               .fail_kind = ERROR_UNAVAILABLE};
    CLEANUP(memory_sink_record) struct memory_sink_record first = {0}, second = {0};
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_UNAVAILABLE, run_observed(bed, &outage, &first, &err));
    assert_not_published(bed);
    assert_succeeds(run_observed(bed, NULL, &second, &err));
    assert_observed_whole(&second, bed);
    assert_published(bed);
    assert_int_equal(fake_image_service_bytes(bed->images), SIZE);
}

/* --- followers --- */

static void ignore_leaver(void *context)
{
    (void)context;
}

/* Whoever still holds what he followed keeps nobody from going on. */
static void a_follower_of_a_cut_download_holds_up_nobody(void **state)
{
    const struct follower_listener listener = {ignore_leaver, NULL};
    struct bed *bed = *state;
    struct object_fetch fetch = fetch_of(bed);
    CLEANUP(byte_source_free) struct byte_source *follower = NULL;
    CLEANUP(object_feed_unref) struct object_feed *feed = NULL;
    struct error err = ERROR_INIT;
    uint8_t buffer[100];
    size_t got;

    assert_succeeds(object_feed_new(&feed, &err));
    assert_succeeds(object_feed_follow(feed, listener, &follower, &err));
    fetch.feed = feed;
    misbehave(bed, (struct fake_download){.fails = true, .fail_at = MIB});
    assert_fails(ERROR_UNAVAILABLE, run(&fetch, &err));
    object_feed_end(feed, &err);
    assert_succeeds(byte_source_pread(follower, buffer, 100, MIB - 100, NULL, &got, &err));
    assert_memory_equal(buffer, bed->bytes + MIB - 100, 100);
    fetch.feed = NULL;
    behave(bed);
    assert_succeeds(run(&fetch, &err));
    assert_published(bed);
}

/* And whoever followed to a good end reads an object that is not removed under him. */
static void a_follower_of_a_complete_object_is_its_reader(void **state)
{
    const struct follower_listener listener = {ignore_leaver, NULL};
    struct bed *bed = *state;
    struct object_fetch fetch = fetch_of(bed);
    struct byte_source *follower = NULL;
    struct object_feed *feed = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(object_feed_new(&feed, &err));
    assert_succeeds(object_feed_follow(feed, listener, &follower, &err));
    fetch.feed = feed;
    assert_succeeds(run(&fetch, &err));
    object_feed_end(feed, NULL);
    object_feed_unref(feed);
    assert_fails(ERROR_BUSY,
                 object_store_discard(bed->layout, CACHE_PLACE_OBJECTS, bed->name, &err));
    byte_source_free(follower);
    assert_succeeds(object_store_discard(bed->layout, CACHE_PLACE_OBJECTS, bed->name, &err));
}

/* --- room --- */

/* Another object, which is not in use. */
static char *put_other_object(struct bed *bed)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct object_fetch fetch = fetch_of(bed);
    char name[CACHE_OBJECT_NAME_BYTES];
    struct error err = ERROR_INIT;
    char *path = NULL;

    fake_image_service_put(bed->images, OTHER_ID, bed->bytes, MIB);
    assert_succeeds(image_service_get(bed->images, OTHER_ID, NULL, &record, &err));
    fetch.record = record;
    assert_succeeds(run(&fetch, &err));
    cache_object_name(record, name);
    if (asprintf(&path, "%s/objects/%s", bed->path, name) < 0)
        abort();
    return path;
}

static void a_full_disk_evicts_and_the_download_goes_on(void **state)
{
    struct bed *bed = *state;
    CLEANUP(memory_free) char *other = put_other_object(bed);
    const struct object_fetch fetch = fetch_of(bed);
    struct error err = ERROR_INIT;

    hog = other;
    atomic_store(&disk_is_full, true);
    assert_succeeds(run(&fetch, &err));
    atomic_store(&disk_is_full, false);
    assert_published(bed);
    assert_int_equal(access(other, F_OK), -1);
    assert_int_equal(atomic_load(&bed->space.evictions), 1);
    assert_int_equal(fake_image_service_bytes(bed->images), MIB + SIZE);
}

static void a_full_disk_with_nothing_to_evict_is_no_space_and_leaves_nothing(void **state)
{
    struct bed *bed = *state;
    const struct object_fetch fetch = fetch_of(bed);
    CLEANUP(memory_sink_record) struct memory_sink_record observed = {0};
    struct error err = ERROR_INIT;

    atomic_store(&disk_is_full, true);
    assert_fails(ERROR_NO_SPACE, run_observed(bed, NULL, &observed, &err));
    atomic_store(&disk_is_full, false);
    assert_int_equal(observed.aborts, 1);
    assert_not_published(bed);
    assert_no_partial(bed);
    assert_succeeds(run(&fetch, &err));
    assert_published(bed);
}

/* The last steps need room, too. */
static void a_disk_that_is_full_at_the_end_evicts_and_publishes(void **state)
{
    struct bed *bed = *state;
    CLEANUP(memory_free) char *other = put_other_object(bed);
    const struct object_fetch fetch = fetch_of(bed);
    struct error err = ERROR_INIT;

    hog = other;
    atomic_store(&renames_fail, true);
    assert_succeeds(run(&fetch, &err));
    atomic_store(&renames_fail, false);
    assert_published(bed);
    assert_int_equal(access(other, F_OK), -1);
    assert_int_equal(fake_image_service_bytes(bed->images), MIB + SIZE);
}

/* What the disk could not keep is not published, least of all an empty object. */
static void bytes_that_could_not_be_made_durable_are_dropped(void **state)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT};
    static const enum error_kind kinds[] = {ERROR_SYSTEM, ERROR_NO_SPACE, ERROR_NO_SPACE};
    struct bed *bed = *state;
    CLEANUP(memory_free) char *other = put_other_object(bed);
    const struct object_fetch fetch = fetch_of(bed);
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(errors); i++) {
        atomic_store(&sync_error, errors[i]);
        assert_fails(kinds[i], run(&fetch, &err));
        atomic_store(&sync_error, 0);
        assert_not_published(bed);
        assert_no_partial(bed);
        /* For a disk that is full there was something to be done, though in vain. */
        assert_int_equal(access(other, F_OK), errors[i] == EIO ? 0 : -1);
    }
    assert_succeeds(run(&fetch, &err));
    assert_published(bed);
}

static void an_object_over_the_limits_is_no_space_before_a_byte_is_asked_for(void **state)
{
    struct bed *bed = *state;
    CLEANUP(memory_free) char *other = put_other_object(bed);
    const struct object_fetch fetch = fetch_of(bed);
    struct error err = ERROR_INIT;

    bed->space.limits.max_size.bytes = SIZE - 1;
    assert_fails(ERROR_NO_SPACE, run(&fetch, &err));
    assert_no_partial(bed);
    assert_int_equal(fake_image_service_downloads(bed->images), 1);
    assert_int_equal(access(other, F_OK), 0);
}

/* --- two at a time --- */

struct runner {
    struct bed *bed;
    pthread_t thread;
    int result;
    struct error err;
};

static void *run_runner(void *argument)
{
    struct runner *runner = argument;
    const struct object_fetch fetch = fetch_of(runner->bed);

    runner->result = run(&fetch, &runner->err);
    return NULL;
}

static void two_who_fetch_the_same_download_it_once(void **state)
{
    struct bed *bed = *state;
    struct runner runners[2] = {{.bed = bed}, {.bed = bed}};

    misbehave(bed, (struct fake_download){.delay_ms = 3});
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&runners[i].thread, NULL, run_runner, &runners[i]), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(runners[i].thread, NULL), 0);
    assert_int_equal(runners[0].result + runners[1].result, -1);
    for (size_t i = 0; i < 2; i++)
        assert_true(runners[i].result == 0 || runners[i].err.kind == ERROR_EXISTS);
    assert_published(bed);
    assert_int_equal(fake_image_service_bytes(bed->images), SIZE);
}

static void a_record_that_proves_nothing_leaves_no_trace(void **state)
{
    struct bed *bed = *state;
    CLEANUP(image_record_unref)
    struct image_record *record = fake_image_record_hashed(IMAGE_ID, bed->bytes, SIZE, "md5");
    struct object_fetch fetch = fetch_of(bed);
    struct error err = ERROR_INIT;

    fetch.record = record;
    assert_fails(ERROR_UNSUPPORTED, run(&fetch, &err));
    assert_int_equal(fake_image_service_downloads(bed->images), 0);
    assert_no_partial(bed);
}

#define with_bed(test) cmocka_unit_test_setup_teardown(test, open_bed, close_bed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_bed(an_object_is_published_with_its_tags_and_a_readers_lock),
        with_bed(what_is_complete_is_not_begun),
        with_bed(a_cut_download_goes_on_where_it_ended),
        with_bed(no_byte_is_asked_for_twice_however_often_it_is_cut),
        with_bed(an_outage_keeps_what_came_and_a_refusal_drops_it),
        with_bed(a_cancelled_download_stays),
        with_bed(a_killed_download_is_resumed),
        with_bed(a_replaced_image_is_begun_anew),
        with_bed(an_image_of_another_size_is_begun_anew),
        with_bed(an_image_without_a_hash_is_begun_anew),
        with_bed(a_spoilt_rest_fails_the_observed_pass_and_is_dropped),
        with_bed(a_spoilt_rest_that_nobody_saw_is_downloaded_anew_at_once),
        with_bed(wrong_bytes_are_dropped_and_asked_for_once),
        with_bed(what_the_observer_refuses_is_dropped),
        with_bed(what_the_observer_could_not_judge_stays),
        with_bed(a_follower_of_a_cut_download_holds_up_nobody),
        with_bed(a_follower_of_a_complete_object_is_its_reader),
        with_bed(a_full_disk_evicts_and_the_download_goes_on),
        with_bed(a_full_disk_with_nothing_to_evict_is_no_space_and_leaves_nothing),
        with_bed(a_disk_that_is_full_at_the_end_evicts_and_publishes),
        with_bed(bytes_that_could_not_be_made_durable_are_dropped),
        with_bed(an_object_over_the_limits_is_no_space_before_a_byte_is_asked_for),
        with_bed(two_who_fetch_the_same_download_it_once),
        with_bed(a_record_that_proves_nothing_leaves_no_trace),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
