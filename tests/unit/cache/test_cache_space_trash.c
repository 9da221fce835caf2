/* SPDX-License-Identifier: Apache-2.0 */
/* What is being removed takes its space until it is gone, and goes before anything else does. */
#include "cache/cache_space.h"

#include "space_fixture.h"
#include "support/testing.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE KIBIBYTES(256)
#define IN_TRASH "cache/trash/one"

int __real_unlinkat(int dir_fd, const char *name, int flags);
int __wrap_unlinkat(int dir_fd, const char *name, int flags);

static unsigned refused_unlinks;

/* What is thrown away stays, as in a directory that cannot be changed. */
int __wrap_unlinkat(int dir_fd, const char *name, int flags)
{
    if (refused_unlinks == 0 || (strcmp(name, "data") != 0 && strcmp(name, "one") != 0))
        return __real_unlinkat(dir_fd, name, flags);
    if (refused_unlinks != UINT_MAX)
        refused_unlinks--;
    errno = EIO;
    return -1;
}

static int close_fixture(void **state)
{
    refused_unlinks = 0;
    return space_fixture_close(state);
}

/* Throws away what takes SIZE bytes on the disk. */
static void fill_trash(const struct space_fixture *fixture)
{
    static const char zeros[SIZE];

    assert_int_equal(mkdirat(temp_dir_fd(fixture->dir), IN_TRASH, 0700), 0);
    temp_dir_write(fixture->dir, IN_TRASH "/data", zeros, sizeof zeros);
}

static bool has_trash(const struct space_fixture *fixture)
{
    return temp_dir_has(fixture->dir, IN_TRASH "/data");
}

/* Objects 1 to `count` and the trash, in a cache that takes no more. */
static void fill(struct space_fixture *fixture, unsigned count)
{
    for (unsigned i = 1; i <= count; i++)
        space_fixture_put(fixture, i, SIZE, NOW - SECONDS(1000) + (int64_t)i);
    fill_trash(fixture);
    fixture->space.limits.max_size =
        (struct cache_limit){.bytes = (count + 1) * (SIZE + OBJECT_OVERHEAD) + SIZE / 3};
}

static int reserve(struct space_fixture *fixture, unsigned number, struct error *err)
{
    const struct object_metadata metadata = space_fixture_metadata(number, SIZE);
    CLEANUP(partial_object_free)
    struct partial_object *partial = space_fixture_begin(fixture, number, SIZE);

    return cache_space_reserve(&fixture->space, partial, &metadata, NOW, NULL, err);
}

static void it_is_counted(void **state)
{
    struct space_fixture *fixture = *state;
    struct space_state disk;
    struct error err = ERROR_INIT;

    assert_succeeds(cache_space_look(fixture->layout, &disk, &err));
    assert_int_equal(disk.trash_bytes, 0);
    fill_trash(fixture);
    assert_succeeds(cache_space_look(fixture->layout, &disk, &err));
    assert_in_range(disk.trash_bytes, SIZE, SIZE + OBJECT_OVERHEAD);
}

static void a_reservation_takes_it_before_an_object(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    fill(fixture, 2);
    assert_succeeds(reserve(fixture, 3, &err));
    assert_false(has_trash(fixture));
    assert_int_equal(fixture->space.evictions, 0);
}

/* Whoever threw it away is still at it: objects need not go for that. */
static void a_reservation_waits_for_it(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    fill(fixture, 2);
    refused_unlinks = 5;
    assert_succeeds(reserve(fixture, 3, &err));
    assert_false(has_trash(fixture));
    assert_int_equal(fixture->space.evictions, 0);
}

static void what_cannot_be_removed_takes_an_objects_place(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    fill(fixture, 2);
    fixture->space.limits.max_size.bytes += SIZE + OBJECT_OVERHEAD;
    refused_unlinks = UINT_MAX;
    assert_succeeds(reserve(fixture, 3, &err));
    assert_true(has_trash(fixture));
    assert_int_equal(fixture->space.evictions, 0);
    fixture->space.limits.max_size.bytes -= SIZE + OBJECT_OVERHEAD;
    assert_fails(ERROR_NO_SPACE, reserve(fixture, 4, &err));
}

static void the_limits_are_kept_by_emptying_it(void **state)
{
    struct space_fixture *fixture = *state;
    struct cache_space_result removed;
    struct error err = ERROR_INIT;

    fill(fixture, 2);
    fixture->space.limits.max_size.bytes -= SIZE + OBJECT_OVERHEAD;
    refused_unlinks = 5;
    assert_succeeds(cache_space_enforce(&fixture->space, NOW, NULL, &removed, &err));
    assert_int_equal(removed.objects, 0);
    assert_false(has_trash(fixture));
}

static void where_it_stays_the_limits_are_kept_by_evicting(void **state)
{
    struct space_fixture *fixture = *state;
    struct cache_space_result removed;
    struct error err = ERROR_INIT;

    fill(fixture, 3);
    fixture->space.limits.max_size.bytes -= SIZE + OBJECT_OVERHEAD;
    refused_unlinks = UINT_MAX;
    assert_succeeds(cache_space_enforce(&fixture->space, NOW, NULL, &removed, &err));
    assert_int_equal(removed.objects, 1);
    assert_false(space_fixture_has(fixture, CACHE_PLACE_OBJECTS, 1));
}

static void a_full_disk_has_it_emptied_first(void **state)
{
    struct space_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    fill(fixture, 2);
    assert_succeeds(cache_space_make_room(&fixture->space, SIZE, NOW, NULL, &err));
    assert_int_equal(fixture->space.evictions, 0);
    fill_trash(fixture);
    assert_succeeds(cache_space_make_room(&fixture->space, SIZE + SIZE / 2, NOW, NULL, &err));
    assert_int_equal(fixture->space.evictions, 1);
    assert_true(space_fixture_has(fixture, CACHE_PLACE_OBJECTS, 2));
}

#define test(name) cmocka_unit_test_setup_teardown(name, space_fixture_open, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(it_is_counted),
        test(a_reservation_takes_it_before_an_object),
        test(a_reservation_waits_for_it),
        test(what_cannot_be_removed_takes_an_objects_place),
        test(the_limits_are_kept_by_emptying_it),
        test(where_it_stays_the_limits_are_kept_by_evicting),
        test(a_full_disk_has_it_emptied_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
