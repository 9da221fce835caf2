/* SPDX-License-Identifier: Apache-2.0 */
#include "cached_images.h"
#include "cli/command.h"
#include "support/testing.h"

#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#define ABSENT_ID "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"

DEFINE_CLEANUP(struct json_object, json_object_put)

/* Two images in the cache: 40 and 16 bytes. */
static void fill(const struct cached_images *test)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;

    cached_images_add(test, IMAGE_ID, DATA, NULL);
    cached_images_add(test, OTHER_ID, OTHER_DATA, NULL);
    run = RUN_FETCH(test, IMAGE_ID, OTHER_ID);
    assert_exit(run, EXIT_CODE_OK);
}

static struct json_object *parse(const struct program_run *run)
{
    struct json_object *value;

    assert_exit(run, EXIT_CODE_OK);
    assert_string_equal(run->errors, "");
    value = json_tokener_parse(run->output);
    if (value == NULL)
        fail_msg("no JSON: %s", run->output);
    return value;
}

static uint64_t number_of(struct json_object *object, const char *name)
{
    struct json_object *member = NULL;

    if (!json_object_object_get_ex(object, name, &member) ||
        !json_object_is_type(member, json_type_int))
        fail_msg("%s is no number", name);
    return json_object_get_uint64(member);
}

static const char *text_of(struct json_object *object, const char *name)
{
    struct json_object *member = NULL;

    if (!json_object_object_get_ex(object, name, &member))
        fail_msg("there is no %s", name);
    return json_object_get_string(member);
}

static struct json_object *usage_of(const struct cached_images *test)
{
    CLEANUP(program_run_free) struct program_run *run = RUN_CACHE(test, "usage", "--json");

    return parse(run);
}

/* --- list --- */

static void list_shows_each_object_on_a_line(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    fill(test);
    run = RUN_CACHE(test, "list");
    assert_exit(run, EXIT_CODE_OK);
    assert_string_equal(run->errors, "");
    assert_int_equal(strncmp(run->output, "IMAGE ", 6), 0);
    assert_non_null(strstr(run->output, "\n" IMAGE_ID "  complete                 40"));
    assert_non_null(strstr(run->output, "\n" OTHER_ID "  complete                 16"));
    assert_non_null(strstr(run->output, "Z  no\n"));
}

static void list_gives_json(void **state)
{
    static const char *const numbers[] = {"data_bytes", "total_bytes", "disk_bytes", "fetched_at",
                                          "last_used"};
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(json_object_put) struct json_object *array = NULL;
    struct json_object *first;

    fill(test);
    run = RUN_CACHE(test, "list", "--json");
    array = parse(run);
    assert_int_equal(json_object_array_length(array), 2);
    first = json_object_array_get_idx(array, 0);
    assert_int_equal(json_object_object_length(first), 12);
    assert_string_equal(text_of(first, "image_id"), IMAGE_ID);
    assert_int_equal(strncmp(text_of(first, "name"), IMAGE_ID ".", 37), 0);
    assert_string_equal(text_of(first, "state"), "complete");
    assert_string_equal(text_of(first, "in_use"), "false");
    for (size_t i = 0; i < ELEMENTS_OF(numbers); i++)
        assert_true(number_of(first, numbers[i]) > 0);
    assert_int_equal(number_of(first, "data_bytes"), 40);
    assert_null(text_of(first, "key_id"));
    assert_string_equal(text_of(first, "hash_algo"), "sha512");
    assert_int_equal(strlen(text_of(first, "hash_value")), 128);
}

static void list_shows_what_is_in_use(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(memory_free) char *path = NULL;
    CLEANUP(fd_close) int fd = -1;

    fill(test);
    path = cached_images_find(test, "objects", OTHER_ID);
    fd = openat(temp_dir_fd(test->dir), path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_SH), 0);
    run = RUN_CACHE(test, "list");
    assert_non_null(strstr(run->output, "Z  no\n" OTHER_ID));
    assert_non_null(strstr(run->output, "Z  yes\n"));
}

static void an_empty_cache_lists_nothing(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    fill(test);
    program_run_free(RUN_CACHE(test, "evict", IMAGE_ID, OTHER_ID));
    run = RUN_CACHE(test, "list", "--json");
    assert_string_equal(run->output, "[]\n");
}

