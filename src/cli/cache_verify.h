/* SPDX-License-Identifier: Apache-2.0 */
/* `glancefs cache verify`: reads what is in the cache and compares it with its hashes. */
#ifndef CLI_CACHE_VERIFY_H
#define CLI_CACHE_VERIFY_H

#include "cli/cache_access.h"
#include "glancefs/cancel.h"

#include <stdbool.h>
#include <stddef.h>

/** What is to be done. */
struct cache_verification {
    const char *command;         /* for messages */
    struct cache_access *access; /* with a cloud when `repairs` */
    char *const *ids;            /* images to look at; none: all */
    size_t id_count;
    bool repairs; /* fetches what did not match, and what is in quarantine without a successor */
    bool as_json;
    struct cancel *cancel;
};

/**
 * Does it, one object at a time; each is told as by image_work_run: "sound", "damaged" (set aside),
 * "repaired", "gone" (evicted meanwhile, no failure), "failed". An id of which nothing complete is in
 * the cache is ERROR_NOT_FOUND. The exit code.
 */
int cache_verify(const struct cache_verification *verification);

#endif
