/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reader of a verified object. Every block is checked against its tag before a byte of it is
 * given out; the last one stays at hand, so that a sequential reader checks each block once.
 */
#ifndef CACHE_CACHED_SOURCE_H
#define CACHE_CACHED_SOURCE_H

#include "cache/cache_object.h"
#include "cache/checked_blocks.h"
#include "glancefs/byte_source.h"

/** Told of what becomes of a reader. Any thread. */
struct reader_listener {
    /* A block of `object` does not match any more, or cannot be read from the disk. */
    void (*damaged)(void *context, struct cache_object *object, uint64_t inode);
    /* The reader of `object` is being freed. */
    void (*closed)(void *context, const struct cache_object *object);
    void *context;
    uint64_t inode; /* of the reader's file, as its owner knows it; told along */
};

/**
 * A source with random access over the bytes of `object`, of which it takes a reference of its own,
 * read from `file`, which it takes over, also on failure, through `blocks`, which it borrows.
 */
int cached_source_new(struct cache_object *object, struct byte_source *file,
                      struct checked_blocks *blocks, struct reader_listener listener,
                      struct byte_source **ret, struct error *err);

/** See ciphertext_cache_set_waiting. */
void cached_source_set_waiting(struct byte_source *source, bool may_wait);

#endif
