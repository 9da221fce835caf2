/* SPDX-License-Identifier: Apache-2.0 */
/* Listing, adding up, proving and removing what is in the cache. */
#include "cache/cache_inventory.h"

#include "cache_fixture.h"
#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/fake_image_service.h"
#include "support/testing.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

/* The same but for its last digit. */
#define NEXT_ID "11111111-2222-4333-8444-555555555556"

static struct image_record *put(struct cache_fixture *fixture, const char *id, size_t size)
{
    struct image_record *record = NULL;
    struct error err = ERROR_INIT;

    fake_image_service_put(fixture->images, id, fixture->bytes, size);
    assert_succeeds(image_service_get(fixture->images, id, NULL, &record, &err));
    return record;
}

static void fetch(struct cache_fixture *fixture, const char *id, size_t size)
{
    CLEANUP(image_record_unref) struct image_record *record = put(fixture, id, size);
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_fetch(fixture->cache, record, NULL, NULL, NULL, NULL, &err));
}

static void leave_download(struct cache_fixture *fixture, const char *id, size_t size, size_t left)
{
    CLEANUP(image_record_unref) struct image_record *record = put(fixture, id, size);
    const struct fake_download cut = {.fails = true, .fail_at = left};
    struct error err = ERROR_INIT;

    fake_image_service_misbehave(fixture->images, id, &cut);
    assert_fails(ERROR_UNAVAILABLE,
                 ciphertext_cache_fetch(fixture->cache, record, NULL, NULL, NULL, NULL, &err));
}

static void spoil(struct cache_fixture *fixture, off_t offset)
{
    CLEANUP(memory_free) char *path = cache_fixture_object(fixture, fixture->record);
    CLEANUP(fd_close) int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;

    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
}

static struct cached_object_list *list(struct cache_fixture *fixture)
{
    struct cached_object_list *objects = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_list(fixture->cache, &objects, &err));
    return objects;
}

/* The one object there is, of IMAGE_ID. */
static struct cached_object only_object(struct cache_fixture *fixture)
{
    CLEANUP(cached_object_list_free) struct cached_object_list *objects = list(fixture);

    assert_int_equal(objects->count, 1);
    assert_string_equal(objects->objects[0].image_id, IMAGE_ID);
    return objects->objects[0];
}

static struct ciphertext_cache_usage usage_of(struct cache_fixture *fixture)
{
    struct ciphertext_cache_usage usage;
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_usage(fixture->cache, &usage, &err));
    return usage;
}

static int verify(struct cache_fixture *fixture, struct error *err)
{
    const struct cached_object object = only_object(fixture);

    return ciphertext_cache_verify(fixture->cache, &object, NULL, NULL, err);
}

/* Sets the one object aside: IMAGE_ID has something in quarantine afterwards. */
static void quarantine(struct cache_fixture *fixture)
{
    struct error err = ERROR_INIT;

    fetch(fixture, IMAGE_ID, fixture->size);
    spoil(fixture, 5);
    assert_fails(ERROR_CORRUPT, verify(fixture, &err));
}

/* --- listing --- */

static void an_empty_cache_lists_nothing(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(cached_object_list_free) struct cached_object_list *objects = list(fixture);

    assert_int_equal(objects->count, 0);
    assert_false(ciphertext_cache_has_image(fixture->cache, IMAGE_ID));
}

static void a_complete_object_is_described_whole(void **state)
{
    struct cache_fixture *fixture = *state;
    const int64_t before = time(NULL);
    struct cached_object object;
    struct byte_source *source;

    fetch(fixture, IMAGE_ID, fixture->size);
    object = only_object(fixture);
    assert_int_equal(object.state, CACHED_OBJECT_READY);
    assert_false(object.in_use);
    assert_int_equal(object.data_bytes, fixture->size);
    assert_int_equal(object.total_bytes, fixture->size);
    assert_true(object.disk_bytes >= fixture->size);
    assert_in_range(object.fetched_at, before, time(NULL));
    assert_in_range(object.last_used, before, time(NULL));
    assert_string_equal(object.hash_algo, "sha512");
    assert_string_equal(object.hash_value, image_record_hash_value(fixture->record));
    assert_string_equal(object.key_id, "");
    assert_memory_equal(object.name, IMAGE_ID ".", 37);
    source = cache_fixture_source(fixture);
    assert_true(only_object(fixture).in_use);
    byte_source_free(source);
    assert_false(only_object(fixture).in_use);
}

