/* SPDX-License-Identifier: Apache-2.0 */
/* A cache directory of one test's own, with objects put there by the store under test. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include "cache/object_store.h"
#include "seconds.h"
#include "support/temp_dir.h"

/** Any id and digests: the store compares no bytes. */
#define STORE_ID "11111111-2222-4333-8444-555555555555"
#define STORE_SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define STORE_NAME STORE_ID "." STORE_SHA256
#define STORE_BYTES "the whole ciphertext of an image"
#define STORE_SIZE (sizeof STORE_BYTES - 1)
#define STORE_NOW 1795430400

/** The same as the cache counts it, and not quite a whole second. */
#define STORE_NOW_NS (SECONDS(STORE_NOW) + 123456789)

struct store_fixture {
    struct temp_dir *dir;
    char *path; /* of the cache */
    struct cache_layout *layout;
    struct object_metadata metadata; /* of STORE_BYTES */
};

/** For cmocka_unit_test_setup_teardown: *state becomes the fixture, of an empty cache. */
int open_store_fixture(void **state);
int close_store_fixture(void **state);

/** The path of CACHE/`place`/`name`, or of `file` in it unless that is NULL; the caller frees it. */
char *store_path(const struct store_fixture *fixture, enum cache_place place, const char *name,
                 const char *file);

/** True when that exists. */
bool store_has_file(const struct store_fixture *fixture, enum cache_place place, const char *name,
                    const char *file);

/** Entries of a place. */
size_t store_count(const struct store_fixture *fixture, enum cache_place place);

/** Writes `size` bytes at `offset` of a download. */
void store_write(const struct partial_object *partial, const void *bytes, size_t size,
                 off_t offset);

/** Begins, grants, writes STORE_BYTES and publishes: 0, or the first step's failure. */
int store_fetch(const struct store_fixture *fixture, struct error *err);

/** The same, which has to work. */
void store_publish(const struct store_fixture *fixture);

/** Leaves a download with the first `size` of STORE_BYTES. */
void store_leave_partial(const struct store_fixture *fixture, size_t size);

/** The object is there, can be opened and holds STORE_BYTES. */
void assert_store_object_is_right(const struct store_fixture *fixture);

#endif
