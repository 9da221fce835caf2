/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/consumer_registry.h"

#include "base/file_sink.h"
#include "support/crypto_arena.h"
#include "support/scripted_image_service.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define OTHER_ID "99999999-8888-4777-a666-555555555555"
#define SECRET_ID "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define CLOUD "local:/srv/cloud"
#define PROJECT "5f0c3a7e9d1b4c6f8a2e4d6c8b0a1f3e"
#define CACHE_ENTRY "cache/consumers/cache_" IMAGE_ID "_" SECRET_ID
#define LEFTOVER "cache/consumers/" FILE_SINK_TEMPORARY_PREFIX IMAGE_ID
#define ENTRY "cache/consumers/image_" IMAGE_ID "_" SECRET_ID

/* A key manager that knows consumers only, and whether the entry was there before it was asked. */
struct fake_keys {
    struct key_manager manager;
    const struct temp_dir *dir;
    enum error_kind refuses; /* ERROR_NONE: answers */
    unsigned adds, removes;
    char last[256];
    bool entry_came_first;
    struct consumer_registry *meets_add; /* somebody adds while one is withdrawn; once */
};

struct bed {
    struct temp_dir *dir;
    char *path;
    struct image_service *images;
    struct fake_keys keys;
    struct consumer_registry *registry;
    bool is_cached; /* whether the cache holds the image */
    unsigned looks; /* how often it was asked */
};

static int answer(struct fake_keys *keys, const struct secret_consumer *consumer, struct error *err)
{
    (void)snprintf(keys->last, sizeof keys->last, "%s %s %s", consumer->service,
                   consumer->resource_type, consumer->resource_id);
    return keys->refuses == ERROR_NONE ? 0 : error_set(err, keys->refuses, "refused");
}

static int fake_add(struct key_manager *manager, const char *secret_id,
                    const struct secret_consumer *consumer, struct cancel *cancel,
                    struct error *err)
{
    struct fake_keys *keys = (struct fake_keys *)manager;

    (void)secret_id, (void)cancel;
    keys->adds++;
    keys->entry_came_first = temp_dir_has(keys->dir, ENTRY);
    return answer(keys, consumer, err);
}

static int fake_remove(struct key_manager *manager, const char *secret_id,
                       const struct secret_consumer *consumer, struct cancel *cancel,
                       struct error *err)
{
    struct fake_keys *keys = (struct fake_keys *)manager;
    struct consumer_registry *meets_add = keys->meets_add;

    (void)cancel;
    keys->removes++;
    keys->meets_add = NULL;
    if (meets_add != NULL && consumer_registry_add(meets_add, CONSUMER_IMAGE_CACHE,
                                                   consumer->resource_id, secret_id, NULL, err) < 0)
        return -1;
    return answer(keys, consumer, err);
}

static const struct key_manager_ops fake_ops = {.add_consumer = fake_add,
                                                .remove_consumer = fake_remove};

static bool fake_is_cached(void *context, const char *image_id)
{
    struct bed *bed = context;

    bed->looks++;
    return bed->is_cached && strcmp(image_id, IMAGE_ID) == 0;
}

static struct consumer_registry *open_registry(struct bed *bed, const char *cloud,
                                               const char *project_id)
{
    const struct consumer_registry_parts parts = {.cache_path = bed->path,
                                                  .cloud = cloud,
                                                  .project_id = project_id,
                                                  .images = bed->images,
                                                  .keys = &bed->keys.manager,
                                                  .is_cached = fake_is_cached,
                                                  .is_cached_context = bed};
    struct consumer_registry *registry = NULL;
    struct error err;

    assert_succeeds(consumer_registry_new(&parts, &registry, &err));
    return registry;
}

static int bed_open(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);

    if (bed == NULL)
        return -1;
    bed->dir = temp_dir_new();
    bed->path = temp_dir_join(bed->dir, "cache");
    bed->images = scripted_image_service_new();
    bed->keys = (struct fake_keys){.manager.ops = &fake_ops, .dir = bed->dir};
    bed->registry = open_registry(bed, CLOUD, PROJECT);
    *state = bed;
    return 0;
}

static int bed_close(void **state)
{
    struct bed *bed = *state;

    consumer_registry_free(bed->registry);
    image_service_free(bed->images);
    temp_dir_free(bed->dir);
    free(bed->path);
    free(bed);
    return 0;
}

static int add(struct bed *bed, enum consumer_use use, struct error *err)
{
    return consumer_registry_add(bed->registry, use, IMAGE_ID, SECRET_ID, NULL, err);
}

