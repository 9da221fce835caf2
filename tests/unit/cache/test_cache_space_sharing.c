/* SPDX-License-Identifier: Apache-2.0 */
/* Many who reserve at a time, and many objects: threads, processes, ten thousand directories. */
#include "cache/cache_space.h"

#include "base/clock.h"
#include "space_fixture.h"
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE KIBIBYTES(256)
#define ROUNDS 30
#define MANY 10000
#define USES 16

/* --- who downloads over and over again --- */

struct downloader {
    const struct cache_layout *layout;
    struct cache_space *space;
    uint64_t most_bytes;   /* that may be held and promised */
    unsigned first_number; /* of its images */
    unsigned over_limit;   /* how often more was promised than there may be */
    unsigned granted, failed;
};

/* One download that is granted is completed in every other round, else left or dropped. */
static void end_download(struct downloader *downloader, struct partial_object *partial,
                         const struct object_metadata *metadata, unsigned round)
{
    struct error err = ERROR_INIT;

    if (round % 2 == 0) {
        if (ftruncate(partial->data_fd, (off_t)SIZE) < 0 ||
            object_store_publish(downloader->layout, partial, metadata, NOW + round, NULL, &err) <
                0)
            downloader->failed++;
    } else if (round % 3 == 0) {
        object_store_drop(downloader->layout, partial);
    }
}

static void download_once(struct downloader *downloader, unsigned round)
{
    const struct object_metadata metadata =
        space_fixture_metadata(downloader->first_number + round, SIZE);
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    if (object_store_begin(downloader->layout, &metadata, NULL, NULL, &partial, &err) < 0) {
        downloader->failed++;
        return;
    }
    if (cache_space_reserve(downloader->space, partial, &metadata, NOW + round, NULL, &err) == 0) {
        downloader->granted++;
        downloader->over_limit += space_fixture_sum(downloader->layout) > downloader->most_bytes;
        end_download(downloader, partial, &metadata, round);
    } else if (err.kind == ERROR_NO_SPACE) {
        object_store_drop(downloader->layout, partial);
    } else {
        downloader->failed++;
    }
    downloader->over_limit += space_fixture_sum(downloader->layout) > downloader->most_bytes;
}

static void *download_often(void *argument)
{
    struct downloader *downloader = argument;

    for (unsigned round = 0; round < ROUNDS; round++)
        download_once(downloader, round);
    return NULL;
}

static struct downloader downloader_of(struct space_fixture *fixture, unsigned first_number)
{
    return (struct downloader){.layout = fixture->layout,
                               .space = &fixture->space,
                               .most_bytes = fixture->space.limits.max_size.bytes + OBJECT_OVERHEAD,
                               .first_number = first_number};
}

/* Two downloads fit, and nothing besides but the directories of those that wait for room. */
static void limit_to_two(struct space_fixture *fixture)
{
    fixture->space.limits.max_size = (struct cache_limit){.bytes = 2 * (SIZE + OBJECT_OVERHEAD)};
}

static void run_threads(struct space_fixture *fixture)
{
    struct downloader downloaders[3];
    pthread_t threads[ELEMENTS_OF(downloaders)];

    for (unsigned i = 0; i < ELEMENTS_OF(threads); i++) {
        downloaders[i] = downloader_of(fixture, 1000 * (i + 1));
        assert_int_equal(pthread_create(&threads[i], NULL, download_often, &downloaders[i]), 0);
    }
    for (size_t i = 0; i < ELEMENTS_OF(threads); i++)
        (void)pthread_join(threads[i], NULL);
    for (size_t i = 0; i < ELEMENTS_OF(threads); i++) {
        assert_int_equal(downloaders[i].over_limit, 0);
        assert_int_equal(downloaders[i].failed, 0);
        assert_true(downloaders[i].granted > 0);
    }
    assert_true(fixture->space.evictions > 0);
}

static void threads_never_take_more_than_there_is_together(void **state)
{
    struct space_fixture *fixture = *state;

    limit_to_two(fixture);
    run_threads(fixture);
}

static void threads_never_promise_more_where_nothing_can_be_allocated(void **state)
{
    struct space_fixture *fixture = *state;

    limit_to_two(fixture);
    space_fixture_fail_allocations(EOPNOTSUPP, UINT32_MAX);
    run_threads(fixture);
}

/* As a command beside a daemon: with a layout of its own. */
static int run_process(const struct space_fixture *fixture, unsigned first_number)
{
    CLEANUP(cache_layout_free) struct cache_layout *layout = NULL;
    struct cache_space space = {.limits = fixture->space.limits};
    struct downloader downloader = {.space = &space,
                                    .most_bytes =
                                        fixture->space.limits.max_size.bytes + OBJECT_OVERHEAD,
                                    .first_number = first_number};
    struct error err = ERROR_INIT;

    if (cache_layout_open(fixture->path, CACHE_COMMAND, &layout, &err) < 0)
        return 1;
    downloader.layout = layout;
    space.layout = layout;
    (void)download_often(&downloader);
    return downloader.over_limit > 0 || downloader.failed > 0 || downloader.granted == 0;
}

