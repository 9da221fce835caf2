/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/object_directory.h"

#include "base/file_source.h"
#include "cache/wall_clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool object_name_is_valid(const char *name)
{
    const size_t id_length = UUID_TEXT_BYTES - 1;
    char id[UUID_TEXT_BYTES];
    size_t length;
    size_t digits;

    (void)snprintf(id, sizeof id, "%.36s", name);
    length = strlen(name);
    if (!uuid_is_valid(id) || length >= CACHE_OBJECT_NAME_BYTES)
        return false;
    if (length == id_length)
        return true;
    digits = strspn(name + id_length + 1, "0123456789abcdef");
    return name[id_length] == '.' && digits > 0 && digits <= 2 * (size_t)HASH_MAXIMUM_BYTES &&
           name[id_length + 1 + digits] == '\0';
}

/* With O_NOFOLLOW a link is ELOOP, or, where a directory is wanted, ENOTDIR like a file. */
static bool is_of_wrong_kind(int errnum)
{
    return errnum == ENOTDIR || errnum == ELOOP || errnum == EISDIR || errnum == ENXIO;
}

int object_directory_open(const struct cache_layout *layout, enum cache_place place,
                          const char *name, int *ret_fd, struct error *err)
{
    const char *where = cache_place_name(place);
    const int fd =
        openat(layout->place_fds[place], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && is_of_wrong_kind(errno))
        return error_set(err, ERROR_CORRUPT, "cache: %s/%s is no directory", where, name);
    if (fd < 0)
        return error_set_errno(err, errno, "cache: %s/%s", where, name);
    *ret_fd = fd;
    return 0;
}

static bool leads_to(int dir_fd, const char *name, int fd)
{
    struct stat named;
    struct stat held;

    return fstat(fd, &held) == 0 && fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_dev == held.st_dev && named.st_ino == held.st_ino;
}

bool object_directory_is_at(int dir_fd, const struct cache_layout *layout, enum cache_place place,
                            const char *name)
{
    return leads_to(layout->place_fds[place], name, dir_fd);
}

/* O_NONBLOCK so that a FIFO in our place cannot hang us; it means nothing to a regular file. */
static int try_open_data(int dir_fd, int flags)
{
    return openat(dir_fd, OBJECT_DATA, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                  S_IRUSR | S_IWUSR);
}

/* Gives us back the access to our own file that somebody took from us with chmod(1). Only we may enter
 * the directory: what we looked at is what we change. */
static bool regain_access(int dir_fd)
{
    struct stat status;

    return fstatat(dir_fd, OBJECT_DATA, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
           fchmodat(dir_fd, OBJECT_DATA, S_IRUSR | S_IWUSR, 0) == 0;
}

int object_directory_open_data(int dir_fd, int flags, int *ret_fd, struct error *err)
{
    CLEANUP(fd_close) int fd = try_open_data(dir_fd, flags);
    struct stat status;

    if (fd < 0 && errno == EACCES) {
        if (regain_access(dir_fd))
            fd = try_open_data(dir_fd, flags);
        if (fd < 0)
            return error_set(err, ERROR_CORRUPT, "cache: the object's data are closed to us");
    }
    if (fd < 0 && is_of_wrong_kind(errno))
        return error_set(err, ERROR_CORRUPT, "cache: the object's data are no file");
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "cache: the object's data");
    if (!S_ISREG(status.st_mode))
        return error_set(err, ERROR_CORRUPT, "cache: the object's data are no file");
    *ret_fd = steal_fd(&fd);
    return 0;
}

bool object_directory_holds(int dir_fd, int data_fd)
{
    return leads_to(dir_fd, OBJECT_DATA, data_fd);
}

int object_directory_read_metadata(int dir_fd, const char *name, struct object_metadata *ret,
                                   struct error *err)
{
    CLEANUP(memory_free) char *text = NULL;
    size_t size;

    if (file_read_all(dir_fd, OBJECT_METADATA, OBJECT_METADATA_TEXT_BYTES, &text, &size, err) < 0)
        return err->kind == ERROR_TOO_LARGE || err->kind == ERROR_INVALID ||
                       is_of_wrong_kind(err->errnum)
                   ? error_set(err, ERROR_CORRUPT, "the metadata are damaged: no small file")
                   : -1;
    return object_metadata_parse(name, text, size, ret, err);
}

int object_directory_blame_disk(struct error *err)
{
    if (err->kind == ERROR_SYSTEM && err->errnum == EIO)
        err->kind = ERROR_CORRUPT;
    return -1;
}

bool object_directory_is_unreadable(const struct error *err)
{
    return err->kind == ERROR_CORRUPT && err->errnum == EIO;
}

/* Best effort: an object of which nobody knows that it is used only goes earlier. */
void object_directory_touch(int dir_fd, int64_t now_ns)
{
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, wall_clock_to_file(now_ns)};

    (void)utimensat(dir_fd, OBJECT_METADATA, times, AT_SYMLINK_NOFOLLOW);
}

static int move_to_trash(const struct cache_layout *layout, enum cache_place place,
                         const char *name, struct error *err)
{
    char trash_name[UUID_TEXT_BYTES];

    if (!uuid_generate(trash_name))
        return error_set(err, ERROR_EXHAUSTED, "no random bytes");
    if (renameat(layout->place_fds[place], name, layout->place_fds[CACHE_PLACE_TRASH], trash_name) <
        0)
        return error_set_errno(err, errno, "cache: discard %s/%s", cache_place_name(place), name);
    return 0;
}

/* A link, or whatever else somebody put there, goes at once: a daemon in its sandbox may not make
 * such a thing, so it may not move one either. */
int object_directory_discard(const struct cache_layout *layout, enum cache_place place,
                             const char *name, struct error *err)
{
    const int place_fd = layout->place_fds[place];
    struct stat status;

    if (fstatat(place_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set_errno(err, errno, "cache: discard %s/%s", cache_place_name(place), name);
    if (S_ISDIR(status.st_mode))
        return move_to_trash(layout, place, name, err);
    if (unlinkat(place_fd, name, 0) < 0)
        return error_set_errno(err, errno, "cache: remove %s/%s", cache_place_name(place), name);
    return 0;
}
