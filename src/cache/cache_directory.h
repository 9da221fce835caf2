/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache on disk: CACHE/objects/<name>, one file per object. Everything is reached relative to
 * descriptors of directories that only we may enter, and no link is followed.
 */
#ifndef CACHE_CACHE_DIRECTORY_H
#define CACHE_CACHE_DIRECTORY_H

#include "glancefs/ciphertext_cache.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <dirent.h>

DEFINE_CLEANUP(DIR, closedir)

/**
 * Opens (makes) `path` and its objects directory and removes what unfinished downloads left.
 * *ret_fd is a descriptor of the objects directory, locked as long as it is open (ERROR_BUSY when
 * another process holds that lock for seconds). ERROR_DENIED when others may enter `path` and
 * it is not ours to close: an empty directory of ours, or a cache, is made 0700 instead.
 */
int cache_directory_open(const char *path, int *ret_fd, struct error *err);

/** A descriptor of the objects directory of `path` for a look, which changes and locks nothing; -1 when
 *  there is none. The caller owns it. */
int cache_directory_look(const char *path);

/**
 * Opens (makes, with mode 0700) the directory `name` of the cache `path`, which must be ours alone
 * as said above. The caller owns *ret_fd.
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

/** Removes all objects of image `id`. Best effort. */
void cache_directory_remove_objects(int fd, const char *id);

/** Counts objects and their bytes. */
int cache_directory_usage(int fd, struct ciphertext_cache_usage *ret, struct error *err);

#endif
