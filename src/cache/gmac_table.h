/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tags of one object: a GMAC per CACHE_BLOCK_BYTES of ciphertext, under a key of its own that
 * exists only in this process (16 KiB of tags per GiB). Filled once by a verification pass, then
 * only read.
 */
#ifndef CACHE_GMAC_TABLE_H
#define CACHE_GMAC_TABLE_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"

#include <stddef.h>
#include <stdint.h>

struct gmac_table;

/** An empty table with a fresh key out of `arena`. */
int gmac_table_new(struct secure_arena *arena, struct gmac_table **ret, struct error *err);

/** Wipes the key and frees; NULL is allowed. */
void gmac_table_free(struct gmac_table *table);
DEFINE_CLEANUP(struct gmac_table, gmac_table_free)

/** Tags the next block: `size` bytes, CACHE_BLOCK_BYTES for all but the last. One thread. */
int gmac_table_append(struct gmac_table *table, const void *bytes, size_t size, struct error *err);

/**
 * ERROR_CORRUPT unless these are the bytes that were tagged as block number `block`, and as many.
 * Any thread, once the table is full.
 */
int gmac_table_check(const struct gmac_table *table, uint64_t block, const void *bytes, size_t size,
                     struct error *err);

#endif
