/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upload staging with the program's own settings. Whoever stages for one cloud, be it a mount or a
 * command, opens it here, so that they all name the cloud in the same way and find each other's
 * uploads. What its worker brings to an end is logged.
 */
#ifndef CLI_CLOUD_STAGING_H
#define CLI_CLOUD_STAGING_H

#include "cli/session.h"
#include "crypto/signature_key.h"
#include "glancefs/ciphertext_cache.h"
#include "glancefs/config.h"
#include "glancefs/consumer_registry.h"
#include "glancefs/upload_staging.h"

/** Delays between attempts, in milliseconds. */
#define CLOUD_STAGING_FIRST_RETRY_MS 1000
#define CLOUD_STAGING_LAST_RETRY_MS 60000

struct cloud_staging {
    char *
        cloud_name; /* as in `config`, but with an absolute path, or with the place of the images */
    struct identity identity;
    struct consumer_registry *consumers; /* of the images sent from here, and of those read */
    struct signature_key *signing_key;   /* NULL: uploads are not signed */
    struct upload_staging *staging;
};

/**
 * Asks who we are and opens the staging in `cache`, a cache directory that may be another one than
 * that of `config`. `images` is the cache of that directory, whose consumers are withdrawn when it holds
 * their images no more; NULL where nobody has it open. `config`, `images` and `session` must outlive it.
 * Before the process changes its working directory. Fails when the signing key of `config` cannot be used, or is not that of its
 * certificate.
 */
int cloud_staging_open(const struct config *config, const char *cache,
                       struct ciphertext_cache *images, const struct session *session,
                       struct cloud_staging **ret, struct error *err);

/** Ends it; NULL is allowed. */
void cloud_staging_free(struct cloud_staging *staging);
DEFINE_CLEANUP(struct cloud_staging, cloud_staging_free)

#endif
