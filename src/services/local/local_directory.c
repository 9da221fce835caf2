/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_directory.h"

#include "base/file_sink.h"
#include "base/file_source.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>

#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

struct local_directory {
    const char *name;
    int root_fd;
    pthread_mutex_t mutex; /* guards fd until it is open; no other lock is taken under it */
    int fd;                /* -1 while the subdirectory is absent */
};

static int open_root(const char *path, struct error *err)
{
    int fd = open(path, DIRECTORY_FLAGS);

    if (fd < 0 && errno == ENOENT)
        return error_set(err, ERROR_NOT_FOUND, "local cloud directory %s does not exist", path);
    if (fd < 0 && errno == ENOTDIR)
        return error_set(err, ERROR_INVALID, "local cloud %s is not a directory", path);
    return fd < 0 ? error_set_errno(err, errno, "local cloud directory %s", path) : fd;
}

int local_directory_new(const char *path, const char *name, struct local_directory **ret,
                        struct error *err)
{
    CLEANUP(local_directory_free) struct local_directory *directory = calloc(1, sizeof *directory);

    if (directory == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    directory->name = name;
    directory->fd = -1;
    (void)pthread_mutex_init(&directory->mutex, NULL);
    directory->root_fd = open_root(path, err);
    if (directory->root_fd < 0)
        return -1;
    *ret = steal(&directory);
    return 0;
}

void local_directory_free(struct local_directory *directory)
{
    if (directory == NULL)
        return;
    if (directory->fd >= 0)
        (void)close(directory->fd);
    if (directory->root_fd >= 0)
        (void)close(directory->root_fd);
    (void)pthread_mutex_destroy(&directory->mutex);
    free(directory);
}

int local_directory_root(const struct local_directory *directory)
{
    return directory->root_fd;
}

static int make_directory(const struct local_directory *directory, struct error *err)
{
    if (mkdirat(directory->root_fd, directory->name, 0700) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "local cloud: %s: create", directory->name);
    if (fsync(directory->root_fd) < 0)
        return error_set_errno(err, errno, "local cloud: fsync");
    return 0;
}

static int open_locked(struct local_directory *directory, bool create, struct error *err)
{
    if (directory->fd >= 0)
        return 0;
    if (create && make_directory(directory, err) < 0)
        return -1;
    directory->fd = openat(directory->root_fd, directory->name, DIRECTORY_FLAGS | O_NOFOLLOW);
    if (directory->fd < 0)
        return error_set_errno(err, errno, "local cloud: %s", directory->name);
    return 0;
}

int local_directory_open(struct local_directory *directory, bool create, int *ret_fd,
                         struct error *err)
{
    int result;

    (void)pthread_mutex_lock(&directory->mutex);
    result = open_locked(directory, create, err);
    *ret_fd = directory->fd;
    (void)pthread_mutex_unlock(&directory->mutex);
    return result;
}

int local_directory_lock(int fd, enum local_lock lock, int *ret_fd, struct error *err)
{
    static const int operations[] = {[LOCAL_LOCK_SHARED] = LOCK_SH,
                                     [LOCAL_LOCK_EXCLUSIVE] = LOCK_EX,
                                     [LOCAL_LOCK_IF_FREE] = LOCK_EX | LOCK_NB};
    /* flock belongs to an open file description: each holder opens its own. */
    CLEANUP(fd_close) int own_fd = openat(fd, ".", DIRECTORY_FLAGS);

    if (own_fd < 0)
        return error_set_errno(err, errno, "local cloud: open for locking");
    while (flock(own_fd, operations[lock]) < 0) {
        if (errno == EWOULDBLOCK)
            return error_set(err, ERROR_BUSY, "local cloud: in use");
        if (errno != EINTR)
            return error_set_errno(err, errno, "local cloud: lock");
    }
    if (lock != LOCAL_LOCK_SHARED)
        file_sink_remove_leftovers(own_fd);
    *ret_fd = steal_fd(&own_fd);
    return 0;
}

DIR *local_directory_stream(int fd)
{
    CLEANUP(fd_close) int own_fd = openat(fd, ".", DIRECTORY_FLAGS);
    DIR *stream = own_fd < 0 ? NULL : fdopendir(own_fd);

    if (stream != NULL)
        (void)steal_fd(&own_fd);
    return stream;
}

int local_document_read(int fd, const char *name, struct json_object **ret, struct error *err)
{
    CLEANUP(memory_free) char *text = NULL;
    size_t size;

    if (file_read_all(fd, name, LIMIT_RECORD_BYTES, &text, &size, err) < 0)
        return -1;
    return json_document_parse(text, size, ret, err);
}

int local_document_write(int fd, const char *name, struct json_object *document, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *again = NULL;
    size_t size;
    const char *text = json_document_print(document, &size);

    /* What we could not read back (text that is no UTF-8, too much of it) is never written. */
    if (text == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (json_document_parse(text, size, &again, err) < 0)
        return -1;
    return file_publish(fd, name, 0600, text, size, err);
}
