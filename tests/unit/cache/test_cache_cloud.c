/* SPDX-License-Identifier: Apache-2.0 */
/* Whose images a cache holds. */
#include "cache_fixture.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <string.h>
#include <sys/stat.h>

#define OURS "https://glance.example.org:9292 project 0123456789abcdef"
#define THEIRS "local:/srv/a cloud"

static void assert_cloud(const struct cache_fixture *fixture, const char *expected)
{
    char cloud[CACHE_CLOUD_BYTES];
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_cloud(fixture->cache, cloud, &err));
    assert_string_equal(cloud, expected);
}

static void set(const struct cache_fixture *fixture, const char *cloud, bool replaces,
                const char *expected_former)
{
    char former[CACHE_CLOUD_BYTES];
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_set_cloud(fixture->cache, cloud, replaces, former, &err));
    assert_string_equal(former, expected_former);
}

static void nobody_has_said_so_at_first(void **state)
{
    assert_cloud(*state, "");
}

static void what_was_said_first_stays(void **state)
{
    struct cache_fixture *fixture = *state;

    set(fixture, OURS, false, "");
    assert_cloud(fixture, OURS);
    set(fixture, THEIRS, false, OURS);
    assert_cloud(fixture, OURS);
    cache_fixture_restart(fixture);
    assert_cloud(fixture, OURS);
}

static void nothing_is_said_of_images_that_are_there_already(void **state)
{
    struct cache_fixture *fixture = *state;

    byte_source_free(cache_fixture_source(fixture));
    set(fixture, THEIRS, false, "");
    assert_cloud(fixture, "");
    set(fixture, OURS, true, "");
    assert_cloud(fixture, OURS);
}

static void it_is_replaced_when_that_is_wanted(void **state)
{
    struct cache_fixture *fixture = *state;

    set(fixture, OURS, true, "");
    set(fixture, THEIRS, true, OURS);
    assert_cloud(fixture, THEIRS);
    set(fixture, THEIRS, true, THEIRS);
}

static void the_file_is_as_documented(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_free) char *text = NULL;
    struct stat status;

    set(fixture, OURS, false, "");
    text = (char *)temp_dir_read(fixture->dir, "cache/cloud", NULL);
    assert_string_equal(text, "glancefs-cloud 1\n" OURS "\n");
    assert_int_equal(fstatat(temp_dir_fd(fixture->dir), "cache/cloud", &status, 0), 0);
    assert_int_equal(status.st_mode & ALLPERMS, 0600);
}

static void a_file_that_is_damaged_tells_nothing_and_is_written_anew(void **state)
{
    static const char *const damaged[] = {
        "",
        "\n",
        "glancefs-cloud 1\n",
        "glancefs-cloud 1\n\n",
        "glancefs-cloud 1\n" OURS,
        "glancefs-cloud 1\n" OURS "\n\n",
        "glancefs-cloud 1\n" OURS "\nmore\n",
        "glancefs-cloud 1\na\tb\n",
        "glancefs-cloud 2\n" OURS "\n",
        "glancefs-cache 1\n" OURS "\n",
        OURS "\n",
    };
    struct cache_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(damaged); i++) {
        temp_dir_write(fixture->dir, "cache/cloud", damaged[i], strlen(damaged[i]));
        assert_cloud(fixture, "");
        set(fixture, OURS, false, "");
        assert_cloud(fixture, OURS);
    }
}

static void what_is_too_long_is_no_name(void **state)
{
    struct cache_fixture *fixture = *state;
    char name[2 * CACHE_CLOUD_BYTES];
    char former[CACHE_CLOUD_BYTES];
    struct error err = ERROR_INIT;

    memset(name, 'x', sizeof name);
    temp_dir_write(fixture->dir, "cache/cloud", name, sizeof name);
    assert_cloud(fixture, "");
    name[CACHE_CLOUD_BYTES] = '\0';
    assert_fails(ERROR_INVALID,
                 ciphertext_cache_set_cloud(fixture->cache, name, true, former, &err));
    name[CACHE_CLOUD_BYTES - 1] = '\0';
    set(fixture, name, true, "");
    assert_cloud(fixture, name);
    assert_fails(ERROR_INVALID,
                 ciphertext_cache_set_cloud(fixture->cache, "a\nb", true, former, &err));
    assert_fails(ERROR_INVALID, ciphertext_cache_set_cloud(fixture->cache, "", true, former, &err));
}

static void who_only_looks_does_not_say_so(void **state)
{
    struct cache_fixture *fixture = *state;
    const struct ciphertext_cache_parts parts = {.path = fixture->path, .role = CACHE_OBSERVER};
    CLEANUP(ciphertext_cache_free) struct ciphertext_cache *observer = NULL;
    char former[CACHE_CLOUD_BYTES];
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_new(&parts, &observer, &err));
    assert_fails(ERROR_READ_ONLY, ciphertext_cache_set_cloud(observer, OURS, true, former, &err));
    assert_cloud(fixture, "");
}

/* As after an edit by hand: the rest is a cache still. */
static void a_cache_without_its_format_keeps_its_cloud(void **state)
{
    struct cache_fixture *fixture = *state;

    set(fixture, OURS, false, "");
    assert_int_equal(unlinkat(temp_dir_fd(fixture->dir), "cache/format", 0), 0);
    cache_fixture_restart(fixture);
    assert_cloud(fixture, OURS);
}

#define with_cache(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, cache_fixture_open, cache_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_cache(nobody_has_said_so_at_first),
        with_cache(what_was_said_first_stays),
        with_cache(nothing_is_said_of_images_that_are_there_already),
        with_cache(it_is_replaced_when_that_is_wanted),
        with_cache(the_file_is_as_documented),
        with_cache(a_file_that_is_damaged_tells_nothing_and_is_written_anew),
        with_cache(what_is_too_long_is_no_name),
        with_cache(who_only_looks_does_not_say_so),
        with_cache(a_cache_without_its_format_keeps_its_cloud),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
