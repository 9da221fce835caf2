/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/mount_keeper.h"

#include "base/process.h"
#include "fuse/given_device.h"
#include "fuse/mount_device.h"
#include "fuse/mount_table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESS_NAME "glancefs-mount"
/* More than glancefs-mount@.service may take. */
#define ANSWER_MILLISECONDS 40000

/* What the daemon asks for; the answer is a struct error, and with it the device. */
enum order { ORDER_MOUNT = 'm', ORDER_UNMOUNT = 'u' };

struct mount_keeper {
    int socket;
    pid_t process;
    bool has_mounted;
};

/* The keeper's side of it. */
struct keeping {
    int socket;
    const struct config *config;
    const char *mount_point;
    int mount_id;
};

/* Room for one descriptor beside a message, aligned as the kernel wants it. */
union descriptor_room {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* --- messages --- */

/* The answer; `fd` goes with it unless it is -1. Fails when nobody is there to get it. */
static int send_answer(int socket, const struct error *answer, int fd)
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
    return sendmsg(socket, &message, MSG_NOSIGNAL) >= 0 ? 0 : -1;
}

/* Waits for the answer: whoever mounts may hang, and signals do not end us meanwhile. */
static int await(int socket, struct error *err)
{
    struct pollfd polled = {.fd = socket, .events = POLLIN};
    int result;

    do
        result = poll(&polled, 1, ANSWER_MILLISECONDS);
    while (result < 0 && errno == EINTR);
    return result > 0 ? 0 : error_set(err, ERROR_TIMEOUT, "who mounts does not answer");
}

/* *ret_fd is the caller's in any case; -1 when no descriptor came. */
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

    *ret_fd = -1;
    if (await(socket, err) < 0)
        return -1;
    size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (size >= 0 && message.msg_controllen >= CMSG_LEN(sizeof *ret_fd) &&
        room.header.cmsg_level == SOL_SOCKET && room.header.cmsg_type == SCM_RIGHTS)
        memcpy(ret_fd, CMSG_DATA(&room.header), sizeof *ret_fd);
    if (size != (ssize_t)sizeof answer)
        return error_set(err, ERROR_SYSTEM, "who mounts has ended");
    answer.message[sizeof answer.message - 1] = '\0';
    *err = answer;
    return error_is_set(&answer) ? -1 : 0;
}

/* Asks, and takes the answer, as receive_answer. */
static int order(int socket, enum order what, int *ret_fd, struct error *err)
{
    const char byte = (char)what;

    *ret_fd = -1;
    if (send(socket, &byte, 1, MSG_NOSIGNAL) != 1)
        return error_set_errno(err, errno, "who mounts does not answer");
    return receive_answer(socket, ret_fd, err);
}

/* Whatever came is looked at: behind any other descriptor somebody could play the kernel. */
static int order_device(int socket, int *ret_fd, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;

    if (order(socket, ORDER_MOUNT, &fd, err) < 0)
        return -1;
    if (fd < 0)
        return error_set(err, ERROR_SYSTEM, "cannot mount: no device came");
    if (given_device_check(fd, err) < 0)
        return error_prefix(err, "cannot mount: what came from who mounts");
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* --- the keeper's side --- */

/* Nobody will serve a mount whose daemon did not live to learn of it; nobody has used it either. */
static void mount_and_answer(struct keeping *keeping)
{
    struct mounted_device device = {.fd = -1, .mount_id = MOUNT_TABLE_NONE};
    struct error answer = ERROR_INIT;
    struct error ignored = ERROR_INIT;

    if (mount_device_mount(keeping->config, keeping->mount_point, &device, &answer) == 0)
        keeping->mount_id = device.mount_id;
    (void)process_keep_unmounting(&ignored);
    if (send_answer(keeping->socket, &answer, device.fd) < 0 && device.fd >= 0)
        (void)mount_device_unmount(device.mount_id, &ignored);
    if (device.fd >= 0)
        (void)close(device.fd);
}

static void unmount_and_answer(struct keeping *keeping)
{
    struct error answer = ERROR_INIT;

    (void)mount_device_unmount(keeping->mount_id, &answer);
    (void)send_answer(keeping->socket, &answer, -1);
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

/* One mount and its end: a daemon that was taken over gets no other out of us. */
static void keep(struct keeping *keeping)
{
    char byte;

    settle(keeping->socket);
    if (recv(keeping->socket, &byte, 1, 0) != 1)
        return;
    mount_and_answer(keeping);
    /* fusermount3 says there what it has against the mount, the log goes on without us. */
    leave_output(STDERR_FILENO, STDERR_FILENO);
    if (recv(keeping->socket, &byte, 1, 0) == 1)
        unmount_and_answer(keeping);
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
        struct keeping keeping = {.socket = other_end,
                                  .config = config,
                                  .mount_point = mount_point,
                                  .mount_id = MOUNT_TABLE_NONE};

        /* By name, for want of close_range: the end of the daemon would not be seen. */
        (void)close(keeper->socket);
        config_wipe_secrets(config);
        keep(&keeping);
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

int mount_keeper_unmount(struct mount_keeper *keeper, struct error *err)
{
    CLEANUP(fd_close) int unused = -1;

    if (!keeper->has_mounted)
        return 0;
    keeper->has_mounted = false;
    if (order(keeper->socket, ORDER_UNMOUNT, &unused, err) == 0 || err->kind == ERROR_NOT_FOUND)
        return 0;
    return error_prefix(err, "cannot unmount");
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
    struct mounted_device device = {.fd = -1};
    int result;
    char byte;

    if (fd < 0)
        return error_set_errno(err, errno, "the socket");
    if (recv(fd, &byte, 1, 0) != 1 || byte != ORDER_MOUNT)
        return error_set(err, ERROR_INVALID, "the socket: nobody asked for a mount");
    result = mount_device_mount(config, mount_point, &device, err);
    (void)send_answer(fd, err, device.fd);
    if (device.fd >= 0)
        (void)close(device.fd);
    return result;
}
