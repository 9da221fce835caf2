/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cache_cloud.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_PREFIX "local:"

static int name_local(const char *cloud, char **ret, struct error *err)
{
    CLEANUP(memory_free) char *resolved = realpath(cloud + strlen(LOCAL_PREFIX), NULL);

    if (resolved == NULL)
        return error_set_errno(err, errno, "%s", cloud);
    if (asprintf(ret, LOCAL_PREFIX "%s", resolved) < 0)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    return 0;
}

static int name_address(const struct config *config, const struct identity *identity, char **ret,
                        struct error *err)
{
    if (strncmp(config->cloud, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) == 0)
        return name_local(config->cloud, ret, err);
    if (identity->image_url[0] == '\0')
        return error_set(err, ERROR_UNAVAILABLE, "the image service has no address");
    *ret = strdup(identity->image_url);
    return *ret == NULL ? error_set(err, ERROR_EXHAUSTED, "out of memory") : 0;
}

/* Another project does not see this one's private images, either. */
static int name_cloud(const struct config *config, const struct identity *identity, char **ret,
                      struct error *err)
{
    CLEANUP(memory_free) char *address = NULL;

    if (name_address(config, identity, &address, err) < 0)
        return -1;
    if (identity->project_id[0] == '\0')
        *ret = steal(&address);
    else if (asprintf(ret, "%s project %s", address, identity->project_id) < 0)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    return 0;
}

static int set_cloud(struct ciphertext_cache *cache, const struct config *config,
                     const struct identity *identity, bool replaces, struct error *err)
{
    CLEANUP(memory_free) char *cloud = NULL;
    char former[CACHE_CLOUD_BYTES];

    if (name_cloud(config, identity, &cloud, err) < 0 ||
        ciphertext_cache_set_cloud(cache, cloud, replaces, former, err) < 0)
        return -1;
    if (replaces && former[0] != '\0' && strcmp(former, cloud) != 0)
        log_warning("cache: it held images of %s, and is for %s from now on", former, cloud);
    return 0;
}

void cache_cloud_take_over(struct ciphertext_cache *cache, const struct config *config,
                           const struct identity *identity)
{
    struct error err = ERROR_INIT;

    if (set_cloud(cache, config, identity, true, &err) < 0)
        log_warning("cache: its cloud is not noted: %s", err.message);
}

void cache_cloud_begin(const struct cache_access *access, const struct identity *identity)
{
    struct error err = ERROR_INIT;

    if (set_cloud(access->cache, access->config, identity, false, &err) < 0)
        log_debug("cache: its cloud is not noted: %s", err.message);
}

static int compare(const char *path, const char *held, const char *named, struct error *err)
{
    if (held[0] == '\0')
        return error_set(err, ERROR_DENIED,
                         "cache %.64s does not say of which cloud it is: mount it once, or give "
                         "--any-cloud or --offline",
                         path);
    if (strcmp(held, named) == 0)
        return 0;
    return error_set(err, ERROR_DENIED,
                     "cache %.40s is of %.100s; another one, as %.100s, calls its images gone: "
                     "name the first, or give --any-cloud or --offline",
                     path, held, named);
}

int cache_cloud_check(const struct cache_access *access, struct cancel *cancel, struct error *err)
{
    CLEANUP(memory_free) char *named = NULL;
    struct identity identity;
    char held[CACHE_CLOUD_BYTES];

    if (identity_service_identify(access->session->cloud->identity, cancel, &identity, err) < 0 ||
        name_cloud(access->config, &identity, &named, err) < 0 ||
        ciphertext_cache_cloud(access->cache, held, err) < 0)
        return -1;
    return compare(access->path, held, named, err);
}
