/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/mount.h"

#include "base/clock.h"
#include "base/log.h"
#include "fuse/device_io.h"
#include "fuse/filesystem.h"
#include "fuse/given_device.h"
#include "fuse/mount_device.h"
#include "fuse/receive_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* How often a draining mount looks whether its last file was closed. */
#define DRAIN_POLL_MILLISECONDS 50
/* How often stagings that nobody wants any more are looked for. */
#define SWEEP_MILLISECONDS 5000

struct mount {
    struct request_buffers *buffers;
    struct filesystem *filesystem;
    struct fuse_session *session;
    bool is_attached; /* the session has the device */
    unsigned threads;
    struct receive_loop *loop;
    int signal_fd; /* readable when we were told to end */
    int ended_fd;  /* readable when a receive thread found the mount gone */
};

/* --- start --- */

/*
 * An open waits for a whole download. Where the kernel was told to limit requests it would abort
 * the whole mount.
 */
static void warn_of_request_timeouts(void)
{
    static const char *const paths[] = {"/proc/sys/fs/fuse/default_request_timeout",
                                        "/proc/sys/fs/fuse/max_request_timeout"};

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        CLEANUP(fd_close) int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
        char text[16] = "";

        if (fd >= 0 && read(fd, text, sizeof text - 1) > 0 && strtol(text, NULL, 10) > 0)
            log_warning("%s limits requests to %ld s: an open that downloads longer will end the "
                        "mount",
                        paths[i], strtol(text, NULL, 10));
    }
}

/* Signals come to one descriptor, so that no handler interrupts anything. */
static int take_signals(struct mount *mount, struct error *err)
{
    sigset_t signals;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    mount->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    mount->ended_fd = eventfd(0, EFD_CLOEXEC);
    if (mount->signal_fd < 0 || mount->ended_fd < 0)
        return error_set_errno(err, errno, "signalfd");
    (void)sigaddset(&signals, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return 0;
}

static int new_filesystem(struct mount *mount, const struct mount_parts *parts, struct error *err)
{
    if (request_buffers_new(parts->arena, &mount->buffers, err) < 0)
        return -1;
    const struct filesystem_parts filesystem = {.config = parts->config,
                                                .index = parts->index,
                                                .writes = parts->writes,
                                                .buffers = mount->buffers};

    return filesystem_new(&filesystem, &mount->filesystem, err);
}

int mount_open(const struct mount_parts *parts, struct mount **ret, struct error *err)
{
    CLEANUP(mount_close) struct mount *mount = calloc(1, sizeof *mount);

    if (mount == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    mount->signal_fd = -1;
    mount->ended_fd = -1;
    mount->threads = parts->config->threads;
    if (take_signals(mount, err) < 0 || new_filesystem(mount, parts, err) < 0 ||
        mount_device_session(parts->config, filesystem_operations(),
                             sizeof *filesystem_operations(), mount->filesystem, &mount->session,
                             err) < 0)
        return -1;
    *ret = steal(&mount);
    return 0;
}

int mount_attach(struct mount *mount, int device_fd, struct error *err)
{
    CLEANUP(fd_close) int device = device_fd;
    char path[sizeof "/dev/fd/2147483647"];

    /* So libfuse lets a device come from outside. */
    (void)snprintf(path, sizeof path, "/dev/fd/%d", device);
    if (fuse_session_mount(mount->session, path) != 0)
        return error_set(err, ERROR_SYSTEM, "libfuse refused the device");
    (void)steal_fd(&device);
    mount->is_attached = true;
    warn_of_request_timeouts();
    return device_io_install(mount->session, err);
}

int mount_start(struct mount *mount, struct error *err)
{
    return receive_loop_start(mount->session, mount->buffers, mount->threads, mount->ended_fd,
                              &mount->loop, err);
}

/* --- end --- */

enum event { EVENT_NONE, EVENT_SIGNAL, EVENT_ENDED };

/* The next thing that happens within `timeout_ms`, or ever when it is -1. */
static enum event wait_for_event(const struct mount *mount, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = mount->ended_fd, .events = POLLIN},
                           {.fd = mount->signal_fd, .events = POLLIN}};
    struct signalfd_siginfo received;

    if (poll(fds, 2, timeout_ms) <= 0)
        return EVENT_NONE;
    if (fds[0].revents != 0)
        return EVENT_ENDED;
    if (read(mount->signal_fd, &received, sizeof received) < 0)
        return EVENT_NONE;
    return EVENT_SIGNAL;
}

/* Files that are open, and seals that somebody waits for. */
static unsigned work_under_way(struct mount *mount)
{
    return open_handles_streams(&mount->filesystem->handles) +
           atomic_load(&mount->filesystem->seals);
}

/* Lets open images be read to their end, and files be written and sealed, for a while. */
static void drain(struct mount *mount)
{
    const uint64_t deadline_ns =
        clock_monotonic_ns() + MOUNT_DRAIN_SECONDS * NANOSECONDS_PER_SECOND;

    atomic_store(&mount->filesystem->refuses_opens, true);
    if (work_under_way(mount) > 0)
        log_info("told to end: waiting for %u open files and seals", work_under_way(mount));
    while (work_under_way(mount) > 0 && clock_monotonic_ns() < deadline_ns &&
           wait_for_event(mount, DRAIN_POLL_MILLISECONDS) == EVENT_NONE)
        ;
}

void mount_wait(struct mount *mount)
{
    enum event event;

    while ((event = wait_for_event(mount, SWEEP_MILLISECONDS)) == EVENT_NONE)
        write_index_sweep(mount->filesystem->writes, clock_monotonic_ns());
    if (event == EVENT_SIGNAL)
        drain(mount);
}

bool mount_is_gone(const struct mount *mount)
{
    return mount->is_attached && !given_device_is_attached(fuse_session_fd(mount->session));
}

void mount_close(struct mount *mount)
{
    if (mount == NULL)
        return;
    receive_loop_stop(mount->loop);
    filesystem_free(mount->filesystem);
    if (mount->session != NULL)
        fuse_session_destroy(mount->session);
    request_buffers_free(mount->buffers);
    if (mount->signal_fd >= 0)
        (void)close(mount->signal_fd);
    if (mount->ended_fd >= 0)
        (void)close(mount->ended_fd);
    free(mount);
}