static void an_entry_stands_before_the_consumer(void **state)
{
    struct bed *bed = *state;
    struct error err;

    assert_succeeds(add(bed, CONSUMER_IMAGE, &err));
    assert_true(bed->keys.entry_came_first);
    assert_string_equal(bed->keys.last, "image image " IMAGE_ID);
    assert_succeeds(add(bed, CONSUMER_IMAGE, &err));
    assert_int_equal(bed->keys.adds, 2);
}

static void a_cache_is_another_consumer_on_each_host(void **state)
{
    struct bed *bed = *state;
    char host[256] = "";
    char expected[512];
    struct error err;

    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    (void)snprintf(expected, sizeof expected, "compute image-cache:%s " IMAGE_ID, host);
    assert_succeeds(add(bed, CONSUMER_IMAGE_CACHE, &err));
    assert_string_equal(bed->keys.last, expected);
}

static void a_consumer_goes_with_its_image(void **state)
{
    struct bed *bed = *state;
    struct error err;

    scripted_image_service_add(bed->images, IMAGE_ID, NULL, 0);
    assert_succeeds(add(bed, CONSUMER_IMAGE, &err));
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 0);
    scripted_image_service_set_status(bed->images, IMAGE_ID, "gone");
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 1);
    assert_string_equal(bed->keys.last, "image image " IMAGE_ID);
    assert_false(temp_dir_has(bed->dir, ENTRY));
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 1);
}

/* Registered while the host had another name, or by another host that shares the directory. */
static void a_cache_is_withdrawn_by_the_names_it_was_registered_with(void **state)
{
    static const char older[] = CLOUD "\n" PROJECT "\nimage-cache:old.example.org\n";
    struct bed *bed = *state;
    char host[256] = "";
    char expected[512];
    struct error err;

    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    (void)snprintf(expected, sizeof expected, "compute image-cache:%s " IMAGE_ID, host);
    temp_dir_write(bed->dir, CACHE_ENTRY, older, strlen(older));
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 1);
    assert_string_equal(bed->keys.last, "compute image-cache:old.example.org " IMAGE_ID);
    assert_false(temp_dir_has(bed->dir, CACHE_ENTRY));
    temp_dir_write(bed->dir, CACHE_ENTRY, older, strlen(older));
    assert_succeeds(add(bed, CONSUMER_IMAGE_CACHE, &err));
    assert_succeeds(add(bed, CONSUMER_IMAGE_CACHE, &err));
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 3);
    assert_string_equal(bed->keys.last, expected);
    assert_false(temp_dir_has(bed->dir, CACHE_ENTRY));
}

static void an_older_entry_of_a_cache_is_ours(void **state)
{
    static const char *const contents[] = {CLOUD "\n" PROJECT "\n", CLOUD "\n" PROJECT "\n\n\n"};
    struct bed *bed = *state;

    for (unsigned i = 0; i < ELEMENTS_OF(contents); i++) {
        temp_dir_write(bed->dir, CACHE_ENTRY, contents[i], strlen(contents[i]));
        consumer_registry_sweep(bed->registry, NULL);
        assert_int_equal(bed->keys.removes, i + 1);
        assert_non_null(strstr(bed->keys.last, "compute image-cache:"));
        assert_false(temp_dir_has(bed->dir, CACHE_ENTRY));
    }
}

/* As if the last open had been so long ago. */
static void make_older(const struct bed *bed, const char *entry, time_t seconds)
{
    const struct timespec then = {.tv_sec = time(NULL) - seconds};
    const struct timespec times[2] = {then, then};

    assert_int_equal(utimensat(temp_dir_fd(bed->dir), entry, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void a_cache_is_withdrawn_when_the_image_left_it(void **state)
{
    struct bed *bed = *state;
    struct error err;

    scripted_image_service_add(bed->images, IMAGE_ID, NULL, 0);
    assert_succeeds(add(bed, CONSUMER_IMAGE_CACHE, &err));
    make_older(bed, CACHE_ENTRY, CONSUMER_GRACE_SECONDS + 60);
    bed->is_cached = true;
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 0);
    bed->is_cached = false;
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 1);
    assert_non_null(strstr(bed->keys.last, "compute image-cache:"));
    assert_false(temp_dir_has(bed->dir, CACHE_ENTRY));
}

/* It is registered before the first byte comes. */
static void a_cache_is_not_withdrawn_while_the_image_may_be_on_its_way(void **state)
{
    static const time_t ages[] = {0, CONSUMER_GRACE_SECONDS - 60, -86400};
    struct bed *bed = *state;
    struct error err;

    scripted_image_service_add(bed->images, IMAGE_ID, NULL, 0);
    assert_succeeds(add(bed, CONSUMER_IMAGE_CACHE, &err));
    for (size_t i = 0; i < ELEMENTS_OF(ages); i++) {
        make_older(bed, CACHE_ENTRY, ages[i]);
        consumer_registry_sweep(bed->registry, NULL);
    }
    assert_int_equal(bed->keys.removes, 0);
    make_older(bed, CACHE_ENTRY, CONSUMER_GRACE_SECONDS + 60);
    assert_succeeds(add(bed, CONSUMER_IMAGE_CACHE, &err)); /* opened again */
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 0);
    assert_true(temp_dir_has(bed->dir, CACHE_ENTRY));
}

