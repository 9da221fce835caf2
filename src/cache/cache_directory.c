/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_directory.h"

#include "base/clock.h"
#include "base/file_sink.h"
#include "base/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define OBJECTS "objects"

/* How long another daemon may take to end. */
#define LOCK_SECONDS 5
#define LOCK_POLL_NS 50000000L

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

static void remove_temporaries(int fd)
{
    CLEANUP(closedir) DIR *directory = cache_directory_stream(fd);
    const size_t prefix = sizeof FILE_SINK_TEMPORARY_PREFIX - 1;
    const struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (strncmp(entry->d_name, FILE_SINK_TEMPORARY_PREFIX, prefix) == 0)
            (void)unlinkat(fd, entry->d_name, 0);
}

int cache_directory_open_subdirectory(const char *path, const char *name, int *ret_fd,
                                      struct error *err)
{
    CLEANUP(fd_close) int cache = -1;
    CLEANUP(fd_close) int subdirectory = -1;

    if (mkdir(path, S_IRWXU) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "cache %s", path);
    cache = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cache < 0)
        return error_set_errno(err, errno, "cache %s", path);
    if (cache_directory_require_private(cache, err) < 0)
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

/*
 * One daemon at a time: another one would take our downloads for left-overs. The lock dies with
 * the process. One that was just unmounted may need a moment to end.
 */
static int lock_objects(int objects, const char *path, struct error *err)
{
    static const struct timespec pause = {.tv_nsec = LOCK_POLL_NS};
    const uint64_t deadline_ns = clock_monotonic_ns() + LOCK_SECONDS * NANOSECONDS_PER_SECOND;

    while (flock(objects, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return error_set_errno(err, errno, "cache %s: lock", path);
        if (clock_monotonic_ns() > deadline_ns)
            return error_set(err, ERROR_BUSY, "cache %s: another glancefs mount uses it", path);
        (void)nanosleep(&pause, NULL);
    }
    return 0;
}

int cache_directory_open(const char *path, int *ret_fd, struct error *err)
{
    CLEANUP(fd_close) int objects = -1;

    if (cache_directory_open_subdirectory(path, OBJECTS, &objects, err) < 0 ||
        lock_objects(objects, path, err) < 0)
        return -1;
    remove_temporaries(objects);
    *ret_fd = steal_fd(&objects);
    return 0;
}

int cache_directory_look(const char *path)
{
    CLEANUP(fd_close) int cache = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return cache < 0 ? -1 : openat(cache, OBJECTS, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool is_object_of(const char *name, const char *id)
{
    const size_t length = UUID_TEXT_BYTES - 1;

    return strncmp(name, id, length) == 0 && (name[length] == '\0' || name[length] == '.');
}

void cache_directory_remove_objects(int fd, const char *id)
{
    CLEANUP(closedir) DIR *directory = cache_directory_stream(fd);
    const struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (is_object_of(entry->d_name, id) && unlinkat(fd, entry->d_name, 0) < 0 &&
            errno == EISDIR)
            (void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
}

int cache_directory_usage(int fd, struct ciphertext_cache_usage *ret, struct error *err)
{
    CLEANUP(closedir) DIR *directory = cache_directory_stream(fd);
    struct ciphertext_cache_usage usage = {0};
    const struct dirent *entry;
    struct stat status;

    if (directory == NULL)
        return error_set_errno(err, errno, "cache");
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.' || fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        usage.objects++;
        usage.stored_bytes += (uint64_t)status.st_size;
    }
    *ret = usage;
    return 0;
}