static void downloads_and_quarantine_are_listed_beside_objects_in_order(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(cached_object_list_free) struct cached_object_list *objects = NULL;
    CLEANUP(cached_object_list_free) struct cached_object_list *downloads = NULL;
    struct error err = ERROR_INIT;

    quarantine(fixture);
    leave_download(fixture, OTHER_ID, fixture->size, MIB);
    fetch(fixture, NEXT_ID, 1000);
    fetch(fixture, IMAGE_ID, fixture->size);
    objects = list(fixture);
    assert_int_equal(objects->count, 4);
    assert_string_equal(objects->objects[0].image_id, IMAGE_ID);
    assert_int_equal(objects->objects[0].state, CACHED_OBJECT_READY);
    assert_string_equal(objects->objects[1].image_id, IMAGE_ID);
    assert_int_equal(objects->objects[1].state, CACHED_OBJECT_QUARANTINED);
    assert_string_equal(objects->objects[2].image_id, NEXT_ID);
    assert_string_equal(objects->objects[3].image_id, OTHER_ID);
    assert_int_equal(objects->objects[3].state, CACHED_OBJECT_PARTIAL);
    assert_int_equal(objects->objects[3].data_bytes, MIB);
    assert_int_equal(objects->objects[3].total_bytes, fixture->size);
    assert_int_equal(objects->objects[3].fetched_at, 0);
    assert_false(objects->objects[3].in_use);
    assert_succeeds(ciphertext_cache_list_downloads(fixture->cache, &downloads, &err));
    assert_int_equal(downloads->count, 1);
    assert_string_equal(downloads->objects[0].image_id, OTHER_ID);
}

static void an_object_without_metadata_is_listed_with_what_is_known(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_free) char *data = cache_fixture_object(fixture, fixture->record);
    CLEANUP(memory_free) char *metadata = NULL;
    struct cached_object object;

    fetch(fixture, IMAGE_ID, fixture->size);
    *strrchr(data, '/') = '\0';
    assert_true(asprintf(&metadata, "%s/meta.json", data) > 0);
    assert_int_equal(unlink(metadata), 0);
    object = only_object(fixture);
    assert_int_equal(object.data_bytes, fixture->size);
    assert_true(object.total_bytes == UINT64_MAX);
    assert_string_equal(object.hash_algo, "");
}

/* --- sums --- */

static bool is_of(const struct cached_object *object, const char *hash, uint64_t size)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err = ERROR_INIT;
    char json[512];
    const int length = snprintf(json, sizeof json,
                                "{\"id\": \"%s\", \"status\": \"active\", \"size\": %" PRIu64
                                ", \"os_hash_algo\": \"%s\", \"os_hash_value\": \"%s\"}",
                                object->image_id, size, object->hash_algo, hash);

    assert_succeeds(image_record_parse(json, (size_t)length, &record, &err));
    return cached_object_is_of(object, record);
}

/* Hexadecimal digits of either case are one number. */
static void an_object_belongs_to_the_record_that_names_its_bytes(void **state)
{
    struct cache_fixture *fixture = *state;
    char upper[sizeof((struct cached_object *)NULL)->hash_value] = "";

    fetch(fixture, IMAGE_ID, fixture->size);
    const struct cached_object object = only_object(fixture);
    for (size_t i = 0; object.hash_value[i] != '\0'; i++)
        upper[i] = (char)toupper((unsigned char)object.hash_value[i]);
    assert_string_not_equal(upper, object.hash_value);
    assert_true(is_of(&object, object.hash_value, fixture->size));
    assert_true(is_of(&object, upper, fixture->size));
    assert_false(is_of(&object, upper, fixture->size + 1));
    upper[0] = upper[0] == 'A' ? 'B' : 'A';
    assert_false(is_of(&object, upper, fixture->size));
}

