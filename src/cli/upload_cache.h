/* SPDX-License-Identifier: Apache-2.0 */
/* Where `glancefs upload` stages: in the cache directory, or in one of its own. Ciphertext only. */
#ifndef CLI_UPLOAD_CACHE_H
#define CLI_UPLOAD_CACHE_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

struct upload_cache;

/** Takes `configured`, or, when it is NULL, makes a private directory below $TMPDIR or /var/tmp. */
int upload_cache_open(const char *configured, struct upload_cache **ret, struct error *err);

/** Its path; borrowed. */
const char *upload_cache_path(const struct upload_cache *cache);

/** Lets the directory outlive the command, if it was made: what is staged in it can still be sent. */
void upload_cache_keep(struct upload_cache *cache);

/** Removes the directory if it was made and is not kept, with what staging has left in it. NULL is allowed. */
void upload_cache_free(struct upload_cache *cache);
DEFINE_CLEANUP(struct upload_cache, upload_cache_free)

#endif
