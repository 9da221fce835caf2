/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/given_device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define GIVEN_PREFIX "/dev/fd/"
/* The number of /dev/fuse, as the kernel's list of devices has it. */
#define FUSE_MAJOR 10
#define FUSE_MINOR 229

bool given_device_is_named(const char *path, int *ret_fd)
{
    const char *number = path + strlen(GIVEN_PREFIX);
    char *end;
    long fd;

    if (strncmp(path, GIVEN_PREFIX, strlen(GIVEN_PREFIX)) != 0 || *number < '0' || *number > '9')
        return false;
    errno = 0;
    fd = strtol(number, &end, 10);
    if (errno != 0 || *end != '\0' || fd > INT_MAX)
        return false;
    *ret_fd = (int)fd;
    return true;
}

int given_device_check(int fd, struct error *err)
{
    struct stat attributes;

    if (fstat(fd, &attributes) < 0)
        return error_set_errno(err, errno, "descriptor %d", fd);
    if (!S_ISCHR(attributes.st_mode) || attributes.st_rdev != makedev(FUSE_MAJOR, FUSE_MINOR))
        return error_set(err, ERROR_INVALID, "descriptor %d is not /dev/fuse", fd);
    if (!given_device_is_attached(fd))
        return error_set(err, ERROR_INVALID, "descriptor %d: nothing is mounted with it", fd);
    return 0;
}

int given_device_take(int fd, struct error *err)
{
    if (given_device_check(fd, err) < 0)
        return -1;
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? 0
                                               : error_set_errno(err, errno, "descriptor %d", fd);
}

bool given_device_is_attached(int fd)
{
    struct pollfd polled = {.fd = fd};

    return poll(&polled, 1, 0) == 0 || (polled.revents & (POLLERR | POLLNVAL)) == 0;
}