static void an_uploaded_image_needs_no_cache(void **state)
{
    struct bed *bed = *state;
    struct error err;

    scripted_image_service_add(bed->images, IMAGE_ID, NULL, 0);
    assert_succeeds(add(bed, CONSUMER_IMAGE, &err));
    make_older(bed, ENTRY, CONSUMER_GRACE_SECONDS + 60);
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->looks, 0);
    assert_true(temp_dir_has(bed->dir, ENTRY));
}

static void where_nobody_knows_the_cache_only_images_that_are_gone_count(void **state)
{
    struct bed *bed = *state;
    const struct consumer_registry_parts parts = {.cache_path = bed->path,
                                                  .cloud = CLOUD,
                                                  .project_id = PROJECT,
                                                  .images = bed->images,
                                                  .keys = &bed->keys.manager};
    CLEANUP(consumer_registry_free) struct consumer_registry *registry = NULL;
    struct error err;

    scripted_image_service_add(bed->images, IMAGE_ID, NULL, 0);
    assert_succeeds(consumer_registry_new(&parts, &registry, &err));
    assert_succeeds(add(bed, CONSUMER_IMAGE_CACHE, &err));
    make_older(bed, CACHE_ENTRY, CONSUMER_GRACE_SECONDS + 60);
    consumer_registry_sweep(registry, NULL);
    assert_int_equal(bed->keys.removes, 0);
    assert_true(temp_dir_has(bed->dir, CACHE_ENTRY));
}

static void who_opens_the_image_during_a_sweep_stays_registered(void **state)
{
    struct bed *bed = *state;
    struct error err;

    scripted_image_service_add(bed->images, IMAGE_ID, NULL, 0);
    assert_succeeds(add(bed, CONSUMER_IMAGE_CACHE, &err));
    make_older(bed, CACHE_ENTRY, CONSUMER_GRACE_SECONDS + 60);
    bed->keys.meets_add = bed->registry;
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 1);
    assert_int_equal(bed->keys.adds, 3); /* the last one after the withdrawal */
    assert_true(temp_dir_has(bed->dir, CACHE_ENTRY));
}

static void an_outage_withdraws_nothing(void **state)
{
    struct bed *bed = *state;
    struct error err;

    scripted_image_service_add(bed->images, IMAGE_ID, NULL, 0);
    assert_succeeds(add(bed, CONSUMER_IMAGE, &err));
    scripted_image_service_fail_looks(bed->images, ERROR_UNAVAILABLE, 1);
    consumer_registry_sweep(bed->registry, NULL);
    scripted_image_service_fail_looks(bed->images, ERROR_DENIED, 1);
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 0);
    assert_true(temp_dir_has(bed->dir, ENTRY));
}

static void what_could_not_be_withdrawn_is_tried_again(void **state)
{
    struct bed *bed = *state;
    struct error err;

    assert_succeeds(add(bed, CONSUMER_IMAGE, &err));
    bed->keys.refuses = ERROR_UNAVAILABLE;
    consumer_registry_sweep(bed->registry, NULL);
    assert_true(temp_dir_has(bed->dir, ENTRY));
    bed->keys.refuses = ERROR_NONE;
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 2);
    assert_false(temp_dir_has(bed->dir, ENTRY));
}

static void a_crash_before_the_answer_loses_nothing(void **state)
{
    struct bed *bed = *state;
    struct error err;

    bed->keys.refuses = ERROR_TIMEOUT;
    assert_fails(ERROR_TIMEOUT, add(bed, CONSUMER_IMAGE, &err));
    bed->keys.refuses = ERROR_NONE;
    consumer_registry_free(bed->registry);
    bed->registry = open_registry(bed, CLOUD, PROJECT);
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 1);
}

