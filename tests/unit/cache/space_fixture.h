/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache directory with objects of numbered images in it, on a disk whose size can be made up: a
 * test that links this wraps fstatvfs and fallocate.
 */
#ifndef SPACE_FIXTURE_H
#define SPACE_FIXTURE_H

#include "cache/cache_space.h"
#include "seconds.h"
#include "support/temp_dir.h"

#include <stdbool.h>
#include <stdint.h>

/** The time of all tests. */
#define NOW SECONDS(1700000000)

/** What a small object takes beyond its data, at most: its metadata and its directory. */
#define OBJECT_OVERHEAD 12288

#define KIBIBYTES(count) ((uint64_t)(count)*1024)

struct space_fixture {
    struct temp_dir *dir;
    char *path;
    struct cache_layout *layout;
    struct cache_space space;
};

/** Set-up and tear-down of one test: an empty cache without limits on the true disk. */
int space_fixture_open(void **state);
int space_fixture_close(void **state);

/** Lets the disk have this size, of which what the cache holds is not free; 0: the true one. */
void space_fixture_set_disk(struct space_fixture *fixture, uint64_t bytes);

/** The next `count` calls of fallocate fail with `errnum`. */
void space_fixture_fail_allocations(int errnum, unsigned count);

/** The calls of fstatvfs fail with `errnum`; 0: they do not. */
void space_fixture_fail_statvfs(int errnum);

/** The metadata of image `number`, not complete. */
struct object_metadata space_fixture_metadata(unsigned number, uint64_t size);

/** Puts the complete object of image `number`, last used at `last_used_ns`. */
void space_fixture_put(struct space_fixture *fixture, unsigned number, uint64_t size,
                       int64_t last_used_ns);

/** Begins a download of image `number`. */
struct partial_object *space_fixture_begin(struct space_fixture *fixture, unsigned number,
                                           uint64_t size);

/** Opens the complete object of image `number` as a reader at `now_ns`; the caller closes it. */
int space_fixture_read(struct space_fixture *fixture, unsigned number, int64_t now_ns);

/** True when image `number` has an object in `place`. */
bool space_fixture_has(const struct space_fixture *fixture, enum cache_place place,
                       unsigned number);

/** What the cache holds and has promised, in bytes; looked up under CACHE/lock. */
uint64_t space_fixture_sum(const struct cache_layout *layout);

#endif
