/* SPDX-License-Identifier: Apache-2.0 */
/* `glancefs cache prune`: removes what nobody needs. */
#ifndef CLI_CACHE_PRUNE_H
#define CLI_CACHE_PRUNE_H

#include "cli/cache_access.h"
#include "glancefs/cancel.h"
#include "glancefs/ciphertext_cache.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stdint.h>

/** What came of it. */
struct cache_pruning {
    struct ciphertext_cache_removal removed; /* all in all */
    bool asked;                              /* the image service answered for every image */
    uint64_t gone_images;                    /* it knows nothing of them: they went */
    uint64_t changed_images;                 /* their record names other bytes by now: they went */
    uint64_t kept_images;                    /* they should have gone, but somebody reads them */
    struct error unasked;                    /* why asking ended early, if it did */
};

/**
 * With a cloud in `access`: first removes the images that the image service does not know, in its own
 * words, and those whose record names other bytes by now. When it does not answer, the rest are left
 * as they are. Then ciphertext_cache_prune. Unless the caller `trusts_any_cloud`, ERROR_DENIED when the
 * cache is another cloud's: then nothing is removed at all.
 */
int cache_prune(struct cache_access *access, bool trusts_any_cloud, struct cancel *cancel,
                struct cache_pruning *ret, struct error *err);

#endif
