/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/descriptor_message.h"

#include "glancefs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/* Room for descriptors beside a message, aligned as the kernel wants it. */
union descriptor_room {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(DESCRIPTOR_MESSAGE_MAXIMUM * sizeof(int))];
};

/* A standard descriptor that was closed when we started is free to be taken, and given up later. */
static int move_up(int fd)
{
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    (void)close(fd);
    return moved;
}

int descriptor_message_pair(int ret[2], struct error *err)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_set_errno(err, errno, "socketpair");
    CLEANUP(fd_close) int first = move_up(ends[0]);
    CLEANUP(fd_close) int second = move_up(ends[1]);
    if (first < 0 || second < 0)
        return error_set_errno(err, errno, "socketpair");
    ret[0] = steal_fd(&first);
    ret[1] = steal_fd(&second);
    return 0;
}

int descriptor_message_send(int socket, const void *bytes, size_t size, const int *fds,
                            size_t count, struct error *err)
{
    union descriptor_room room = {.bytes = {0}};
    struct iovec text = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    ssize_t sent;

    if (count > 0) {
        message.msg_control = room.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof *fds);
        room.header.cmsg_level = SOL_SOCKET;
        room.header.cmsg_type = SCM_RIGHTS;
        room.header.cmsg_len = CMSG_LEN(count * sizeof *fds);
        memcpy(CMSG_DATA(&room.header), fds, count * sizeof *fds);
    }
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)size ? 0 : error_set_errno(err, errno, "sendmsg");
}

/* How many descriptors came, which are put into `fds`. */
static size_t take_descriptors(const struct msghdr *message, const union descriptor_room *room,
                               int fds[DESCRIPTOR_MESSAGE_MAXIMUM])
{
    size_t size;

    if (message->msg_controllen < CMSG_LEN(0) || room->header.cmsg_level != SOL_SOCKET ||
        room->header.cmsg_type != SCM_RIGHTS)
        return 0;
    size = room->header.cmsg_len - CMSG_LEN(0);
    memcpy(fds, CMSG_DATA(&room->header), size);
    return size / sizeof *fds;
}

static void hand_out(int *from, size_t came, int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fds[i] = came == count ? from[i] : -1;
    for (size_t i = 0; came != count && i < came; i++)
        (void)close(from[i]);
}

int descriptor_message_receive(int socket, void *buffer, size_t capacity, size_t *ret_size,
                               int *fds, size_t count, struct error *err)
{
    union descriptor_room room = {.bytes = {0}};
    struct iovec text = {.iov_base = buffer, .iov_len = capacity};
    struct msghdr message = {.msg_iov = &text,
                             .msg_iovlen = 1,
                             .msg_control = room.bytes,
                             .msg_controllen = sizeof room.bytes};
    int came_fds[DESCRIPTOR_MESSAGE_MAXIMUM];
    size_t came;
    ssize_t size;

    do
        size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size < 0)
        return error_set_errno(err, errno, "recvmsg");
    came = take_descriptors(&message, &room, came_fds);
    hand_out(came_fds, came, fds, count);
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || (came != 0 && came != count)) {
        for (size_t i = 0; came == count && i < count; i++) {
            (void)close(fds[i]);
            fds[i] = -1;
        }
        return error_set(err, ERROR_CORRUPT, "a message between processes is not what it must be");
    }
    *ret_size = (size_t)size;
    return 0;
}
