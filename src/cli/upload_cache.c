/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/upload_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PARENT "/var/tmp"
#define NAME "glancefs-upload-XXXXXX"

struct upload_cache {
    char *path;
    bool is_own;
};

static int make_own(struct upload_cache *cache, struct error *err)
{
    const char *parent = getenv("TMPDIR");

    if (parent == NULL || parent[0] != '/')
        parent = DEFAULT_PARENT;
    if (asprintf(&cache->path, "%s/" NAME, parent) < 0) {
        cache->path = NULL;
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    }
    if (mkdtemp(cache->path) == NULL)
        return error_set_errno(err, errno, "%s", cache->path);
    cache->is_own = true;
    return 0;
}

int upload_cache_open(const char *configured, struct upload_cache **ret, struct error *err)
{
    CLEANUP(upload_cache_free) struct upload_cache *cache = calloc(1, sizeof *cache);

    if (cache == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (configured == NULL) {
        if (make_own(cache, err) < 0)
            return -1;
    } else {
        cache->path = strdup(configured);
        if (cache->path == NULL)
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
    }
    *ret = steal(&cache);
    return 0;
}

const char *upload_cache_path(const struct upload_cache *cache)
{
    return cache->path;
}

/* Staging leaves empty directories behind: what it staged is sent or dropped by then. */
static void remove_own(const struct upload_cache *cache)
{
    CLEANUP(memory_free) char *staging = NULL;

    if (asprintf(&staging, "%s/staging", cache->path) < 0) {
        staging = NULL;
        return;
    }
    (void)rmdir(staging);
    (void)rmdir(cache->path);
}

void upload_cache_free(struct upload_cache *cache)
{
    if (cache == NULL)
        return;
    if (cache->is_own)
        remove_own(cache);
    free(cache->path);
    free(cache);
}