/* --- usage --- */

static void usage_sums_up(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(json_object_put) struct json_object *usage = NULL;

    fill(test);
    usage = usage_of(test);
    assert_int_equal(json_object_object_length(usage), 16);
    assert_int_equal(number_of(usage, "objects"), 2);
    assert_int_equal(number_of(usage, "stored_bytes"), 56);
    assert_true(number_of(usage, "used_bytes") >= 56);
    assert_int_equal(number_of(usage, "partial_objects"), 0);
    assert_int_equal(number_of(usage, "quarantined_objects"), 0);
    assert_true(number_of(usage, "available_bytes") <= number_of(usage, "free_bytes"));
    assert_true(number_of(usage, "free_bytes") <= number_of(usage, "filesystem_bytes"));
    assert_null(text_of(usage, "max_size_bytes"));
}

static void usage_shows_limits_of_the_configuration(void **state)
{
    static const char settings[] = "max_size = 1M\nmin_free = 3K\n";
    const struct cached_images *test = *state;
    CLEANUP(memory_free) char *path = temp_dir_join(test->dir, "settings");
    CLEANUP(program_run_free) struct program_run *json = NULL;
    CLEANUP(program_run_free) struct program_run *table = NULL;
    CLEANUP(json_object_put) struct json_object *usage = NULL;

    fill(test);
    temp_dir_write(test->dir, "settings", settings, sizeof settings - 1);
    json = RUN_CACHE(test, "usage", "--json", "--config", path);
    usage = parse(json);
    assert_int_equal(number_of(usage, "max_size_bytes"), 1 << 20);
    assert_int_equal(number_of(usage, "min_free_bytes"), 3 << 10);
    assert_int_equal(number_of(usage, "available_bytes") + number_of(usage, "used_bytes"), 1 << 20);
    table = RUN_CACHE(test, "usage", "--config", path);
    assert_exit(table, EXIT_CODE_OK);
    assert_non_null(strstr(table->output, "cache              1.0 MiB  "));
    assert_non_null(strstr(table->output, "complete                 2          56 B\n"));
    assert_non_null(strstr(table->output, "3.0 KiB of the filesystem stay free"));
}

/* --- verify --- */

static void verify_finds_sound_objects_sound(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *all = NULL;
    CLEANUP(program_run_free) struct program_run *one = NULL;

    fill(test);
    all = RUN_CACHE(test, "verify");
    assert_exit(all, EXIT_CODE_OK);
    assert_string_equal(all->output,
                        IMAGE_ID "  sound       40 B\n" OTHER_ID "  sound       16 B\n");
    one = RUN_CACHE(test, "verify", "--json", OTHER_ID);
    assert_exit(one, EXIT_CODE_OK);
    assert_string_equal(one->output, "{\"image_id\":\"" OTHER_ID
                                     "\",\"result\":\"sound\",\"size\":16,\"error\":null}\n");
}

static void verify_sets_a_damaged_object_aside(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(program_run_free) struct program_run *again = NULL;
    CLEANUP(program_run_free) struct program_run *list = NULL;
    CLEANUP(json_object_put) struct json_object *usage = NULL;

    fill(test);
    cached_images_flip(test, IMAGE_ID);
    run = RUN_CACHE(test, "verify");
    assert_exit(run, EXIT_CODE_CORRUPT);
    assert_string_equal(run->output, OTHER_ID "  sound       16 B\n");
    assert_non_null(strstr(run->errors, IMAGE_ID));
    assert_int_equal(cached_images_count(test, "objects"), 1);
    list = RUN_CACHE(test, "list");
    assert_non_null(strstr(list->output, IMAGE_ID "  quarantine "));
    usage = usage_of(test);
    assert_int_equal(number_of(usage, "quarantined_objects"), 1);
    assert_int_equal(number_of(usage, "quarantined_bytes"), 40);
    again = RUN_CACHE(test, "verify");
    assert_exit(again, EXIT_CODE_OK);
}

