/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/device_io.h"

#include "fuse/filesystem.h"

#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

static ssize_t read_request(int fd, void *buffer, size_t size, void *userdata)
{
    (void)userdata;
    return read(fd, buffer, size);
}

static ssize_t write_reply(int fd, struct iovec *pieces, int count, void *userdata)
{
    struct filesystem *filesystem = userdata;

    /* FUSE_INIT is alone on its way, and its answer is a header and one structure. */
    if (atomic_load(&filesystem->wants_parallel_lookups) && count == 2 &&
        atomic_exchange(&filesystem->wants_parallel_lookups, false) &&
        pieces[1].iov_len >= sizeof(struct fuse_init_out))
        ((struct fuse_init_out *)pieces[1].iov_base)->flags |= FUSE_PARALLEL_DIROPS;
    return writev(fd, pieces, count);
}

int device_io_install(struct fuse_session *session, struct error *err)
{
    static const struct fuse_custom_io io = {.read = read_request, .writev = write_reply};
    const int result = fuse_session_custom_io(session, &io, fuse_session_fd(session));

    return result == 0 ? 0 : error_set_errno(err, -result, "libfuse");
}
