/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/mount_privileges.h"

#include "base/log.h"
#include "base/process.h"
#include "fuse/given_device.h"
#include "fuse/mount_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- access to a mount --- */

struct mount_access {
    const struct mount_options *options;
    struct mount_keeper *keeper; /* NULL: somebody else mounts */
    int given_fd;                /* -1: none */
};

static bool is_socket(const char *path)
{
    struct stat attributes;

    return stat(path, &attributes) == 0 && S_ISSOCK(attributes.st_mode);
}

int mount_access_new(const struct mount_options *options, struct mount_access **ret,
                     struct error *err)
{
    CLEANUP(mount_access_free) struct mount_access *access = calloc(1, sizeof *access);

    if (access == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    access->options = options;
    access->given_fd = -1;
    if (options->given_fd >= 0) {
        if (given_device_take(options->given_fd, err) < 0)
            return -1;
        access->given_fd = options->given_fd;
    } else if (!is_socket(options->mount_point) &&
               mount_keeper_start(options->config, options->mount_point, &access->keeper, err) < 0)
        return -1;
    *ret = steal(&access);
    return 0;
}

int mount_access_get_device(struct mount_access *access, int *ret_fd, struct error *err)
{
    if (access->given_fd >= 0) {
        *ret_fd = steal_fd(&access->given_fd);
        return 0;
    }
    if (access->keeper == NULL)
        return mount_keeper_ask(access->options->mount_point, ret_fd, err);
    return mount_keeper_mount(access->keeper, ret_fd, err);
}

void mount_access_unmount(struct mount_access *access)
{
    struct error err = ERROR_INIT;

    if (access != NULL && access->keeper != NULL && mount_keeper_unmount(access->keeper, &err) < 0)
        log_warning("%s; the dead mount stays on %s", err.message, access->options->mount_point);
}

void mount_access_free(struct mount_access *access)
{
    if (access == NULL)
        return;
    mount_keeper_free(access->keeper);
    if (access->given_fd >= 0)
        (void)close(access->given_fd);
    free(access);
}

/* --- the user --- */

/* Only they will be able to use it; one that is there already is left as it is. Where others may
 * rename what is in the directory above, no file of root's becomes theirs. */
static int make_cache(const char *path, const struct process_user *user, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;
    struct stat attributes;

    if (mkdir(path, S_IRWXU) < 0)
        return errno == EEXIST ? 0 : error_set_errno(err, errno, "cache %s", path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &attributes) < 0)
        return error_set_errno(err, errno, "cache %s", path);
    if (attributes.st_uid != geteuid() || (attributes.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return error_set(err, ERROR_DENIED, "cache %s: somebody else has put it there", path);
    return fchown(fd, user->uid, user->gid) == 0 ? 0
                                                 : error_set_errno(err, errno, "cache %s", path);
}

int mount_privileges_become(const struct config *config, struct error *err)
{
    const char *name = config->setuid != NULL || !config->drops_privileges ? config->setuid
                                                                           : MOUNT_PRIVILEGES_USER;
    CLEANUP(process_user_free) struct process_user *user = NULL;

    if (name == NULL || (config->setuid == NULL && geteuid() != 0))
        return 0;
    if (process_user_find(name, &user, err) < 0)
        return error_prefix(err,
                            config->setuid != NULL ? "setuid" : "drop_privileges without setuid");
    if (geteuid() == 0 && make_cache(config->cache, user, err) < 0)
        return -1;
    return process_become(user, err);
}
