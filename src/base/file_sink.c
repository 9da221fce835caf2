/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_sink.h"

#include "base/descriptor_wait.h"
#include "base/uuid.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

DEFINE_CLEANUP(DIR, closedir)

struct file_sink {
    struct byte_sink sink;
    int fd;
    int dir_fd;      /* publishing sinks */
    char *name;      /* published as */
    char *temporary; /* written as */
};

static int file_write(struct byte_sink *sink, const void *bytes, size_t size, struct cancel *cancel,
                      struct error *err)
{
    struct file_sink *file = (struct file_sink *)sink;
    const char *next = bytes;

    while (size > 0) {
        ssize_t result;

        if (cancel_check(cancel, err) < 0)
            return -1;
        result = write(file->fd, next, size);
        /* A descriptor we were given may be non-blocking: its other users share that flag. */
        if (result < 0 && errno == EAGAIN) {
            if (descriptor_wait_writable(file->fd, cancel, err) < 0)
                return -1;
        } else if (result < 0 && errno != EINTR) {
            return error_set_errno(err, errno, "write");
        }
        next += result > 0 ? result : 0;
        size -= result > 0 ? (size_t)result : 0;
    }
    return 0;
}

static int publish_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    struct file_sink *file = (struct file_sink *)sink;

    (void)cancel;
    if (fsync(file->fd) < 0)
        return error_set_errno(err, errno, "%s: fsync", file->name);
    if (renameat(file->dir_fd, file->temporary, file->dir_fd, file->name) < 0)
        return error_set_errno(err, errno, "%s: rename", file->name);
    /* A failure leaves the new file in place: removing it would lose what it replaced, too. */
    if (fsync(file->dir_fd) < 0)
        return error_set_errno(err, errno, "%s: fsync of its directory", file->name);
    return 0;
}

static void publish_abort(struct byte_sink *sink)
{
    struct file_sink *file = (struct file_sink *)sink;

    (void)unlinkat(file->dir_fd, file->temporary, 0);
}

static void publish_free(struct byte_sink *sink)
{
    struct file_sink *file = (struct file_sink *)sink;

    if (file->fd >= 0)
        (void)close(file->fd);
    if (file->dir_fd >= 0)
        (void)close(file->dir_fd);
    free(file->name);
    free(file->temporary);
    free(file);
}

static const struct byte_sink_ops publish_ops = {
    .write = file_write, .commit = publish_commit, .abort = publish_abort, .free = publish_free};

/* A sink with descriptors unset, for publish_free to take apart at any stage. */
static struct file_sink *allocate_publisher(const char *name)
{
    struct file_sink *file = calloc(1, sizeof *file);
    char id[UUID_TEXT_BYTES];

    if (file == NULL)
        return NULL;
    file->sink.ops = &publish_ops;
    file->fd = -1;
    file->dir_fd = -1;
    file->name = strdup(name);
    if (uuid_generate(id) && asprintf(&file->temporary, "%s%s", FILE_SINK_TEMPORARY_PREFIX, id) < 0)
        file->temporary = NULL;
    return file;
}

int file_sink_publish(int dir_fd, const char *name, mode_t mode, struct byte_sink **ret,
                      struct error *err)
{
    struct file_sink *file = allocate_publisher(name);

    if (file == NULL || file->name == NULL || file->temporary == NULL) {
        if (file != NULL)
            publish_free(&file->sink);
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    }
    file->dir_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->dir_fd >= 0)
        file->fd = openat(file->dir_fd, file->temporary,
                          O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (file->fd < 0) {
        (void)error_set_errno(err, errno, "%s: create", name);
        publish_free(&file->sink);
        return -1;
    }
    *ret = &file->sink;
    return 0;
}

/* A stream of its own over the directory; NULL when there is none. */
static DIR *open_listing(int dir_fd)
{
    CLEANUP(fd_close) int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);

    if (listing != NULL)
        (void)steal_fd(&fd);
    return listing;
}

void file_sink_remove_leftovers(int dir_fd)
{
    CLEANUP(closedir) DIR *listing = open_listing(dir_fd);
    const size_t prefix = sizeof FILE_SINK_TEMPORARY_PREFIX - 1;
    const struct dirent *entry;

    while (listing != NULL && (entry = readdir(listing)) != NULL)
        if (strncmp(entry->d_name, FILE_SINK_TEMPORARY_PREFIX, prefix) == 0)
            (void)unlinkat(dir_fd, entry->d_name, 0);
}

int file_sink_fd(const struct byte_sink *sink)
{
    return ((const struct file_sink *)sink)->fd;
}

int file_sink_publish_path(const char *path, mode_t mode, struct byte_sink **ret, struct error *err)
{
    CLEANUP(memory_free) char *for_directory = strdup(path);
    CLEANUP(memory_free) char *for_name = strdup(path);
    CLEANUP(fd_close) int dir_fd = -1;
    struct stat status;

    if (for_directory == NULL || for_name == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return error_set_errno(err, EISDIR, "%s", path);
    dir_fd = open(dirname(for_directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return error_set_errno(err, errno, "%s", path);
    return file_sink_publish(dir_fd, basename(for_name), mode, ret, err);
}

static int stream_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    (void)sink;
    (void)cancel;
    (void)err;
    return 0;
}

static void stream_abort(struct byte_sink *sink)
{
    (void)sink;
}

static void stream_free(struct byte_sink *sink)
{
    free(sink);
}

static const struct byte_sink_ops stream_ops = {
    .write = file_write, .commit = stream_commit, .abort = stream_abort, .free = stream_free};

int file_sink_to_fd(int fd, struct byte_sink **ret, struct error *err)
{
    struct file_sink *file = calloc(1, sizeof *file);

    if (file == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    file->sink.ops = &stream_ops;
    file->fd = fd;
    file->dir_fd = -1;
    *ret = &file->sink;
    return 0;
}

int file_publish(int dir_fd, const char *name, mode_t mode, const void *bytes, size_t size,
                 struct error *err)
{
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;

    if (file_sink_publish(dir_fd, name, mode, &sink, err) < 0 ||
        byte_sink_write(sink, bytes, size, NULL, err) < 0)
        return -1;
    return byte_sink_commit(sink, NULL, err);
}
