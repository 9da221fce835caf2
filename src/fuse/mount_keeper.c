/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/mount_keeper.h"

#include "base/process.h"
#include "fuse/mount_device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESS_NAME "glancefs-mount"

/* What the daemon asks for; the answer is a struct error, and with it the device. */
enum order { ORDER_MOUNT = 'm', ORDER_UNMOUNT = 'u' };

struct mount_keeper {
    int socket;
    pid_t process;
    bool has_mounted;
};

/* Room for one descriptor beside a message, aligned as the kernel wants it. */
union descriptor_room {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* --- messages --- */

/* The answer; `fd` goes with it unless it is -1. */
static void send_answer(int socket, const struct error *answer, int fd)
{
    union descriptor_room room = {.bytes = {0}};
    struct iovec text = {.iov_base = (void *)(uintptr_t)answer, .iov_len = sizeof *answer};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};

    if (fd >= 0) {
        message.msg_control = room.bytes;
        message.msg_controllen = sizeof room.bytes;
        room.header.cmsg_level = SOL_SOCKET;
        room.header.cmsg_type = SCM_RIGHTS;
        room.header.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&room.header), &fd, sizeof fd);
    }
    /* A daemon that is gone needs no answer. */
    (void)!sendmsg(socket, &message, MSG_NOSIGNAL);
}

static int receive_answer(int socket, int *ret_fd, struct error *err)
{
    union descriptor_room room = {.bytes = {0}};
    struct error answer = ERROR_INIT;
    struct iovec text = {.iov_base = &answer, .iov_len = sizeof answer};
    struct msghdr message = {.msg_iov = &text,
                             .msg_iovlen = 1,
                             .msg_control = room.bytes,
                             .msg_controllen = sizeof room.bytes};
    ssize_t size;

    do
        size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size != (ssize_t)sizeof answer)
        return error_set(err, ERROR_SYSTEM, "cannot mount: who mounts has ended");
    if (message.msg_controllen >= CMSG_LEN(sizeof *ret_fd) &&
        room.header.cmsg_level == SOL_SOCKET && room.header.cmsg_type == SCM_RIGHTS)
        memcpy(ret_fd, CMSG_DATA(&room.header), sizeof *ret_fd);
    answer.message[sizeof answer.message - 1] = '\0';
    *err = answer;
    return error_is_set(&answer) ? -1 : 0;
}

/* Asks, and takes the answer; *ret_fd stays -1 when no descriptor came. */
static int order(int socket, enum order what, int *ret_fd, struct error *err)
{
    const char byte = (char)what;

    *ret_fd = -1;
    if (send(socket, &byte, 1, MSG_NOSIGNAL) != 1)
        return error_set_errno(err, errno, "cannot mount: who mounts does not answer");
    return receive_answer(socket, ret_fd, err);
}

static int order_device(int socket, int *ret_fd, struct error *err)
{
    if (order(socket, ORDER_MOUNT, ret_fd, err) < 0)
        return -1;
    return *ret_fd >= 0 ? 0 : error_set(err, ERROR_SYSTEM, "cannot mount: no device came");
}

/* --- the keeper's side --- */

/* Once it has mounted, it will only unmount. */
static void mount_and_answer(int socket, const struct config *config, const char *mount_point)
{
    CLEANUP(fd_close) int fd = -1;
    struct error answer = ERROR_INIT;
    struct error ignored = ERROR_INIT;

    if (mount_device_mount(config, mount_point, &fd, &answer) < 0)
        fd = -1;
    (void)process_keep_unmounting(&ignored);
    send_answer(socket, &answer, fd);
}

/* The terminal, and whoever reads our output, must not wait for us. */
static void leave_output(int first, int last)
{
    const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = first; null_fd >= 0 && fd <= last; fd++)
        (void)dup2(null_fd, fd);
    if (null_fd > last)
        (void)close(null_fd);
}