static void usage_adds_up_each_kind(void **state)
{
    struct cache_fixture *fixture = *state;
    struct ciphertext_cache_usage usage;

    quarantine(fixture);
    fetch(fixture, IMAGE_ID, fixture->size);
    fetch(fixture, NEXT_ID, 1000);
    leave_download(fixture, OTHER_ID, fixture->size, MIB);
    temp_dir_write(fixture->dir, "cache/objects/README", "x", 1);
    usage = usage_of(fixture);
    assert_int_equal(usage.objects, 2);
    assert_int_equal(usage.stored_bytes, fixture->size + 1000);
    assert_int_equal(usage.partial_objects, 1);
    assert_int_equal(usage.partial_bytes, MIB);
    assert_true(usage.reserved_bytes >= fixture->size - MIB);
    assert_int_equal(usage.quarantined_objects, 1);
    assert_int_equal(usage.quarantined_bytes, fixture->size);
    assert_int_equal(usage.unknown_entries, 1);
    assert_int_equal(usage.trash_bytes, 0);
    assert_true(usage.filesystem_bytes >= usage.free_bytes);
    assert_int_equal(usage.evictions, 0);
}

static void usage_counts_what_is_being_removed(void **state)
{
    struct cache_fixture *fixture = *state;
    static const char zeros[100000];
    struct ciphertext_cache_usage usage;

    (void)mkdirat(temp_dir_fd(fixture->dir), "cache/staging", 0700);
    temp_dir_write(fixture->dir, "cache/staging/" IMAGE_ID ".part", "x", 1);
    fetch(fixture, IMAGE_ID, fixture->size);
    assert_int_equal(usage_of(fixture).trash_bytes, 0);
    assert_int_equal(mkdirat(temp_dir_fd(fixture->dir), "cache/trash/one", 0700), 0);
    temp_dir_write(fixture->dir, "cache/trash/one/data", zeros, sizeof zeros);
    usage = usage_of(fixture);
    assert_in_range(usage.trash_bytes, sizeof zeros, 2 * sizeof zeros);
    assert_int_equal(usage.used_bytes,
                     only_object(fixture).disk_bytes + usage.staged_bytes + usage.trash_bytes);
}

/* --- beside those who move names --- */

/* A look at the cache by somebody else. */
struct look {
    pthread_t thread;
    struct ciphertext_cache *cache;
    uint64_t objects;
    atomic_bool is_done;
};

static void *look_around(void *argument)
{
    struct look *look = argument;
    CLEANUP(cached_object_list_free) struct cached_object_list *list = NULL;
    struct ciphertext_cache_usage usage;
    struct error err = ERROR_INIT;

    if (ciphertext_cache_list(look->cache, &list, &err) == 0 &&
        ciphertext_cache_usage(look->cache, &usage, &err) == 0)
        look->objects = list->count == usage.objects ? list->count : UINT64_MAX;
    atomic_store(&look->is_done, true);
    return NULL;
}

static void start_look(const struct cache_fixture *fixture, struct look *look)
{
    const struct ciphertext_cache_parts parts = {.path = fixture->path, .role = CACHE_OBSERVER};
    struct error err = ERROR_INIT;

    assert_succeeds(ciphertext_cache_new(&parts, &look->cache, &err));
    assert_int_equal(pthread_create(&look->thread, NULL, look_around, look), 0);
}

static void finish_look(struct look *look)
{
    assert_int_equal(pthread_join(look->thread, NULL), 0);
    ciphertext_cache_free(look->cache);
}

static int hold_lock(const struct cache_fixture *fixture, int operation)
{
    CLEANUP(memory_free) char *path = temp_dir_join(fixture->dir, "cache/lock");
    const int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_int_equal(flock(fd, operation | LOCK_NB), 0);
    return fd;
}

