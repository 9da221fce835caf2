/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_source.h"

#include "base/descriptor_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>

/* Half of the first buffer of file_read_all. */
#define FIRST_READ_BYTES 2048

struct file_source {
    struct byte_source source;
    int fd;
    uint64_t size;     /* regular files */
    bool has_no_disk;  /* regular files: reading never waits */
    uint64_t position; /* forward-only descriptors */
    bool lost;         /* forward-only: a failed read took bytes with it */
};

/* Interrupted system calls go on unless the caller was cancelled. */
static int regular_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                         struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct file_source *file = (struct file_source *)source;
    char *next = buffer;
    size_t got = 0;

    /* No file reaches that far, and pread(2) refuses to look. */
    if (offset > INT64_MAX - size)
        size = 0;
    while (got < size) {
        ssize_t result;

        if (cancel_check(cancel, err) < 0)
            return -1;
        result = pread(file->fd, next + got, size - got, (off_t)(offset + got));
        if (result < 0 && errno != EINTR)
            return error_set_errno(err, errno, "read");
        if (result == 0)
            break;
        got += result > 0 ? (size_t)result : 0;
    }
    *ret_size = got;
    return 0;
}

int file_source_pread_now(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                          size_t *ret_size, struct error *err)
{
    const struct file_source *file = (const struct file_source *)source;
    struct iovec piece = {.iov_base = buffer, .iov_len = size};
    ssize_t result = preadv2(file->fd, &piece, 1, (off_t)offset, RWF_NOWAIT);

    if (result < 0 && errno == EOPNOTSUPP && file->has_no_disk)
        return regular_pread(source, buffer, size, offset, NULL, ret_size, err);
    if (result < 0 && errno != EOPNOTSUPP && errno != EAGAIN && errno != EINTR)
        return error_set_errno(err, errno, "read");
    if (result < 0 || ((size_t)result < size && offset + (size_t)result < file->size))
        return error_set(err, ERROR_BUSY, "the disk would have to be waited for");
    *ret_size = (size_t)result;
    return 0;
}

/* Reads until `size` bytes or the end came; *got counts them also when it fails. */
static int read_forward(int fd, char *buffer, size_t size, struct cancel *cancel, size_t *got,
                        struct error *err)
{
    while (*got < size) {
        ssize_t result;

        if (descriptor_wait_readable(fd, cancel, err) < 0)
            return -1;
        result = read(fd, buffer + *got, size - *got);
        if (result < 0 && errno != EINTR)
            return error_set_errno(err, errno, "read");
        if (result == 0)
            break;
        *got += result > 0 ? (size_t)result : 0;
    }
    return 0;
}

static int forward_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                         struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct file_source *file = (struct file_source *)source;
    size_t got = 0;

    if (offset != file->position || file->lost)
        return error_set_errno(err, ESPIPE, "read");
    if (read_forward(file->fd, buffer, size, cancel, &got, err) < 0) {
        file->lost = got > 0;
        return -1;
    }
    file->position += got;
    *ret_size = got;
    return 0;
}

static uint64_t regular_size(struct byte_source *source)
{
    return ((struct file_source *)source)->size;
}

static uint64_t forward_size(struct byte_source *source)
{
    (void)source;
    return BYTE_SOURCE_SIZE_UNKNOWN;
}

static void file_source_free(struct byte_source *source)
{
    struct file_source *file = (struct file_source *)source;

    (void)close(file->fd);
    free(file);
}

static const struct byte_source_ops regular_ops = {
    .pread = regular_pread, .size = regular_size, .free = file_source_free};

static const struct byte_source_ops forward_ops = {.pread = forward_pread,
                                                   .size = forward_size,
                                                   .free = file_source_free,
                                                   .is_forward_only = true};

/* Some such filesystems know no reads that do not wait, as if they had a disk. */
static bool lies_in_memory(int fd)
{
    struct statfs filesystem;

    return fstatfs(fd, &filesystem) == 0 &&
           (filesystem.f_type == TMPFS_MAGIC || filesystem.f_type == RAMFS_MAGIC);
}

int file_source_from_fd(int fd, struct byte_source **ret, struct error *err)
{
    struct file_source *file;
    struct stat status;

    if (fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "stat");
    if (S_ISDIR(status.st_mode))
        return error_set_errno(err, EISDIR, "read");
    file = calloc(1, sizeof *file);
    if (file == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    file->source.ops = S_ISREG(status.st_mode) ? &regular_ops : &forward_ops;
    file->fd = fd;
    file->size = (uint64_t)status.st_size;
    file->has_no_disk = S_ISREG(status.st_mode) && lies_in_memory(fd);
    *ret = &file->source;
    return 0;
}

/* O_NONBLOCK so that a FIFO in our place cannot hang us; it means nothing to a regular file. */
static int open_regular(int dir_fd, const char *path, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;
    struct stat status;

    fd = openat(dir_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_set_errno(err, errno, "%s", path);
    if (fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "%s", path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, ERROR_INVALID, "%s: not a regular file", path);
    return steal_fd(&fd);
}

int file_source_open(int dir_fd, const char *path, struct byte_source **ret, struct error *err)
{
    CLEANUP(fd_close) int fd = open_regular(dir_fd, path, err);

    if (fd < 0 || file_source_from_fd(fd, ret, err) < 0)
        return -1;
    (void)steal_fd(&fd);
    return 0;
}

int file_read_all(int dir_fd, const char *path, size_t limit, char **ret, size_t *ret_size,
                  struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    CLEANUP(memory_free) char *text = NULL;
    size_t capacity = FIRST_READ_BYTES;
    size_t size = 0;
    size_t got;

    if (file_source_open(dir_fd, path, &source, err) < 0)
        return -1;
    /* Not by the size: procfs says 0, and a file may grow. */
    do {
        char *larger = realloc(text, 2 * capacity);

        if (larger == NULL)
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
        text = larger;
        capacity *= 2;
        if (byte_source_pread(source, text + size, capacity - size - 1, size, NULL, &got, err) < 0)
            return error_prefix(err, "%s", path);
        size += got;
        if (size > limit)
            return error_set(err, ERROR_TOO_LARGE, "%s: over %zu bytes", path, limit);
    } while (got > 0);
    text[size] = '\0';
    *ret = steal(&text);
    *ret_size = size;
    return 0;
}