/* Only the end of the daemon ends the keeper: else nobody would unmount. */
static void settle(int socket)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        (void)sigaction(ignored[i], &ignore, NULL);
    (void)setsid();
    (void)!chdir("/");
    (void)prctl(PR_SET_NAME, PROCESS_NAME);
    if (socket > STDERR_FILENO + 1)
        (void)close_range(STDERR_FILENO + 1, (unsigned)socket - 1, 0);
    (void)close_range((unsigned)socket + 1, UINT_MAX, 0);
    leave_output(STDIN_FILENO, STDOUT_FILENO);
}

static void keep(int socket, const struct config *config, const char *mount_point)
{
    const struct error done = ERROR_INIT;
    char byte;

    settle(socket);
    while (recv(socket, &byte, 1, 0) == 1) {
        if (byte == ORDER_MOUNT) {
            mount_and_answer(socket, config, mount_point);
            /* fusermount3 says there what it has against the mount, the log goes on without us. */
            leave_output(STDERR_FILENO, STDERR_FILENO);
        } else {
            mount_device_unmount(mount_point);
            send_answer(socket, &done, -1);
        }
    }
}

/* --- the daemon's side --- */

/* Away from the standard descriptors, which both sides give up later: one that was closed when we
 * started is free to be taken. */
static int move_up(int fd)
{
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    (void)close(fd);
    return moved;
}

int mount_keeper_start(struct config *config, const char *mount_point, struct mount_keeper **ret,
                       struct error *err)
{
    CLEANUP(mount_keeper_free) struct mount_keeper *keeper = calloc(1, sizeof *keeper);
    int ends[2];

    if (keeper == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    keeper->socket = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_set_errno(err, errno, "socketpair");
    CLEANUP(fd_close) int other_end = move_up(ends[1]);
    keeper->socket = move_up(ends[0]);
    if (other_end < 0 || keeper->socket < 0)
        return error_set_errno(err, errno, "socketpair");
    keeper->process = fork();
    if (keeper->process < 0)
        return error_set_errno(err, errno, "fork");
    if (keeper->process == 0) {
        config_wipe_secrets(config);
        keep(other_end, config, mount_point);
        _exit(0);
    }
    *ret = steal(&keeper);
    return 0;
}

int mount_keeper_mount(struct mount_keeper *keeper, int *ret_fd, struct error *err)
{
    if (order_device(keeper->socket, ret_fd, err) < 0)
        return -1;
    keeper->has_mounted = true;
    return 0;
}

void mount_keeper_unmount(struct mount_keeper *keeper)
{
    struct error ignored = ERROR_INIT;
    int unused;

    if (keeper->has_mounted)
        (void)order(keeper->socket, ORDER_UNMOUNT, &unused, &ignored);
    keeper->has_mounted = false;
}

void mount_keeper_free(struct mount_keeper *keeper)
{
    if (keeper == NULL)
        return;
    if (keeper->socket >= 0)
        (void)close(keeper->socket);
    while (keeper->process > 0 && waitpid(keeper->process, NULL, 0) < 0 && errno == EINTR)
        continue;
    free(keeper);
}

/* --- over a socket with a name --- */

int mount_keeper_ask(const char *path, int *ret_fd, struct error *err)
{
    CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, ERROR_INVALID, "socket %s: the path is too long", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return error_set_errno(err, errno, "socket %s", path);
    return order_device(fd, ret_fd, err);
}

int mount_keeper_serve(int listener, const struct config *config, const char *mount_point,
                       struct error *err)
{
    CLEANUP(fd_close) int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CLEANUP(fd_close) int device = -1;
    char byte;

    if (fd < 0 || recv(fd, &byte, 1, 0) != 1)
        return error_set_errno(err, errno, "the socket");
    if (mount_device_mount(config, mount_point, &device, err) < 0)
        device = -1;
    send_answer(fd, err, device);
    return device >= 0 ? 0 : -1;
}
