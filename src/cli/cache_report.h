/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the cache, on standard output: as a table for people, as JSON for scripts. */
#ifndef CLI_CACHE_REPORT_H
#define CLI_CACHE_REPORT_H

#include "glancefs/ciphertext_cache.h"

#include <stdbool.h>

/** The state's name as users see it: "complete", "partial", "quarantine". */
const char *cached_object_state_name(enum cached_object_state state);

/** One line per object: image id, state, what is there of its size in bytes, when it was used last
 *  (UTC), whether it is in use. */
void cache_report_table(const struct cached_object_list *list);

/**
 * An array of objects on one line, with the members of struct cached_object: image_id, name, state,
 * in_use, data_bytes, total_bytes, disk_bytes, fetched_at, last_used, key_id, hash_algo, hash_value;
 * null for what is not known. ERROR_EXHAUSTED, here and below, when memory is short.
 */
int cache_report_json(const struct cached_object_list *list, struct error *err);

/** Bytes that may still come without anything having to go. */
uint64_t cache_report_available_bytes(const struct ciphertext_cache_usage *usage);

/** Like df: size, use and room of cache and filesystem, then what the cache holds. `path` is its
 *  directory. */
void cache_report_usage(const char *path, const struct ciphertext_cache_usage *usage);

/**
 * One object on a line, with the members of struct ciphertext_cache_usage but the counts of this
 * process, and available_bytes. null for a limit that there is not.
 */
int cache_report_usage_json(const struct ciphertext_cache_usage *usage, struct error *err);

#endif
