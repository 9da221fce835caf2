/* SPDX-License-Identifier: Apache-2.0 */
/* The device of a mount that somebody else made, handed to us as /dev/fd/N or over a socket. */
#ifndef FUSE_GIVEN_DEVICE_H
#define FUSE_GIVEN_DEVICE_H

#include "glancefs/error.h"

#include <stdbool.h>

/** Whether `path` is /dev/fd/N; *ret_fd is N then, as it was given to us. */
bool given_device_is_named(const char *path, int *ret_fd);

/** ERROR_INVALID unless the kernel's FUSE is at the other end of `fd`, with a mount. */
int given_device_check(int fd, struct error *err);

/** Takes a given device that given_device_check finds sound, closing it on exec. */
int given_device_take(int fd, struct error *err);

/** Whether the kernel is still at the other end. */
bool given_device_is_attached(int fd);

#endif
