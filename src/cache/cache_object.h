/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One verified object: the name of its file and the tags that tell whether the file's bytes still
 * are what was verified. It holds no descriptor: each reader opens the file. Immutable and
 * reference-counted; readers keep it alive while the cache has long dropped it.
 */
#ifndef CACHE_CACHE_OBJECT_H
#define CACHE_CACHE_OBJECT_H

#include "cache/gmac_table.h"
#include "glancefs/image_record.h"

#include <stdatomic.h>
#include <stdbool.h>

/** Bytes of an object's file name with its NUL: id, dot, and the digits of a SHA-512. */
#define CACHE_OBJECT_NAME_BYTES 176

struct cache_object {
    atomic_uint references;
    atomic_uint readers;                /* sources that are open on it */
    char name[CACHE_OBJECT_NAME_BYTES]; /* file name in the objects directory */
    struct gmac_table *tags;
    uint64_t size;
};

/**
 * The file name of a record's object: the image id and its `os_hash_value` (without one, its
 * checksum), so that a replaced image is another object. A value that is no row of hexadecimal
 * digits comes from outside and must not name a file: it is as good as none.
 */
void cache_object_name(const struct image_record *record, char ret[CACHE_OBJECT_NAME_BYTES]);

/** A verified object of `size` bytes with one reference; takes over `tags` on success. */
int cache_object_new(const char *name, uint64_t size, struct gmac_table *tags,
                     struct cache_object **ret, struct error *err);

/** One more reference. Any thread. */
struct cache_object *cache_object_ref(struct cache_object *object);

/** Gives a reference back; NULL is allowed. Any thread. */
void cache_object_unref(struct cache_object *object);
DEFINE_CLEANUP(struct cache_object, cache_object_unref)

#endif
