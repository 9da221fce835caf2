/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_directory.h"

#include "cache/cache_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define OBJECTS "objects"

DIR *cache_directory_stream(int dir_fd)
{
    CLEANUP(fd_close) int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (stream != NULL)
        (void)steal_fd(&fd);
    return stream;
}

static bool is_empty(int fd)
{
    CLEANUP(closedir) DIR *directory = cache_directory_stream(fd);
    const struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return false;
    return directory != NULL;
}

/* A directory that somebody else uses (say /tmp) must not be closed to him by a wrong --cache. */
static bool may_tighten(int fd, const struct stat *status)
{
    struct stat objects;

    return status->st_uid == geteuid() && (status->st_mode & S_ISVTX) == 0 &&
           (is_empty(fd) || fstatat(fd, OBJECTS, &objects, AT_SYMLINK_NOFOLLOW) == 0);
}

int cache_directory_require_private(int fd, struct error *err)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "stat");
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) == 0 && status.st_uid == geteuid())
        return 0;
    if (!may_tighten(fd, &status))
        return error_set(err, ERROR_DENIED,
                         "must belong to us with mode 0700: others may enter it");
    if (fchmod(fd, S_IRWXU) < 0)
        return error_set_errno(err, errno, "chmod");
    return 0;
}

int cache_directory_open_subdirectory(const char *path, const char *name, int *ret_fd,
                                      struct error *err)
{
    CLEANUP(fd_close) int cache = -1;
    CLEANUP(fd_close) int subdirectory = -1;
    bool ignored;

    if (mkdir(path, S_IRWXU) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "cache %s", path);
    cache = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cache < 0)
        return error_set_errno(err, errno, "cache %s", path);
    if (cache_layout_check_format(cache, &ignored, err) < 0 ||
        cache_directory_require_private(cache, err) < 0)
        return error_prefix(err, "cache %s", path);
    /* Synced, so that what becomes durable in it does not vanish with it. */
    if ((mkdirat(cache, name, S_IRWXU) < 0 && errno != EEXIST) || fsync(cache) < 0)
        return error_set_errno(err, errno, "cache %s/%s", path, name);
    subdirectory = openat(cache, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (subdirectory < 0)
        return error_set_errno(err, errno, "cache %s/%s", path, name);
    *ret_fd = steal_fd(&subdirectory);
    return 0;
}
