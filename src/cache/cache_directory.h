/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories of a cache, whoever keeps what in them. Everything is reached relative to descriptors
 * of directories that only we may enter, and no link is followed.
 */
#ifndef CACHE_CACHE_DIRECTORY_H
#define CACHE_CACHE_DIRECTORY_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <dirent.h>

DEFINE_CLEANUP(DIR, closedir)

/**
 * Opens (makes, with mode 0700) the directory `name` of the cache `path`, which must be ours alone
 * as said above. The caller owns *ret_fd. ERROR_UNSUPPORTED when a newer version wrote the cache,
 * ERROR_CORRUPT when its format is damaged: then nothing in it has been touched.
 */
int cache_directory_open_subdirectory(const char *path, const char *name, int *ret_fd,
                                      struct error *err);

/**
 * That only we may enter the cache's directory `fd`: one of ours that is empty, or a cache, is made
 * 0700; ERROR_DENIED for any other that is open to others.
 */
int cache_directory_require_private(int fd, struct error *err);

/** A stream of its own over any directory, from its start; NULL with errno set when there is none. The
 *  caller closes it. */
DIR *cache_directory_stream(int dir_fd);

#endif
