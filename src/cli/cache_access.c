/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cache_access.h"

#include "crypto/crypto_library.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

bool cache_options_take(struct cache_options *options, int option, char *value)
{
    switch (option) {
    case CACHE_OPTION_CLOUD:
        options->session.cloud = value;
        return true;
    case CACHE_OPTION_OS_CLOUD:
        options->session.os_cloud = value;
        return true;
    case CACHE_OPTION_CONFIG:
        options->session.config_path = value;
        return true;
    case CACHE_OPTION_CACHE:
        options->cache = value;
        return true;
    default:
        return false;
    }
}

static int load_config(const struct cache_options *options, enum cloud_need need,
                       struct config **ret, struct error *err)
{
    return need == CLOUD_NEEDED ? session_load_options(&options->session, ret, err)
                                : session_load_settings(&options->session, ret, err);
}

static int choose_path(const struct cache_options *options, struct cache_access *access, bool makes,
                       struct error *err)
{
    struct stat status;

    access->path = options->cache != NULL ? options->cache : access->config->cache;
    if (access->path == NULL)
        return error_set(err, ERROR_INVALID,
                         "no cache: give --cache, GLANCEFS_CACHE or 'cache' in a configuration "
                         "file");
    if (!makes && stat(access->path, &status) < 0)
        return error_set_errno(err, errno, "cache %s", access->path);
    return 0;
}

static int open_session(struct cache_access *access, enum cloud_need need, struct error *err)
{
    if (need == CLOUD_NOT_ASKED || (need == CLOUD_IF_NAMED && access->config->cloud == NULL))
        return crypto_library_setup_hashing(err);
    return session_open(access->config, SESSION_COMMAND_ARENA_BYTES, &access->session, err);
}

int cache_access_open(const struct cache_options *options, enum cache_role role,
                      enum cloud_need need, bool makes, struct cache_access **ret,
                      struct error *err)
{
    CLEANUP(cache_access_free) struct cache_access *access = calloc(1, sizeof *access);
    struct ciphertext_cache_parts parts = {.role = role};

    if (access == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (load_config(options, need, &access->config, err) < 0 ||
        choose_path(options, access, makes, err) < 0 || open_session(access, need, err) < 0)
        return -1;
    parts.path = access->path;
    parts.images = access->session == NULL ? NULL : access->session->cloud->images;
    parts.require_hash = access->config->require_hash;
    parts.limits = access->config->cache_limits;
    if (ciphertext_cache_new(&parts, &access->cache, err) < 0)
        return -1;
    *ret = steal(&access);
    return 0;
}

void cache_access_free(struct cache_access *access)
{
    if (access == NULL)
        return;
    image_vetting_free(access->vetting);
    ciphertext_cache_free(access->cache);
    session_free(access->session);
    config_free(access->config);
    free(access);
}
