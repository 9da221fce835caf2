/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/mount_device.h"

#include "fuse/mount_table.h"
#include "glancefs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUBTYPE "glancefs"
#define FUSE_DEVICE "/dev/fuse"

/* The path of the mount point without links; caller frees. NULL when nothing can be mounted there. */
static char *resolve(const char *mount_point, struct error *err)
{
    CLEANUP(memory_free) char *path = realpath(mount_point, NULL);
    struct stat attributes;
    int errnum = path != NULL ? 0 : errno;

    if (path != NULL && mount_table_find(path) != MOUNT_TABLE_NONE) {
        (void)error_set(err, ERROR_EXISTS,
                        "mount point %s: already mounted; fusermount3 -uz %s first", mount_point,
                        mount_point);
        return NULL;
    }
    if (path != NULL && stat(path, &attributes) < 0)
        errnum = errno;
    else if (path != NULL && !S_ISDIR(attributes.st_mode))
        errnum = ENOTDIR;
    if (errnum == 0)
        return steal(&path);
    (void)error_set_errno(err, errnum, "mount point %s", mount_point);
    return NULL;
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

/* A mount that cannot be told from others could not be unmounted later. */
static int take_device(struct fuse_session *session, const char *path, struct mounted_device *ret,
                       struct error *err)
{
    CLEANUP(fd_close) int fd = fcntl(fuse_session_fd(session), F_DUPFD_CLOEXEC, 0);
    const int errnum = errno;

    ret->mount_id = mount_table_find(path);
    if (fd < 0)
        return error_set_errno(err, errnum, "the FUSE device");
    if (ret->mount_id == MOUNT_TABLE_NONE)
        return error_set(err, ERROR_SYSTEM, "%s: the kernel's table of mounts lacks it", path);
    ret->fd = steal_fd(&fd);
    return 0;
}

int mount_device_mount(const struct config *config, const char *mount_point,
                       struct mounted_device *ret, struct error *err)
{
    static const struct fuse_lowlevel_ops none = {.init = NULL};
    CLEANUP(memory_free) char *path = resolve(mount_point, err);
    struct fuse_session *session;
    int result;

    if (path == NULL || mount_device_session(config, &none, sizeof none, NULL, &session, err) < 0)
        return -1;
    result = attach(session, path, err);
    if (result == 0) {
        result = take_device(session, path, ret, err);
        if (result < 0)
            fuse_session_unmount(session);
    }
    fuse_session_destroy(session); /* closes its device, and leaves the mount */
    return result;
}

static int run_fusermount(const char *path)
{
    int status = -1;
    const pid_t child = fork();

    if (child == 0) {
        (void)execlp("fusermount3", "fusermount3", "-u", "-z", "-q", "--", path, (char *)NULL);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return status == 0 ? 0 : -1;
}

int mount_device_unmount(int mount_id, struct error *err)
{
    CLEANUP(memory_free) char *path = NULL;
    int errnum;

    if (mount_table_locate(mount_id, &path, err) < 0)
        return -1;
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        return 0;
    errnum = errno;
    return run_fusermount(path) == 0 ? 0 : error_set_errno(err, errnum, "%s", path);
}
