/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cloud a cache is of, so that nobody prunes it by the word of another one, which knows none of its
 * images. A cloud goes by the address of its image service, a local one by its directory, and by the
 * project: the name in clouds.yaml, or "RegionOne", may stand for many.
 */
#ifndef CLI_CACHE_CLOUD_H
#define CLI_CACHE_CLOUD_H

#include "cli/cache_access.h"
#include "cli/session.h"
#include "glancefs/cancel.h"
#include "glancefs/ciphertext_cache.h"
#include "glancefs/config.h"
#include "glancefs/error.h"
#include "glancefs/identity_service.h"

/**
 * For a mount, whose images the cache will hold from now on: says so in `cache`, and warns in the log when
 * it held those of another cloud. They stay until they are the least recently used. Best effort: a
 * mount goes on without.
 */
void cache_cloud_take_over(struct ciphertext_cache *cache, const struct config *config,
                           const struct identity *identity);

/** For a command that fetches: says so where nobody did before. Best effort. */
void cache_cloud_begin(const struct cache_access *access, const struct identity *identity);

/**
 * For a command that believes the cloud of `access`, asking who we are: ERROR_DENIED when the cache holds
 * another cloud's images, or may. Errors of identity_service_identify.
 */
int cache_cloud_check(const struct cache_access *access, struct cancel *cancel, struct error *err);

#endif
