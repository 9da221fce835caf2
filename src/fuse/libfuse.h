/* SPDX-License-Identifier: Apache-2.0 */
/* libfuse's low-level interface, in the one version this layer is written for. */
#ifndef FUSE_LIBFUSE_H
#define FUSE_LIBFUSE_H

#define FUSE_USE_VERSION 312

#include <fuse_lowlevel.h>

#endif