static void a_look_waits_for_who_moves_names(void **state)
{
    struct cache_fixture *fixture = *state;
    struct look look = {.is_done = false};
    int lock;

    fetch(fixture, IMAGE_ID, fixture->size);
    lock = hold_lock(fixture, LOCK_EX);
    start_look(fixture, &look);
    (void)usleep(100000);
    assert_false(atomic_load(&look.is_done));
    (void)close(lock);
    finish_look(&look);
    assert_int_equal(look.objects, 1);
}

static void two_may_look_at_a_time(void **state)
{
    struct cache_fixture *fixture = *state;
    struct look look = {.is_done = false};

    fetch(fixture, IMAGE_ID, fixture->size);
    CLEANUP(fd_close) int lock = hold_lock(fixture, LOCK_SH);
    start_look(fixture, &look);
    finish_look(&look);
    assert_true(lock >= 0);
    assert_int_equal(look.objects, 1);
}

static void a_look_needs_no_lock_file_and_makes_none(void **state)
{
    struct cache_fixture *fixture = *state;
    struct look look = {.is_done = false};

    fetch(fixture, IMAGE_ID, fixture->size);
    assert_int_equal(unlinkat(temp_dir_fd(fixture->dir), "cache/lock", 0), 0);
    start_look(fixture, &look);
    finish_look(&look);
    assert_int_equal(look.objects, 1);
    assert_false(temp_dir_has(fixture->dir, "cache/lock"));
}

static void limits_are_told_in_bytes(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(ciphertext_cache_free) struct ciphertext_cache *limited = NULL;
    const struct ciphertext_cache_parts parts = {
        .path = fixture->path,
        .role = CACHE_COMMAND,
        .limits = {.max_size = {.percent = 50}, .min_free = {.bytes = 12345}}};
    struct ciphertext_cache_usage usage = usage_of(fixture);
    struct error err = ERROR_INIT;

    assert_true(usage.max_size_bytes == UINT64_MAX);
    assert_int_equal(usage.min_free_bytes, 0);
    assert_succeeds(ciphertext_cache_new(&parts, &limited, &err));
    assert_succeeds(ciphertext_cache_usage(limited, &usage, &err));
    assert_in_range(usage.max_size_bytes, usage.filesystem_bytes / 2 - 100,
                    usage.filesystem_bytes / 2);
    assert_int_equal(usage.min_free_bytes, 12345);
}

/* --- proving --- */

static void a_sound_object_is_proven_and_not_used_thereby(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *reader = NULL;
    _Atomic uint64_t progress = 0;
    struct cached_object object;
    struct error err = ERROR_INIT;
    int64_t last_used;

    fetch(fixture, IMAGE_ID, fixture->size);
    reader = cache_fixture_source(fixture);
    object = only_object(fixture);
    last_used = object.last_used;
    /* The listing is of before its last use: that is not turned back. */
    object.last_used -= 1000;
    assert_succeeds(ciphertext_cache_verify(fixture->cache, &object, &progress, NULL, &err));
    assert_int_equal(progress, fixture->size);
    assert_int_equal(only_object(fixture).last_used, last_used);
    assert_source_is(reader, fixture->bytes, fixture->size);
}

static void a_damaged_object_is_set_aside_and_fetched_anew(void **state)
{
    struct cache_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    fetch(fixture, IMAGE_ID, fixture->size);
    spoil(fixture, (off_t)fixture->size - 1);
    assert_fails(ERROR_CORRUPT, verify(fixture, &err));
    assert_int_equal(only_object(fixture).state, CACHED_OBJECT_QUARANTINED);
    assert_opens_soundly(fixture);
    assert_int_equal(fake_image_service_downloads(fixture->images), 2);
}

static void an_object_of_the_wrong_size_is_set_aside(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = cache_fixture_object(fixture, fixture->record);
    struct error err = ERROR_INIT;

    fetch(fixture, IMAGE_ID, fixture->size);
    assert_int_equal(truncate(path, 100), 0);
    assert_fails(ERROR_CORRUPT, verify(fixture, &err));
    assert_int_equal(only_object(fixture).state, CACHED_OBJECT_QUARANTINED);
}