static void verify_tells_damage_in_json(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    fill(test);
    cached_images_flip(test, IMAGE_ID);
    run = RUN_CACHE(test, "verify", "--json", IMAGE_ID);
    assert_exit(run, EXIT_CODE_CORRUPT);
    assert_non_null(strstr(run->output, "{\"image_id\":\"" IMAGE_ID
                                        "\",\"result\":\"damaged\",\"size\":40,\"error\":\""));
    assert_string_equal(run->errors, "");
}

static void verify_repairs_what_does_not_match(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(memory_free) char *path = NULL;
    CLEANUP(memory_free) char *data = NULL;

    fill(test);
    cached_images_flip(test, IMAGE_ID);
    run = RUN_CLOUD_CACHE(test, "verify", "--repair");
    assert_exit(run, EXIT_CODE_OK);
    assert_string_equal(run->output,
                        IMAGE_ID "  repaired    40 B\n" OTHER_ID "  sound       16 B\n");
    path = cached_images_find(test, "objects", IMAGE_ID);
    data = (char *)temp_dir_read(test->dir, path, NULL);
    assert_string_equal(data, DATA);
}

static void verify_repairs_what_was_set_aside_before(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(program_run_free) struct program_run *again = NULL;

    fill(test);
    cached_images_flip(test, IMAGE_ID);
    program_run_free(RUN_CACHE(test, "verify"));
    run = RUN_CLOUD_CACHE(test, "verify", "--repair", IMAGE_ID);
    assert_exit(run, EXIT_CODE_OK);
    assert_string_equal(run->output, IMAGE_ID "  repaired    40 B\n");
    again = RUN_CLOUD_CACHE(test, "verify", "--repair", IMAGE_ID);
    assert_string_equal(again->output, IMAGE_ID "  sound       40 B\n");
}

static void a_repair_that_fails_is_damage(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    fill(test);
    cached_images_flip(test, IMAGE_ID);
    cached_images_alter(test, IMAGE_ID, "{\"glancefs_test_status\":503}");
    run = RUN_CLOUD_CACHE(test, "verify", "--repair", "--json");
    assert_exit(run, EXIT_CODE_CORRUPT);
    assert_non_null(strstr(run->output, "\"result\":\"damaged\""));
    assert_non_null(strstr(run->output, "503"));
    assert_non_null(strstr(run->output, OTHER_ID "\",\"result\":\"sound\""));
}

static void verify_of_what_is_not_there_is_not_found(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    fill(test);
    run = RUN_CACHE(test, "verify", ABSENT_ID, OTHER_ID);
    assert_exit(run, EXIT_CODE_NOT_FOUND);
    assert_string_equal(run->output, OTHER_ID "  sound       16 B\n");
    assert_string_equal(run->errors, "glancefs cache: image " ABSENT_ID " is not in the cache\n");
}

/* --- evict --- */

static void evict_removes_an_image(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(program_run_free) struct program_run *again = NULL;

    fill(test);
    run = RUN_CACHE(test, "evict", IMAGE_ID);
    assert_exit(run, EXIT_CODE_OK);
    assert_non_null(strstr(run->output, IMAGE_ID "  evicted "));
    assert_int_equal(cached_images_count(test, "objects"), 1);
    assert_int_equal(cached_images_count(test, "trash"), 0);
    again = RUN_CACHE(test, "evict", IMAGE_ID);
    assert_exit(again, EXIT_CODE_NOT_FOUND);
    assert_non_null(strstr(again->errors, IMAGE_ID));
}

static void evict_goes_on_after_what_is_not_there(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    fill(test);
    run = RUN_CACHE(test, "evict", "--json", ABSENT_ID, "..", IMAGE_ID "0", OTHER_ID);
    assert_exit(run, EXIT_CODE_NOT_FOUND);
    assert_non_null(strstr(run->output, "{\"image_id\":\"" ABSENT_ID
                                        "\",\"result\":\"failed\",\"removed_objects\":0,"
                                        "\"removed_bytes\":0,\"error\":\""));
    assert_non_null(strstr(run->output, "{\"image_id\":\"" OTHER_ID
                                        "\",\"result\":\"evicted\",\"removed_objects\":1,"));
    assert_int_equal(cached_images_count(test, "objects"), 1);
}

