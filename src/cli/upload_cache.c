/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/upload_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PARENT "/var/tmp"
#define NAME "glancefs-upload-XXXXXX"

DEFINE_CLEANUP(DIR, closedir)

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

void upload_cache_keep(struct upload_cache *cache)
{
    cache->is_own = false;
}

static void remove_files(int dir_fd, const char *name)
{
    CLEANUP(fd_close)
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP(closedir) DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *file;

    if (directory == NULL)
        return;
    while ((file = readdir(directory)) != NULL)
        (void)unlinkat(fd, file->d_name, 0);
    (void)steal_fd(&fd); /* the stream's */
}

/* What was staged is sent or dropped by now. The entries of consumers go too: nobody would come here
 * to look whether their images still exist. */
static void remove_own(const struct upload_cache *cache)
{
    CLEANUP(fd_close) int fd = open(cache->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return;
    remove_files(fd, "consumers");
    (void)unlinkat(fd, "consumers", AT_REMOVEDIR);
    (void)unlinkat(fd, "staging", AT_REMOVEDIR);
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
