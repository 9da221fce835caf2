/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the index remembers of images, so that `ls -l` and `stat` ask nobody: the attributes of
 * many, the whole records of the last few. An exact size, once a verification found it, stays
 * known as long as the stored bytes are the same (os_hash_value and stored size). Thread-safe; no
 * function waits.
 */
#ifndef VIEW_ATTRIBUTE_CACHE_H
#define VIEW_ATTRIBUTE_CACHE_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/image_record.h"
#include "glancefs/image_view.h"

#include <stdbool.h>
#include <stdint.h>

/** Whole records kept; of older ones only the attributes stay. */
#define ATTRIBUTE_CACHE_RECORDS 64

struct attribute_cache;

/** How old something remembered is. */
enum attribute_age {
    ATTRIBUTES_UNKNOWN, /* not remembered */
    ATTRIBUTES_MISSED,  /* a later listing did not name it: it may be gone */
    ATTRIBUTES_STALE,   /* older than record_ttl */
    ATTRIBUTES_FRESH,
};

/** An empty cache whose entries are fresh for `ttl_seconds`. */
int attribute_cache_new(unsigned ttl_seconds, struct attribute_cache **ret, struct error *err);

/** NULL is allowed. */
void attribute_cache_free(struct attribute_cache *cache);
DEFINE_CLEANUP(struct attribute_cache, attribute_cache_free)

/**
 * Takes in a record that was just received and gives its attributes: an exact size from an earlier
 * verification, else os_decrypt_size, else the stored size as an estimate; 0 only when the
 * plaintext is known to be empty. With `keep_record`, or in the place of one that is kept, a reference
 * to the record is kept, too. Without memory nothing is remembered.
 */
void attribute_cache_put(struct attribute_cache *cache, struct image_record *record,
                         bool keep_record, struct image_attributes *ret);

/** Attributes of image `id`; *ret is set unless they are unknown. */
enum attribute_age attribute_cache_get(struct attribute_cache *cache, const char *id,
                                       struct image_attributes *ret);

/** A reference to the record of image `id`, or NULL when there is no fresh one. */
struct image_record *attribute_cache_record(struct attribute_cache *cache, const char *id);

/** The same of any age. */
struct image_record *attribute_cache_last_record(struct attribute_cache *cache, const char *id);

/** The record kept of image `id` holds no more: it may not be read now. Its attributes stay. */
void attribute_cache_forget_record(struct attribute_cache *cache, const char *id);

/** Remembers that the bytes `record` describes hold `size` bytes of plaintext. */
void attribute_cache_set_exact_size(struct attribute_cache *cache,
                                    const struct image_record *record, uint64_t size);

/** Image `id` is gone. */
void attribute_cache_drop(struct attribute_cache *cache, const char *id);

/**
 * A complete listing, begun at `begun_ns` (clock_monotonic_ns), was put in: what was received before
 * is not in it. The image may be gone, or only not listed for us (os_hidden, shared), which nobody
 * but the image service can tell: its record is forgotten, and its attributes are missed until it is
 * put in again.
 */
void attribute_cache_miss_older(struct attribute_cache *cache, uint64_t begun_ns);

/** Drops missed and stale entries that no verification made valuable; after a listing. */
void attribute_cache_prune(struct attribute_cache *cache);

#endif