static void processes_never_take_more_than_there_is_together(void **state)
{
    struct space_fixture *fixture = *state;
    pid_t children[2];
    int status;

    limit_to_two(fixture);
    for (unsigned i = 0; i < ELEMENTS_OF(children); i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(run_process(fixture, 1000 * (i + 1)));
        assert_true(children[i] > 0);
    }
    for (size_t i = 0; i < ELEMENTS_OF(children); i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
}

/* --- many objects --- */

/* Files that all objects share, of one use each: only names and inodes are looked at. */
static void make_shared_files(const struct space_fixture *fixture)
{
    temp_dir_write(fixture->dir, "data", "x", 1);
    for (unsigned i = 0; i < USES; i++) {
        const struct timespec used = {.tv_sec = NOW / SECONDS(1) - 1000 + (int64_t)i};
        const struct timespec times[2] = {used, used};
        char name[16];

        (void)snprintf(name, sizeof name, "meta.%u", i);
        temp_dir_write(fixture->dir, name, "{}", 2);
        assert_int_equal(utimensat(temp_dir_fd(fixture->dir), name, times, 0), 0);
    }
}

static void put_quickly(const struct space_fixture *fixture, unsigned number)
{
    const struct object_metadata metadata = space_fixture_metadata(number, 1);
    const int from = temp_dir_fd(fixture->dir);
    char name[CACHE_OBJECT_NAME_BYTES];
    char meta[16];

    object_metadata_name(&metadata, name);
    (void)snprintf(meta, sizeof meta, "meta.%u", number * 7919 % USES);
    const int objects = fixture->layout->place_fds[CACHE_PLACE_OBJECTS];
    assert_int_equal(mkdirat(objects, name, 0700), 0);
    CLEANUP(fd_close) int dir = openat(objects, name, O_RDONLY | O_DIRECTORY);
    assert_int_equal(linkat(from, "data", dir, "data", 0), 0);
    assert_int_equal(linkat(from, meta, dir, "meta.json", 0), 0);
}

/* In memory, where so many can be made soon. */
static int open_fixture_in_memory(void **state)
{
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 1);
    return space_fixture_open(state);
}

static uint64_t milliseconds_since(uint64_t start_ns)
{
    return (clock_monotonic_ns() - start_ns) / NANOSECONDS_PER_MILLISECOND;
}

/* The time is told for people; a machine under load makes it no failure. */
static void ten_thousand_objects_are_decided_about_at_once(void **state)
{
    struct space_fixture *fixture = *state;
    const struct object_metadata metadata = space_fixture_metadata(MANY + 1, KIBIBYTES(64));
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;
    uint64_t start_ns, held;

    make_shared_files(fixture);
    for (unsigned i = 0; i < MANY; i++)
        put_quickly(fixture, i);
    held = space_fixture_sum(fixture->layout);
    partial = space_fixture_begin(fixture, MANY + 1, KIBIBYTES(64));
    start_ns = clock_monotonic_ns();
    assert_succeeds(cache_space_reserve(&fixture->space, partial, &metadata, NOW, NULL, &err));
    print_message("eviction decision with %d objects, nothing to do: %ju ms\n", MANY,
                  (uintmax_t)milliseconds_since(start_ns));
    object_store_drop(fixture->layout, partial);
    partial_object_free(steal(&partial));

    fixture->space.limits.max_size = (struct cache_limit){.bytes = held};
    partial = space_fixture_begin(fixture, MANY + 1, KIBIBYTES(64));
    start_ns = clock_monotonic_ns();
    assert_succeeds(cache_space_reserve(&fixture->space, partial, &metadata, NOW, NULL, &err));
    print_message("eviction decision with %d objects, %ju to remove: %ju ms\n", MANY,
                  (uintmax_t)fixture->space.evictions, (uintmax_t)milliseconds_since(start_ns));
    assert_true(fixture->space.evictions > 0 && fixture->space.evictions < 100);
    assert_true(space_fixture_sum(fixture->layout) <= held);
    assert_false(space_fixture_has(fixture, CACHE_PLACE_OBJECTS, 0));
}

#define test(name) cmocka_unit_test_setup_teardown(name, space_fixture_open, space_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(threads_never_take_more_than_there_is_together),
        test(threads_never_promise_more_where_nothing_can_be_allocated),
        test(processes_never_take_more_than_there_is_together),
        cmocka_unit_test_setup_teardown(ten_thousand_objects_are_decided_about_at_once,
                                        open_fixture_in_memory, space_fixture_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
