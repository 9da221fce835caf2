/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_fixture.h"

#include "cache/cache_object.h"
#include "crypto/gmac.h"
#include "glancefs/limits.h"
#include "support/fake_image_service.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static int open_cache(struct cache_fixture *fixture, struct error *err)
{
    const struct ciphertext_cache_parts parts = {.path = fixture->path,
                                                 .role = CACHE_DAEMON,
                                                 .images = fixture->images,
                                                 .arena = fixture->arena,
                                                 .require_hash = true};

    return ciphertext_cache_new(&parts, &fixture->cache, err);
}

/* libgcrypt's generator takes memory of the arena with its first key and keeps it. */
static void warm_up(struct secure_arena *arena)
{
    CLEANUP(gmac_key_free) struct gmac_key *key = NULL;
    struct error err = ERROR_INIT;

    (void)gmac_key_new(arena, &key, &err);
}

int cache_fixture_open(void **state)
{
    struct cache_fixture *fixture = calloc(1, sizeof *fixture);
    struct error err = ERROR_INIT;

    if (fixture == NULL)
        return -1;
    fixture->arena = *state;
    warm_up(fixture->arena);
    fixture->arena_used = secure_arena_used(fixture->arena);
    fixture->dir = temp_dir_new();
    fixture->path = temp_dir_join(fixture->dir, "cache");
    fixture->size = 2 * MIB + MIB / 2 + 17;
    fixture->bytes = pseudo_random_bytes(1, fixture->size);
    fixture->images = fake_image_service_new();
    fake_image_service_put(fixture->images, IMAGE_ID, fixture->bytes, fixture->size);
    *state = fixture;
    return open_cache(fixture, &err) < 0 ||
                   image_service_get(fixture->images, IMAGE_ID, NULL, &fixture->record, &err) < 0
               ? -1
               : 0;
}

int cache_fixture_close(void **state)
{
    struct cache_fixture *fixture = *state;
    int result;

    ciphertext_cache_free(fixture->cache);
    image_record_unref(fixture->record);
    image_service_free(fixture->images);
    temp_dir_free(fixture->dir);
    result = secure_arena_used(fixture->arena) == fixture->arena_used ? 0 : -1;
    free(fixture->path);
    free(fixture->bytes);
    free(fixture);
    return result;
}

void cache_fixture_restart(struct cache_fixture *fixture)
{
    struct error err = ERROR_INIT;

    ciphertext_cache_free(steal(&fixture->cache));
    assert_succeeds(open_cache(fixture, &err));
}

struct byte_source *cache_fixture_source(struct cache_fixture *fixture)
{
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(
        ciphertext_cache_open(fixture->cache, fixture->record, NULL, NULL, &source, &err));
    return source;
}

char *cache_fixture_object(const struct cache_fixture *fixture, const struct image_record *record)
{
    char name[CACHE_OBJECT_NAME_BYTES];
    char *path = NULL;

    cache_object_name(record, name);
    if (asprintf(&path, "%s/objects/%s/data", fixture->path, name) < 0)
        abort();
    return path;
}

size_t cache_fixture_entries(const struct cache_fixture *fixture, const char *place)
{
    CLEANUP(memory_free) char *path = NULL;
    const struct dirent *entry;
    size_t count = 0;
    DIR *entries;

    if (asprintf(&path, "%s/%s", fixture->path, place) < 0)
        abort();
    entries = opendir(path);
    assert_non_null(entries);
    while ((entry = readdir(entries)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    (void)closedir(entries);
    return count;
}

size_t cache_fixture_files(const struct cache_fixture *fixture)
{
    return cache_fixture_entries(fixture, "objects");
}

static void assert_read(struct byte_source *source, const uint8_t *bytes, size_t size,
                        size_t offset, size_t wanted, uint8_t *buffer)
{
    const size_t left = offset < size ? size - offset : 0;
    struct error err = ERROR_INIT;
    size_t got = SIZE_MAX;

    assert_succeeds(byte_source_pread(source, buffer, wanted, offset, NULL, &got, &err));
    assert_int_equal(got, wanted < left ? wanted : left);
    if (got > 0 && memcmp(buffer, bytes + offset, got) != 0)
        fail_msg("wrong bytes in %zu at %zu", got, offset);
}

void assert_source_is(struct byte_source *source, const uint8_t *bytes, size_t size)
{
    struct pseudo_random random = {.state = size};
    CLEANUP(memory_free) uint8_t *buffer = malloc(size + 100);

    assert_non_null(buffer);
    assert_int_equal(byte_source_size(source), size);
    assert_false(byte_source_is_forward_only(source));
    assert_read(source, bytes, size, 0, size + 100, buffer);
    for (int i = 0; i < 40; i++) {
        const size_t offset = pseudo_random_below(&random, size + 50);

        assert_read(source, bytes, size, offset, pseudo_random_below(&random, size + 100), buffer);
    }
}

void assert_opens_soundly(struct cache_fixture *fixture)
{
    CLEANUP(byte_source_free) struct byte_source *source = cache_fixture_source(fixture);

    assert_source_is(source, fixture->bytes, fixture->size);
    assert_true(ciphertext_cache_has(fixture->cache, fixture->record));
    assert_int_equal(cache_fixture_files(fixture), 1);
}
