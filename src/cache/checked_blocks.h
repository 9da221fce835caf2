/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of verified objects in memory, as they were read from disk and found to match their tag: a
 * byte is given out from here only, so what changes on disk afterwards does no harm. A few of the
 * blocks used last are kept for whoever comes next: readers of one image share them, and who opens
 * one that is open already need not wait for its first block. With an object's last reader they
 * are forgotten. Thread-safe; ciphertext only.
 */
#ifndef CACHE_CHECKED_BLOCKS_H
#define CACHE_CHECKED_BLOCKS_H

#include "cache/cache_object.h"
#include "glancefs/byte_source.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stdint.h>

/** Blocks kept while nobody uses them. */
#define CHECKED_BLOCKS_KEPT 2

struct checked_blocks;

/** CACHE_BLOCK_BYTES of an object, or what is left at its end. Constant while a reference is held. */
struct checked_block {
    const uint8_t *bytes;
    size_t size;
};

int checked_blocks_new(struct checked_blocks **ret, struct error *err);

/** Every block must have been given back. NULL is allowed. */
void checked_blocks_free(struct checked_blocks *blocks);
DEFINE_CLEANUP(struct checked_blocks, checked_blocks_free)

/**
 * Block number `number` of `object`, which has it, with a reference: from memory, or out of `file`
 * (base/file_source.h). ERROR_CORRUPT when it does not match its tag. ERROR_BUSY when it would have
 * to be waited for and `may_wait` is false.
 */
int checked_blocks_get(struct checked_blocks *blocks, struct cache_object *object, uint64_t number,
                       struct byte_source *file, bool may_wait, struct cancel *cancel,
                       struct checked_block **ret, struct error *err);

/**
 * Begins to read and check a block on another thread, unless it is in memory, for a reader who will
 * soon ask for it: NULL when that cannot be done. `file` must outlive checked_blocks_finish, which
 * the result is for. Never waits.
 */
struct checked_block *checked_blocks_start(struct checked_blocks *blocks,
                                           struct cache_object *object, uint64_t number,
                                           struct byte_source *file);

/** Waits for the processor to be through with it, never for the disk. True: the block can be used,
 *  with its reference. False: it was not at hand or does not match, and the reference is gone. NULL
 *  gives false. */
bool checked_blocks_finish(struct checked_blocks *blocks, struct checked_block *block);

/** Gives a reference back; NULL is allowed. */
void checked_blocks_put(struct checked_blocks *blocks, struct checked_block *block);

/** Keeps nothing of `object` any more: nobody reads it. */
void checked_blocks_forget(struct checked_blocks *blocks, const struct cache_object *object);

#endif
