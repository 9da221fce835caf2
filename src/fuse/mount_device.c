/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/mount_device.h"

#include "glancefs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUBTYPE "glancefs"
#define FUSE_DEVICE "/dev/fuse"
/* Room for a line of the mount table: a path of PATH_MAX whose every byte is escaped, and more. */
#define MOUNT_LINE_BYTES (5 * (size_t)PATH_MAX)

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

int mount_device_session(const struct config *config, const struct fuse_lowlevel_ops *operations,
                         size_t operations_size, void *userdata, struct fuse_session **ret,
                         struct error *err)
{
    struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
    int result = 0;

    *ret = NULL;
    if (fuse_opt_add_arg(&arguments, "glancefs") < 0 || add_options(&arguments, config) < 0)
        result = error_set(err, ERROR_EXHAUSTED, "out of memory");
    else
        *ret = fuse_session_new(&arguments, operations, operations_size, userdata);
    fuse_opt_free_args(&arguments);
    if (result == 0 && *ret == NULL)
        return error_set(err, ERROR_SYSTEM, "libfuse refused the mount options");
    return result;
}

/* libfuse would print a line of its own beside ours. */
static void ignore_message(enum fuse_log_level level, const char *format, va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
}

static int attach(struct fuse_session *session, const char *mount_point, struct error *err)
{
    /* libfuse does not hand on why it failed; this is the usual reason. */
    CLEANUP(fd_close) int device_fd = open(FUSE_DEVICE, O_RDWR | O_CLOEXEC);
    int result = 0;

    if (device_fd < 0)
        return error_set_errno(err, errno, "cannot mount on %s: " FUSE_DEVICE, mount_point);
    fuse_set_log_func(ignore_message);
    errno = 0;
    if (fuse_session_mount(session, mount_point) != 0)
        result = error_set_errno(err, errno != 0 ? errno : EIO, "cannot mount on %s", mount_point);
    fuse_set_log_func(NULL);
    return result;
}

int mount_device_mount(const struct config *config, const char *mount_point, int *ret_fd,
                       struct error *err)
{
    static const struct fuse_lowlevel_ops none = {.init = NULL};
    struct fuse_session *session;
    int result;

    if (check_mount_point(mount_point, err) < 0 ||
        mount_device_session(config, &none, sizeof none, NULL, &session, err) < 0)
        return -1;
    result = attach(session, mount_point, err);
    if (result == 0) {
        *ret_fd = fcntl(fuse_session_fd(session), F_DUPFD_CLOEXEC, 0);
        if (*ret_fd < 0)
            result = error_set_errno(err, errno, "the FUSE device");
        if (*ret_fd < 0)
            fuse_session_unmount(session);
    }
    fuse_session_destroy(session); /* closes its device, and leaves the mount */
    return result;
}

void mount_device_unmount(const char *mount_point)
{
    pid_t child;

    if (umount2(mount_point, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        return;
    child = fork();
    if (child == 0) {
        (void)execlp("fusermount3", "fusermount3", "-u", "-z", "-q", "--", mount_point,
                     (char *)NULL);
        _exit(127);
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
}
