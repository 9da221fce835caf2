/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/staged_file.h"

#include "glancefs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Each turn was lost to somebody else; so many in a row mean that the file is in use. */
#define CREATE_TURNS 16

static const char *const suffixes[] = {[STAGED_PART] = ".part",
                                       [STAGED_DATA] = ".data",
                                       [STAGED_JOURNAL] = ".json",
                                       [STAGED_NEW_JOURNAL] = ".json.new"};

void staged_file_name(const char *id, enum staged_file file, char ret[STAGED_NAME_BYTES])
{
    (void)snprintf(ret, STAGED_NAME_BYTES, "%.36s%s", id, suffixes[file]);
}

bool staged_file_recognise(const char *name, char ret_id[UUID_TEXT_BYTES], enum staged_file *ret)
{
    if (strlen(name) < UUID_TEXT_BYTES)
        return false;
    (void)snprintf(ret_id, UUID_TEXT_BYTES, "%.36s", name);
    if (!uuid_is_valid(ret_id))
        return false;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (strcmp(name + UUID_TEXT_BYTES - 1, suffixes[i]) == 0) {
            *ret = (enum staged_file)i;
            return true;
        }
    }
    return false;
}

bool staged_file_exists(int dir_fd, const char *id, enum staged_file file)
{
    char name[STAGED_NAME_BYTES];
    struct stat status;

    staged_file_name(id, file, name);
    return fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

int staged_file_remove(int dir_fd, const char *id, enum staged_file file, struct error *err)
{
    char name[STAGED_NAME_BYTES];

    staged_file_name(id, file, name);
    if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
        return error_set_errno(err, errno, "staging: remove %s", name);
    return 0;
}

/* --- the lock --- */

static int take_lock(int fd, const char *name, struct error *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return error_set(err, ERROR_BUSY, "staging: %s is in use", name);
    return error_set_errno(err, errno, "staging: lock %s", name);
}

/* Between open and lock the holder may have renamed or removed what we opened. */
static bool is_still_named(int dir_fd, const char *name, int fd)
{
    struct stat ours;
    struct stat named;

    return fstat(fd, &ours) == 0 && fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

static int open_regular(int dir_fd, const char *name, int *ret_fd, struct error *err)
{
    CLEANUP(fd_close)
    int fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "staging: open %s", name);
    if (!S_ISREG(status.st_mode))
        return error_set(err, ERROR_INVALID, "staging: %s is not a regular file", name);
    *ret_fd = steal_fd(&fd);
    return 0;
}

int staged_file_lock(int dir_fd, const char *id, enum staged_file file, int *ret_fd,
                     struct error *err)
{
    CLEANUP(fd_close) int fd = -1;
    char name[STAGED_NAME_BYTES];

    staged_file_name(id, file, name);
    if (open_regular(dir_fd, name, &fd, err) < 0 || take_lock(fd, name, err) < 0)
        return -1;
    if (!is_still_named(dir_fd, name, fd))
        return error_set(err, ERROR_NOT_FOUND, "staging: %s is gone", name);
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* Removes a .part that nobody holds. */
static int remove_abandoned(int dir_fd, const char *id, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;

    if (staged_file_lock(dir_fd, id, STAGED_PART, &fd, err) < 0)
        return err->kind == ERROR_NOT_FOUND ? 0 : -1;
    return staged_file_remove(dir_fd, id, STAGED_PART, err);
}

int staged_file_create_part(int dir_fd, const char *id, int *ret_fd, struct error *err)
{
    char name[STAGED_NAME_BYTES];

    staged_file_name(id, STAGED_PART, name);
    for (int turn = 0; turn < CREATE_TURNS; turn++) {
        CLEANUP(fd_close)
        int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        S_IRUSR | S_IWUSR);

        if (fd < 0 && errno != EEXIST)
            return error_set_errno(err, errno, "staging: create %s", name);
        if (fd < 0 && remove_abandoned(dir_fd, id, err) < 0)
            return -1;
        /* Somebody who took the file for abandoned before we had the lock has removed it. */
        if (fd >= 0 && take_lock(fd, name, err) == 0 && is_still_named(dir_fd, name, fd)) {
            *ret_fd = steal_fd(&fd);
            return 0;
        }
    }
    return error_set(err, ERROR_BUSY, "staging: %s is in use", name);
}

bool staged_file_is_held(int dir_fd, const char *id)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CLEANUP(fd_close) int fd = -1;
    struct error ignored = ERROR_INIT;
    char name[STAGED_NAME_BYTES];

    staged_file_name(id, STAGED_DATA, name);
    return open_regular(dir_fd, name, &fd, &ignored) == 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 &&
           lock.l_type != F_UNLCK;
}
