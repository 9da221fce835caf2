/* SPDX-License-Identifier: Apache-2.0 */
#include "support/temp_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct temp_dir {
    char *path;
    int fd;
};

__attribute__((noreturn)) static void give_up(const char *what)
{
    perror(what);
    abort();
}

struct temp_dir *temp_dir_new(void)
{
    const char *parent = getenv("TMPDIR");
    struct temp_dir *dir = calloc(1, sizeof *dir);

    if (dir == NULL || asprintf(&dir->path, "%s/glancefs-test-XXXXXX",
                                parent == NULL || parent[0] == '\0' ? "/tmp" : parent) < 0)
        give_up("temp_dir_new");
    if (mkdtemp(dir->path) == NULL)
        give_up(dir->path);
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0)
        give_up(dir->path);
    return dir;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
    (void)status;
    (void)type;
    (void)position;
    if (remove(path) < 0)
        give_up(path);
    return 0;
}

/* A test may have taken rights away from a directory: without them back nothing below goes. */
static int unlock_directory(const char *path, const struct stat *status, int type,
                            struct FTW *position)
{
    (void)position;
    if (type != FTW_SL && S_ISDIR(status->st_mode) && chmod(path, 0700) < 0)
        give_up(path);
    return 0;
}

void temp_dir_free(struct temp_dir *dir)
{
    if (dir == NULL)
        return;
    (void)close(dir->fd);
    if (nftw(dir->path, unlock_directory, 16, FTW_PHYS) < 0 ||
        nftw(dir->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) < 0)
        give_up(dir->path);
    free(dir->path);
    free(dir);
}

const char *temp_dir_path(const struct temp_dir *dir)
{
    return dir->path;
}

int temp_dir_fd(const struct temp_dir *dir)
{
    return dir->fd;
}

char *temp_dir_join(const struct temp_dir *dir, const char *name)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s", dir->path, name) < 0)
        give_up(name);
    return path;
}

void temp_dir_write(const struct temp_dir *dir, const char *name, const void *bytes, size_t size)
{
    CLEANUP(fd_close)
    int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const char *rest = bytes;

    if (fd < 0)
        give_up(name);
    while (size > 0) {
        const ssize_t written = write(fd, rest, size);

        if (written < 0)
            give_up(name);
        rest += written;
        size -= (size_t)written;
    }
}

uint8_t *temp_dir_read(const struct temp_dir *dir, const char *name, size_t *ret_size)
{
    CLEANUP(fd_close) int fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC);
    struct stat status;
    uint8_t *bytes;
    size_t size = 0;

    if (fd < 0 || fstat(fd, &status) < 0)
        give_up(name);
    bytes = malloc((size_t)status.st_size + 1);
    if (bytes == NULL)
        give_up(name);
    while (size < (size_t)status.st_size) {
        const ssize_t got = read(fd, bytes + size, (size_t)status.st_size - size);

        if (got <= 0)
            give_up(name);
        size += (size_t)got;
    }
    bytes[size] = '\0';
    if (ret_size != NULL)
        *ret_size = size;
    return bytes;
}

bool temp_dir_has(const struct temp_dir *dir, const char *name)
{
    struct stat status;

    return fstatat(dir->fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

size_t temp_dir_count(const struct temp_dir *dir)
{
    DIR *entries = opendir(dir->path);
    const struct dirent *entry;
    size_t count = 0;

    if (entries == NULL)
        give_up(dir->path);
    while ((entry = readdir(entries)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    (void)closedir(entries);
    return count;
}