static void what_somebody_reads_is_not_evicted(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(memory_free) char *path = NULL;
    CLEANUP(fd_close) int fd = -1;

    fill(test);
    path = cached_images_find(test, "objects", IMAGE_ID);
    fd = openat(temp_dir_fd(test->dir), path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_SH), 0);
    run = RUN_CACHE(test, "evict", IMAGE_ID, OTHER_ID);
    assert_exit(run, EXIT_CODE_FAILED);
    assert_non_null(strstr(run->errors, IMAGE_ID));
    assert_non_null(strstr(run->output, OTHER_ID "  evicted "));
    assert_true(temp_dir_has(test->dir, path));
}

/* --- prune --- */

static void prune_removes_what_was_set_aside(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(json_object_put) struct json_object *pruning = NULL;

    fill(test);
    cached_images_flip(test, IMAGE_ID);
    program_run_free(RUN_CACHE(test, "verify"));
    run = RUN_CACHE(test, "prune", "--json");
    pruning = parse(run);
    assert_int_equal(json_object_object_length(pruning), 7);
    assert_int_equal(number_of(pruning, "removed_objects"), 1);
    assert_true(number_of(pruning, "removed_bytes") >= 40);
    assert_string_equal(text_of(pruning, "asked"), "false");
    assert_int_equal(cached_images_count(test, "quarantine"), 0);
    assert_int_equal(cached_images_count(test, "objects"), 1);
}

static void prune_removes_images_that_the_cloud_does_not_know(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *offline = NULL;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(json_object_put) struct json_object *pruning = NULL;

    fill(test);
    cached_images_remove(test, IMAGE_ID);
    offline = RUN_CLOUD_CACHE(test, "prune", "--offline");
    assert_exit(offline, EXIT_CODE_OK);
    assert_int_equal(cached_images_count(test, "objects"), 2);
    run = RUN_CLOUD_CACHE(test, "prune", "--json");
    pruning = parse(run);
    assert_string_equal(text_of(pruning, "asked"), "true");
    assert_int_equal(number_of(pruning, "gone_images"), 1);
    assert_int_equal(number_of(pruning, "changed_images"), 0);
    assert_int_equal(number_of(pruning, "removed_objects"), 1);
    assert_int_equal(cached_images_count(test, "objects"), 1);
}

static void prune_removes_images_whose_bytes_are_others_by_now(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    fill(test);
    cached_images_alter(test, OTHER_ID, "{\"size\":17}");
    cached_images_alter(test, IMAGE_ID, "{\"status\":\"deactivated\"}");
    run = RUN_CLOUD_CACHE(test, "prune");
    assert_exit(run, EXIT_CODE_OK);
    assert_non_null(strstr(run->output, "does not know: 0, whose bytes are others by now: 1\n"));
    assert_int_equal(cached_images_count(test, "objects"), 1);
}

/* Its metadata are written when its space is reserved. */
static void a_download_just_begun_is_not_taken_for_other_bytes(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(json_object_put) struct json_object *pruning = NULL;
    char name[256];

    fill(test);
    program_run_free(RUN_CACHE(test, "evict", IMAGE_ID));
    (void)snprintf(name, sizeof name, "cache/partial/" IMAGE_ID ".%0128d", 1);
    assert_int_equal(mkdirat(temp_dir_fd(test->dir), name, 0700), 0);
    run = RUN_CLOUD_CACHE(test, "prune", "--json");
    pruning = parse(run);
    assert_int_equal(number_of(pruning, "changed_images"), 0);
    assert_int_equal(cached_images_count(test, "objects"), 1);
}

static void prune_changes_nothing_while_the_service_is_out(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    fill(test);
    cached_images_alter(test, IMAGE_ID, "{\"glancefs_test_status\":503}");
    cached_images_remove(test, OTHER_ID);
    run = RUN_CLOUD_CACHE(test, "prune");
    assert_exit(run, EXIT_CODE_OK);
    assert_non_null(strstr(run->errors, "503"));
    assert_int_equal(cached_images_count(test, "objects"), 2);
}

