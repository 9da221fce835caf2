/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/mount.h"

#include "base/clock.h"
#include "base/log.h"
#include "fuse/device_io.h"
#include "fuse/filesystem.h"
#include "fuse/receive_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUBTYPE "glancefs"
#define FUSE_DEVICE "/dev/fuse"
/* Room for a line of the mount table: a path of PATH_MAX whose every byte is escaped, and more. */
#define MOUNT_LINE_BYTES (5 * (size_t)PATH_MAX)
/* How often a draining mount looks whether its last file was closed. */
#define DRAIN_POLL_MILLISECONDS 50
/* How often stagings that nobody wants any more are looked for. */
#define SWEEP_MILLISECONDS 5000

struct mount {
    struct request_buffers *buffers;
    struct filesystem *filesystem;
    struct fuse_session *session;
    bool is_mounted;
    struct receive_loop *loop;
    int signal_fd; /* readable when we were told to end */
    int ended_fd;  /* readable when a receive thread found the mount gone */
};

/* --- start --- */

/* Asking the mount itself would not tell a dead one, whose attributes the kernel may remember. */
static bool is_mounted_already(const char *path)
{
    CLEANUP(memory_free) char *resolved = realpath(path, NULL);
    CLEANUP(memory_free) char *line = malloc(MOUNT_LINE_BYTES);
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    struct mntent entry;
    bool result = false;

    if (resolved != NULL && line != NULL && mounts != NULL)
        while (!result && getmntent_r(mounts, &entry, line, MOUNT_LINE_BYTES) != NULL)
            result = strcmp(entry.mnt_type, "fuse." SUBTYPE) == 0 &&
                     strcmp(entry.mnt_dir, resolved) == 0;
    if (mounts != NULL)
        (void)endmntent(mounts);
    return result;
}

static int check_mount_point(const char *path, struct error *err)
{
    struct stat attributes;

    if (is_mounted_already(path))
        return error_set(err, ERROR_EXISTS,
                         "mount point %s: already mounted; fusermount3 -uz %s first", path, path);
    if (stat(path, &attributes) < 0)
        return error_set_errno(err, errno, "mount point %s", path);
    if (!S_ISDIR(attributes.st_mode))
        return error_set_errno(err, ENOTDIR, "mount point %s", path);
    return 0;
}

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

/* The options of every mount, and those that the configuration asks for. */
static int add_options(struct fuse_args *arguments, const struct config *config)
{
    char *options = NULL;
    int result = -1;

    if (fuse_opt_add_opt(&options, "subtype=" SUBTYPE ",default_permissions,nosuid,nodev,noexec") ==
            0 &&
        (!config->allow_other || fuse_opt_add_opt(&options, "allow_other") == 0) &&
        (!config->read_only || fuse_opt_add_opt(&options, "ro") == 0)) {
        CLEANUP(memory_free) char *name = NULL;

        if (asprintf(&name, "fsname=%s", config->cloud) >= 0 &&
            fuse_opt_add_opt_escaped(&options, name) == 0)
            result =
                fuse_opt_add_arg(arguments, "-o") == 0 && fuse_opt_add_arg(arguments, options) == 0
                    ? 0
                    : -1;
    }
    free(options);
    return result;
}

static int new_session(struct mount *mount, const struct config *config, struct error *err)
{
    struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
    int result = 0;

    if (fuse_opt_add_arg(&arguments, "glancefs") < 0 || add_options(&arguments, config) < 0)
        result = error_set(err, ERROR_EXHAUSTED, "out of memory");
    else
        mount->session = fuse_session_new(&arguments, filesystem_operations(),
                                          sizeof *filesystem_operations(), mount->filesystem);
    fuse_opt_free_args(&arguments);
    if (result == 0 && mount->session == NULL)
        return error_set(err, ERROR_SYSTEM, "libfuse refused the mount options");
    return result;
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

/* libfuse would print a line of its own beside ours. */
static void ignore_message(enum fuse_log_level level, const char *format, va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
}

static int attach(struct mount *mount, const char *mount_point, struct error *err)
{
    /* libfuse does not hand on why it failed; this is the usual reason. */
    CLEANUP(fd_close) int device_fd = open(FUSE_DEVICE, O_RDWR | O_CLOEXEC);
    int result = 0;

    if (device_fd < 0)
        return error_set_errno(err, errno, "cannot mount on %s: " FUSE_DEVICE, mount_point);
    fuse_set_log_func(ignore_message);
    errno = 0;
    if (fuse_session_mount(mount->session, mount_point) != 0)
        result = error_set_errno(err, errno != 0 ? errno : EIO, "cannot mount on %s", mount_point);
    fuse_set_log_func(NULL);
    return result;
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

int mount_open(const struct mount_parts *parts, const char *mount_point, struct mount **ret,
               struct error *err)
{
    CLEANUP(mount_close) struct mount *mount = NULL;

    if (check_mount_point(mount_point, err) < 0)
        return -1;
    mount = calloc(1, sizeof *mount);
    if (mount == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    mount->signal_fd = -1;
    mount->ended_fd = -1;
    if (take_signals(mount, err) < 0 || new_filesystem(mount, parts, err) < 0 ||
        new_session(mount, parts->config, err) < 0 || attach(mount, mount_point, err) < 0)
        return -1;
    mount->is_mounted = true;
    warn_of_request_timeouts();
    if (device_io_install(mount->session, err) < 0 ||
        receive_loop_start(mount->session, mount->buffers, parts->config->threads, mount->ended_fd,
                           &mount->loop, err) < 0)
        return -1;
    *ret = steal(&mount);
    return 0;
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

void mount_close(struct mount *mount)
{
    if (mount == NULL)
        return;
    receive_loop_stop(mount->loop);
    filesystem_free(mount->filesystem);
    if (mount->is_mounted)
        fuse_session_unmount(mount->session);
    if (mount->session != NULL)
        fuse_session_destroy(mount->session);
    request_buffers_free(mount->buffers);
    if (mount->signal_fd >= 0)
        (void)close(mount->signal_fd);
    if (mount->ended_fd >= 0)
        (void)close(mount->ended_fd);
    free(mount);
}
