/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the cache of one image, for those who fetch it; the rest of cache_inventory.c is declared in
 * glancefs/ciphertext_cache.h. */
#ifndef CACHE_CACHE_INVENTORY_H
#define CACHE_CACHE_INVENTORY_H

#include "cache/cache_context.h"

/** Removes what other records of image `id` named, but for the object `name` and what is in use. Best
 *  effort. */
void cache_inventory_remove_superseded(struct ciphertext_cache *cache, const char *id,
                                       const char *name, struct cancel *cancel);

/** Removes the download `name`, unless somebody has it in hand. Best effort. */
void cache_inventory_remove_download(struct ciphertext_cache *cache, const char *name);

#endif
