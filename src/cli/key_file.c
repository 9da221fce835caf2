/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/key_file.h"

#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Room for one byte too many shows when there is more than the limit. */
static int fill(int fd, struct secure_buffer *key, struct error *err)
{
    const size_t capacity = secure_buffer_capacity(key);
    ssize_t result = -1;
    size_t size = 0;

    secure_buffer_set_size(key, capacity);
    while (size < capacity && result != 0) {
        result = read(fd, secure_buffer_data(key) + size, capacity - size);
        if (result < 0 && errno != EINTR)
            return error_set_errno(err, errno, "read");
        size += result > 0 ? (size_t)result : 0;
    }
    secure_buffer_set_size(key, size);
    if (size == 0)
        return error_set(err, ERROR_KEY_REJECTED, "is empty");
    if (size > LIMIT_SECRET_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "is over %zu bytes", LIMIT_SECRET_BYTES);
    return 0;
}

int key_file_read(const char *path, struct secure_arena *arena, struct secure_buffer **ret,
                  struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *key = NULL;
    CLEANUP(fd_close) int fd = -1;

    fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_set_errno(err, errno, "%s", path);
    if (secure_buffer_new(arena, LIMIT_SECRET_BYTES + 1, &key, err) < 0)
        return -1;
    if (fill(fd, key, err) < 0)
        return error_prefix(err, "%s", path);
    *ret = steal(&key);
    return 0;
}