static void what_is_gone_meanwhile_is_not_found(void **state)
{
    struct cache_fixture *fixture = *state;
    struct ciphertext_cache_removal removed = {0};
    struct cached_object object;
    struct error err = ERROR_INIT;

    fetch(fixture, IMAGE_ID, fixture->size);
    object = only_object(fixture);
    assert_succeeds(ciphertext_cache_evict(fixture->cache, IMAGE_ID, &removed, &err));
    assert_fails(ERROR_NOT_FOUND,
                 ciphertext_cache_verify(fixture->cache, &object, NULL, NULL, &err));
}

static void proving_ends_when_cancelled(void **state)
{
    struct cache_fixture *fixture = *state;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct cached_object object;
    struct error err = ERROR_INIT;

    fetch(fixture, IMAGE_ID, fixture->size);
    object = only_object(fixture);
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED,
                 ciphertext_cache_verify(fixture->cache, &object, NULL, cancel, &err));
    assert_int_equal(only_object(fixture).state, CACHED_OBJECT_READY);
}

static void without_a_hash_nothing_can_be_proven(void **state)
{
    static const char json[] = "{\"id\": \"" OTHER_ID "\", \"status\": \"active\", \"size\": 100}";
    struct cache_fixture *fixture = *state;
    const struct ciphertext_cache_parts parts = {
        .path = fixture->path, .role = CACHE_COMMAND, .images = fixture->images};
    CLEANUP(ciphertext_cache_free) struct ciphertext_cache *lenient = NULL;
    CLEANUP(cached_object_list_free) struct cached_object_list *objects = NULL;
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err = ERROR_INIT;

    fake_image_service_put(fixture->images, OTHER_ID, fixture->bytes, 100);
    assert_succeeds(image_record_parse(json, sizeof json - 1, &record, &err));
    assert_succeeds(ciphertext_cache_new(&parts, &lenient, &err));
    assert_succeeds(ciphertext_cache_fetch(lenient, record, NULL, NULL, NULL, NULL, &err));
    assert_succeeds(ciphertext_cache_list(lenient, &objects, &err));
    assert_int_equal(objects->count, 1);
    assert_fails(ERROR_UNSUPPORTED,
                 ciphertext_cache_verify(lenient, &objects->objects[0], NULL, NULL, &err));
    assert_int_equal(cache_fixture_files(fixture), 1);
}

/* --- removing --- */

static void all_of_an_image_goes_and_nothing_of_another(void **state)
{
    struct cache_fixture *fixture = *state;
    struct ciphertext_cache_removal removed = {.objects = 1, .bytes = 10};
    struct error err = ERROR_INIT;

    quarantine(fixture);
    fetch(fixture, IMAGE_ID, fixture->size);
    fetch(fixture, NEXT_ID, 1000);
    leave_download(fixture, OTHER_ID, fixture->size, MIB);
    assert_true(ciphertext_cache_has_image(fixture->cache, IMAGE_ID));
    assert_succeeds(ciphertext_cache_evict(fixture->cache, IMAGE_ID, &removed, &err));
    assert_int_equal(removed.objects, 3);
    assert_true(removed.bytes >= 2 * fixture->size + 10);
    assert_false(ciphertext_cache_has_image(fixture->cache, IMAGE_ID));
    assert_true(ciphertext_cache_has_image(fixture->cache, NEXT_ID));
    assert_true(ciphertext_cache_has_image(fixture->cache, OTHER_ID));
    assert_succeeds(ciphertext_cache_evict(fixture->cache, OTHER_ID, &removed, &err));
    assert_int_equal(removed.objects, 4);
    assert_int_equal(cache_fixture_entries(fixture, "partial"), 0);
    assert_int_equal(cache_fixture_entries(fixture, "quarantine"), 0);
    assert_int_equal(cache_fixture_entries(fixture, "trash"), 0);
    assert_int_equal(cache_fixture_files(fixture), 1);
}

