/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How libfuse talks to /dev/fuse: plain read and writev, but for one thing. libfuse 3.14.0 forgets
 * to pass FUSE_PARALLEL_DIROPS on when it answers FUSE_INIT. Without it the kernel makes one
 * look-up at a time in a directory, and an image service that is slow to answer for one image
 * would hold up all the others.
 */
#ifndef FUSE_DEVICE_IO_H
#define FUSE_DEVICE_IO_H

#include "fuse/libfuse.h"
#include "glancefs/error.h"

/** Makes a mounted session, whose userdata is the filesystem, use these functions. */
int device_io_install(struct fuse_session *session, struct error *err);

#endif