static void prune_tells_a_refusal_by_its_exit_code(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    fill(test);
    cached_images_alter(test, IMAGE_ID, "{\"glancefs_test_status\":403}");
    run = RUN_CLOUD_CACHE(test, "prune");
    assert_exit(run, EXIT_CODE_DENIED);
    assert_int_equal(cached_images_count(test, "objects"), 2);
}

/* Whose images are other ones: none of ours is known there. */
static struct program_run *prune_by_another_cloud(const struct cached_images *test,
                                                  const char *option)
{
    CLEANUP(memory_free) char *cloud = NULL;

    (void)mkdirat(temp_dir_fd(test->dir), "elsewhere", 0700);
    assert_true(asprintf(&cloud, "local:%s/elsewhere", temp_dir_path(test->dir)) > 0);
    return RUN_CACHE(test, "prune", "--cloud", cloud, option);
}

static void another_cloud_does_not_empty_the_cache(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *refused = NULL;
    CLEANUP(program_run_free) struct program_run *forced = NULL;

    fill(test);
    refused = prune_by_another_cloud(test, "--json");
    assert_exit(refused, EXIT_CODE_DENIED);
    assert_string_equal(refused->output, "");
    assert_non_null(strstr(refused->errors, "elsewhere"));
    assert_non_null(strstr(refused->errors, "--any-cloud"));
    assert_int_equal(cached_images_count(test, "objects"), 2);
    forced = prune_by_another_cloud(test, "--any-cloud");
    assert_exit(forced, EXIT_CODE_OK);
    assert_int_equal(cached_images_count(test, "objects"), 0);
}

static void another_project_does_not_empty_the_cache(void **state)
{
    static const char identity[] = "{\"project_id\": \"another\"}";
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    fill(test);
    temp_dir_write(test->dir, "cloud/identity.json", identity, sizeof identity - 1);
    cached_images_remove(test, OTHER_ID);
    run = RUN_CLOUD_CACHE(test, "prune");
    assert_exit(run, EXIT_CODE_DENIED);
    assert_non_null(strstr(run->errors, "project another"));
    assert_int_equal(cached_images_count(test, "objects"), 2);
}

static void a_cache_that_does_not_tell_its_cloud_is_not_pruned_by_any(void **state)
{
    static const char *const damaged[] = {"", "glancefs-cloud 2\nlocal:/x\n", "local:/x\n"};
    const struct cached_images *test = *state;

    fill(test);
    cached_images_remove(test, OTHER_ID);
    for (size_t i = 0; i <= ELEMENTS_OF(damaged); i++) {
        CLEANUP(program_run_free) struct program_run *run = NULL;

        if (i < ELEMENTS_OF(damaged))
            temp_dir_write(test->dir, "cache/cloud", damaged[i], strlen(damaged[i]));
        else
            assert_int_equal(unlinkat(temp_dir_fd(test->dir), "cache/cloud", 0), 0);
        run = RUN_CLOUD_CACHE(test, "prune");
        assert_exit(run, EXIT_CODE_DENIED);
        assert_non_null(strstr(run->errors, "does not say"));
        assert_int_equal(cached_images_count(test, "objects"), 2);
    }
    /* Whoever fetches next cannot say whose the images are that were there before. */
    program_run_free(RUN_FETCH(test, IMAGE_ID));
    program_run_free(RUN_CLOUD_CACHE(test, "prune"));
    assert_int_equal(cached_images_count(test, "objects"), 2);
    program_run_free(RUN_CLOUD_CACHE(test, "prune", "--any-cloud"));
    assert_int_equal(cached_images_count(test, "objects"), 1);
}

/* A command that uses a cache does not make it its own. */
static void fetching_from_another_cloud_leaves_the_cache_its_own(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(memory_free) char *cloud = NULL;
    CLEANUP(memory_free) char *before = NULL;
    CLEANUP(memory_free) char *after = NULL;

    fill(test);
    before = (char *)temp_dir_read(test->dir, "cache/cloud", NULL);
    assert_int_equal(mkdirat(temp_dir_fd(test->dir), "elsewhere", 0700), 0);
    assert_true(asprintf(&cloud, "local:%s/elsewhere", temp_dir_path(test->dir)) > 0);
    program_run_free(
        RUN(test->dir, NULL, "fetch", "--cloud", cloud, "--cache", test->cache, IMAGE_ID));
    after = (char *)temp_dir_read(test->dir, "cache/cloud", NULL);
    assert_string_equal(after, before);
}