static void entries_of_others_and_other_files_are_left_alone(void **state)
{
    static const char *const names[] = {"cache/consumers/image_" IMAGE_ID,
                                        "cache/consumers/readme",
                                        "cache/consumers/other_" IMAGE_ID "_" SECRET_ID,
                                        "cache/consumers/image_" IMAGE_ID "_" SECRET_ID "x",
                                        "cache/consumers/image",
                                        "cache/consumers/image_" OTHER_ID "-" SECRET_ID};
    struct bed *bed = *state;
    struct error err;

    assert_succeeds(add(bed, CONSUMER_IMAGE, &err));
    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        temp_dir_write(bed->dir, names[i], CLOUD "\n" PROJECT "\n", strlen(CLOUD PROJECT) + 2);
    consumer_registry_free(bed->registry);
    bed->registry = open_registry(bed, CLOUD, "another project");
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 0);
    consumer_registry_free(bed->registry);
    bed->registry = open_registry(bed, CLOUD, PROJECT);
    consumer_registry_sweep(bed->registry, NULL);
    assert_int_equal(bed->keys.removes, 1);
    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        assert_true(temp_dir_has(bed->dir, names[i]));
}

static void what_a_killed_writer_left_is_removed_at_start_and_before_writing(void **state)
{
    struct bed *bed = *state;
    struct error err;

    temp_dir_write(bed->dir, LEFTOVER, CLOUD, strlen(CLOUD));
    assert_succeeds(add(bed, CONSUMER_IMAGE, &err));
    assert_false(temp_dir_has(bed->dir, LEFTOVER));
    temp_dir_write(bed->dir, LEFTOVER, CLOUD, strlen(CLOUD));
    consumer_registry_free(bed->registry);
    bed->registry = open_registry(bed, CLOUD, PROJECT);
    assert_false(temp_dir_has(bed->dir, LEFTOVER));
    assert_true(temp_dir_has(bed->dir, ENTRY));
}

/* As who writes an entry does; the lock is a process's, or a thread's. */
static void what_somebody_is_writing_is_let_be(void **state)
{
    struct bed *bed = *state;
    CLEANUP(fd_close)
    int writer = openat(temp_dir_fd(bed->dir), "cache/consumers", O_RDONLY | O_DIRECTORY);

    assert_int_equal(flock(writer, LOCK_EX), 0);
    temp_dir_write(bed->dir, LEFTOVER, CLOUD, strlen(CLOUD));
    consumer_registry_free(bed->registry);
    bed->registry = open_registry(bed, CLOUD, PROJECT);
    assert_true(temp_dir_has(bed->dir, LEFTOVER));
}

static void only_ids_name_an_entry(void **state)
{
    struct bed *bed = *state;
    struct error err;

    assert_fails(ERROR_INVALID, consumer_registry_add(bed->registry, CONSUMER_IMAGE, "../x",
                                                      SECRET_ID, NULL, &err));
    assert_fails(ERROR_INVALID,
                 consumer_registry_add(bed->registry, CONSUMER_IMAGE, IMAGE_ID, "x", NULL, &err));
    assert_int_equal(bed->keys.adds, 0);
}

#define registry_test(name) cmocka_unit_test_setup_teardown(name, bed_open, bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        registry_test(an_entry_stands_before_the_consumer),
        registry_test(a_cache_is_another_consumer_on_each_host),
        registry_test(a_consumer_goes_with_its_image),
        registry_test(a_cache_is_withdrawn_by_the_names_it_was_registered_with),
        registry_test(an_older_entry_of_a_cache_is_ours),
        registry_test(a_cache_is_withdrawn_when_the_image_left_it),
        registry_test(a_cache_is_not_withdrawn_while_the_image_may_be_on_its_way),
        registry_test(an_uploaded_image_needs_no_cache),
        registry_test(where_nobody_knows_the_cache_only_images_that_are_gone_count),
        registry_test(who_opens_the_image_during_a_sweep_stays_registered),
        registry_test(an_outage_withdraws_nothing),
        registry_test(what_could_not_be_withdrawn_is_tried_again),
        registry_test(a_crash_before_the_answer_loses_nothing),
        registry_test(entries_of_others_and_other_files_are_left_alone),
        registry_test(what_a_killed_writer_left_is_removed_at_start_and_before_writing),
        registry_test(what_somebody_is_writing_is_let_be),
        registry_test(only_ids_name_an_entry),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
