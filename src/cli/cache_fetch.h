/* SPDX-License-Identifier: Apache-2.0 */
/* One image's way into the cache, by a command. */
#ifndef CLI_CACHE_FETCH_H
#define CLI_CACHE_FETCH_H

#include "cli/cache_access.h"
#include "cli/image_work.h"

/**
 * Before the first of them: asks who we are, reads trusted certificates, and notes whose images the cache
 * will hold. Errors of identity_service_identify and image_vetting_new.
 */
int cache_fetch_prepare(struct cache_access *access, struct cancel *cancel, struct error *err);

/**
 * For struct image_work, whose context is a struct cache_access with a cloud: fetches the image of
 * `task` and makes its result "fetched" or "present". Refuses what a mount would not serve: an image
 * that is not active is ERROR_BUSY or ERROR_DENIED (deactivated), one that is not encrypted, or in
 * another format, ERROR_UNSUPPORTED, another project's ERROR_DENIED. Where the configuration asks for image
 * signatures, that of what is fetched is proven; of what is there, the mount does it. Else errors of image_service_get and ciphertext_cache_fetch.
 */
int cache_fetch_image(void *context, struct image_task *task, struct cancel *cancel,
                      struct error *err);

#endif
