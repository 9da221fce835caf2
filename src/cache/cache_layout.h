/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The places of a cache directory (contrib/doc/cache-format.md):
 *
 *     CACHE/format                    "glancefs-cache 1": a newer version's cache is not touched
 *     CACHE/lock                      held for moments by whoever changes what follows
 *     CACHE/objects/<name>/{data,meta.json}     complete objects; the directory is the daemon's lock
 *     CACHE/partial/<name>/{data,meta.json}     downloads, under way or to be resumed
 *     CACHE/quarantine/<name>/{data,meta.json}  what did not match; kept for people, never served
 *     CACHE/trash/<any>/                        on its way out
 *     CACHE/cloud                     see ciphertext_cache_set_cloud
 *     CACHE/staging, CACHE/consumers            see staging_directory.h, consumer_registry.h
 *
 * All below CACHE is reached relative to descriptors of directories that only we may enter
 * (mode 0700; files 0600), and no link is followed.
 */
#ifndef CACHE_CACHE_LAYOUT_H
#define CACHE_CACHE_LAYOUT_H

#include "glancefs/cancel.h"
#include "glancefs/ciphertext_cache.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stdbool.h>

#define CACHE_FORMAT_VERSION 1

enum cache_place {
    CACHE_PLACE_OBJECTS,
    CACHE_PLACE_PARTIAL,
    CACHE_PLACE_QUARANTINE,
    CACHE_PLACE_TRASH,
    CACHE_PLACE_COUNT
};

/** An open cache directory. Constant; any thread. */
struct cache_layout {
    int root_fd;
    int place_fds[CACHE_PLACE_COUNT];
};

/**
 * Opens `path`. CACHE_DAEMON and CACHE_COMMAND make what is absent; the daemon holds the lock on
 * CACHE/objects as long as the layout is open (another daemon that is just ending is waited for, a few
 * seconds, then ERROR_BUSY says who cannot be). CACHE_OBSERVER makes nothing: ERROR_NOT_FOUND when
 * `path` is no cache.
 *
 * ERROR_DENIED when others may enter `path` and it is not ours to close (an empty directory of ours, or
 * a cache, is made 0700 instead). ERROR_INVALID when it is no cache, but holds what somebody else put
 * there. ERROR_UNSUPPORTED when a newer version wrote it, ERROR_CORRUPT when CACHE/format is no such
 * file: then nothing in it has been touched.
 */
int cache_layout_open(const char *path, enum cache_role role, struct cache_layout **ret,
                      struct error *err);

/**
 * Judges CACHE/format by the cache's directory, touching nothing: for whoever keeps things in a cache
 * without a layout. *ret_is_there is false when there is no such file. ERROR_UNSUPPORTED and
 * ERROR_CORRUPT as above.
 */
int cache_layout_check_format(int root_fd, bool *ret_is_there, struct error *err);

/** Closes; NULL is allowed. */
void cache_layout_free(struct cache_layout *layout);
DEFINE_CLEANUP(struct cache_layout, cache_layout_free)

/**
 * Takes CACHE/lock, under which names are moved between places and space is reserved: never held
 * over a transfer or the removal of data. It excludes threads and processes alike and dies with its
 * holder. Waits, interruptibly, at most some seconds: then ERROR_BUSY. Close *ret_fd to give it back.
 */
int cache_layout_lock(const struct cache_layout *layout, struct cancel *cancel, int *ret_fd,
                      struct error *err);

/**
 * The same for who only lists what is where: shared with others who look, so that no name moves
 * meanwhile. Makes no file; *ret_fd is -1 where there is no lock.
 */
int cache_layout_lock_to_look(const struct cache_layout *layout, struct cancel *cancel, int *ret_fd,
                              struct error *err);

/** A place's name as in the list above, for messages and reports. */
const char *cache_place_name(enum cache_place place);

#endif
