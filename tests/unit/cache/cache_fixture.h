/* SPDX-License-Identifier: Apache-2.0 */
/* A cache in a directory of its own before a fake image service with one image. */
#ifndef CACHE_FIXTURE_H
#define CACHE_FIXTURE_H

#include "glancefs/ciphertext_cache.h"
#include "support/temp_dir.h"

#include <stdint.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define OTHER_ID "99999999-8888-4777-a666-555555555555"

struct cache_fixture {
    struct secure_arena *arena;
    size_t arena_used;    /* before the cache was opened */
    struct temp_dir *dir; /* holds the cache's directory, and nothing else at first */
    char *path;           /* of the cache */
    struct image_service *images;
    struct ciphertext_cache *cache;
    struct image_record *record; /* of IMAGE_ID */
    uint8_t *bytes;              /* what is stored */
    size_t size;                 /* two blocks and a half, odd */
};

/** Set-up and tear-down of one test in a group opened with crypto_arena_open. The tear-down fails
 *  the test when something secret is left in the arena. */
int cache_fixture_open(void **state);
int cache_fixture_close(void **state);

/** The same cache as the next process would find it. */
void cache_fixture_restart(struct cache_fixture *fixture);

/** Opens the image without an observer; the test fails when that fails. */
struct byte_source *cache_fixture_source(struct cache_fixture *fixture);

/** The path of the data of the object of `record`, complete; the caller frees it. */
char *cache_fixture_object(const struct cache_fixture *fixture, const struct image_record *record);

/** Entries of a directory of the cache, whatever they are. */
size_t cache_fixture_entries(const struct cache_fixture *fixture, const char *place);

/** The same of "objects": complete objects, that is. */
size_t cache_fixture_files(const struct cache_fixture *fixture);

/** The source gives exactly these bytes, read in one piece and in odd ones. */
void assert_source_is(struct byte_source *source, const uint8_t *bytes, size_t size);

/** Opening gives exactly the image's bytes, whatever was before. */
void assert_opens_soundly(struct cache_fixture *fixture);

#endif