/* --- arguments --- */

static void bad_arguments_are_usage_errors(void **state)
{
    static const char *const bad[][6] = {
        {"cache", NULL},
        {"cache", "clear", NULL},
        {"cache", "list", IMAGE_ID, NULL},
        {"cache", "usage", "--repair", NULL},
        {"cache", "evict", NULL},
        {"cache", "evict", "--offline", IMAGE_ID, NULL},
        {"cache", "prune", IMAGE_ID, NULL},
        {"cache", "list", NULL},                               /* no cache */
        {"cache", "verify", "--repair", "--cache", ".", NULL}, /* no cloud */
    };
    const struct cached_images *test = *state;

    for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
        CLEANUP(program_run_free)
        struct program_run *run = program_run(test->dir, NULL, bad[i]);

        assert_exit(run, EXIT_CODE_USAGE);
        assert_string_equal(run->output, "");
    }
}

static void an_absent_cache_is_told_not_made(void **state)
{
    static const char *const commands[] = {"list", "usage", "verify", "prune"};
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *evict = RUN_CACHE(test, "evict", IMAGE_ID);

    assert_exit(evict, EXIT_CODE_NOT_FOUND);
    for (size_t i = 0; i < ELEMENTS_OF(commands); i++) {
        CLEANUP(program_run_free) struct program_run *run = RUN_CACHE(test, commands[i]);

        assert_exit(run, EXIT_CODE_NOT_FOUND);
        assert_non_null(strstr(run->errors, test->cache));
    }
    assert_false(temp_dir_has(test->dir, "cache"));
}

static void help_explains_the_subcommands(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = RUN(test->dir, NULL, "cache", "--help");
    CLEANUP(program_run_free)
    struct program_run *own = RUN(test->dir, NULL, "cache", "prune", "--help");

    assert_exit(run, EXIT_CODE_OK);
    assert_non_null(strstr(run->output, "--repair"));
    assert_non_null(strstr(run->output, "prune"));
    assert_string_equal(own->output, run->output);
}

#define cache_test(name)                                                                           \
    cmocka_unit_test_setup_teardown(name, cached_images_begin, cached_images_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cache_test(list_shows_each_object_on_a_line),
        cache_test(list_gives_json),
        cache_test(list_shows_what_is_in_use),
        cache_test(an_empty_cache_lists_nothing),
        cache_test(usage_sums_up),
        cache_test(usage_shows_limits_of_the_configuration),
        cache_test(verify_finds_sound_objects_sound),
        cache_test(verify_sets_a_damaged_object_aside),
        cache_test(verify_tells_damage_in_json),
        cache_test(verify_repairs_what_does_not_match),
        cache_test(verify_repairs_what_was_set_aside_before),
        cache_test(a_repair_that_fails_is_damage),
        cache_test(verify_of_what_is_not_there_is_not_found),
        cache_test(evict_removes_an_image),
        cache_test(evict_goes_on_after_what_is_not_there),
        cache_test(what_somebody_reads_is_not_evicted),
        cache_test(prune_removes_what_was_set_aside),
        cache_test(prune_removes_images_that_the_cloud_does_not_know),
        cache_test(prune_removes_images_whose_bytes_are_others_by_now),
        cache_test(a_download_just_begun_is_not_taken_for_other_bytes),
        cache_test(prune_changes_nothing_while_the_service_is_out),
        cache_test(prune_tells_a_refusal_by_its_exit_code),
        cache_test(another_cloud_does_not_empty_the_cache),
        cache_test(another_project_does_not_empty_the_cache),
        cache_test(a_cache_that_does_not_tell_its_cloud_is_not_pruned_by_any),
        cache_test(fetching_from_another_cloud_leaves_the_cache_its_own),
        cache_test(bad_arguments_are_usage_errors),
        cache_test(an_absent_cache_is_told_not_made),
        cache_test(help_explains_the_subcommands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