static void what_is_in_use_stays_and_the_rest_goes(void **state)
{
    struct cache_fixture *fixture = *state;
    struct ciphertext_cache_removal removed = {0};
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    quarantine(fixture);
    source = cache_fixture_source(fixture);
    assert_fails(ERROR_BUSY, ciphertext_cache_evict(fixture->cache, IMAGE_ID, &removed, &err));
    assert_int_equal(removed.objects, 1);
    assert_int_equal(cache_fixture_files(fixture), 1);
    assert_source_is(source, fixture->bytes, fixture->size);
}

static void what_is_not_there_is_not_found(void **state)
{
    struct cache_fixture *fixture = *state;
    struct ciphertext_cache_removal removed = {0};
    struct error err = ERROR_INIT;

    fetch(fixture, NEXT_ID, 1000);
    assert_fails(ERROR_NOT_FOUND, ciphertext_cache_evict(fixture->cache, IMAGE_ID, &removed, &err));
    assert_int_equal(removed.objects, 0);
    assert_int_equal(cache_fixture_files(fixture), 1);
}

static void pruning_leaves_what_is_served(void **state)
{
    struct cache_fixture *fixture = *state;
    struct ciphertext_cache_removal removed = {0};
    struct error err = ERROR_INIT;

    quarantine(fixture);
    leave_download(fixture, OTHER_ID, fixture->size, MIB);
    fetch(fixture, NEXT_ID, 1000);
    temp_dir_write(fixture->dir, "cache/objects/README", "x", 1);
    assert_succeeds(ciphertext_cache_prune(fixture->cache, NULL, &removed, &err));
    assert_int_equal(removed.objects, 2);
    assert_int_equal(cache_fixture_entries(fixture, "partial"), 0);
    assert_int_equal(cache_fixture_entries(fixture, "quarantine"), 0);
    assert_true(ciphertext_cache_has_image(fixture->cache, NEXT_ID));
    assert_true(temp_dir_has(fixture->dir, "cache/objects/README"));
}

static void pruning_keeps_the_limits(void **state)
{
    struct cache_fixture *fixture = *state;
    const struct ciphertext_cache_parts parts = {
        .path = fixture->path, .role = CACHE_COMMAND, .limits = {.max_size = {.bytes = 100000}}};
    CLEANUP(ciphertext_cache_free) struct ciphertext_cache *limited = NULL;
    struct ciphertext_cache_removal removed = {0};
    struct error err = ERROR_INIT;

    fetch(fixture, IMAGE_ID, fixture->size);
    assert_succeeds(ciphertext_cache_new(&parts, &limited, &err));
    assert_succeeds(ciphertext_cache_prune(limited, NULL, &removed, &err));
    assert_int_equal(removed.objects, 1);
    assert_true(removed.bytes >= fixture->size);
    assert_int_equal(cache_fixture_files(fixture), 0);
}

#define with_cache(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, cache_fixture_open, cache_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_cache(an_empty_cache_lists_nothing),
        with_cache(a_complete_object_is_described_whole),
        with_cache(downloads_and_quarantine_are_listed_beside_objects_in_order),
        with_cache(an_object_without_metadata_is_listed_with_what_is_known),
        with_cache(an_object_belongs_to_the_record_that_names_its_bytes),
        with_cache(usage_adds_up_each_kind),
        with_cache(usage_counts_what_is_being_removed),
        with_cache(a_look_waits_for_who_moves_names),
        with_cache(two_may_look_at_a_time),
        with_cache(a_look_needs_no_lock_file_and_makes_none),
        with_cache(limits_are_told_in_bytes),
        with_cache(a_sound_object_is_proven_and_not_used_thereby),
        with_cache(a_damaged_object_is_set_aside_and_fetched_anew),
        with_cache(an_object_of_the_wrong_size_is_set_aside),
        with_cache(what_is_gone_meanwhile_is_not_found),
        with_cache(proving_ends_when_cancelled),
        with_cache(without_a_hash_nothing_can_be_proven),
        with_cache(all_of_an_image_goes_and_nothing_of_another),
        with_cache(what_is_in_use_stays_and_the_rest_goes),
        with_cache(what_is_not_there_is_not_found),
        with_cache(pruning_leaves_what_is_served),
        with_cache(pruning_keeps_the_limits),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
