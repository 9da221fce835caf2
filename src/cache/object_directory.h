/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object's directory, wherever it stands: its two files, and whether a name still leads to it.
 * No function follows a link, and none waits.
 */
#ifndef CACHE_OBJECT_DIRECTORY_H
#define CACHE_OBJECT_DIRECTORY_H

#include "cache/cache_layout.h"
#include "cache/object_metadata.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stdint.h>

/** The files of an object. */
#define OBJECT_DATA "data"
#define OBJECT_METADATA "meta.json"

/** Of a download whose object has no known size, where nothing can be allocated: its size is up to where
 *  the data may grow. */
#define OBJECT_RESERVE "reserve"

/** True for what object_metadata_name gives: a UUID, alone or with a dot and hexadecimal digits. */
bool object_name_is_valid(const char *name);

/** Opens `name` of `place`; the caller owns *ret_fd. ERROR_NOT_FOUND; ERROR_CORRUPT when it is no
 *  directory. */
int object_directory_open(const struct cache_layout *layout, enum cache_place place,
                          const char *name, int *ret_fd, struct error *err);

/** True while `name` of `place` is the directory `dir_fd`. */
bool object_directory_is_at(int dir_fd, const struct cache_layout *layout, enum cache_place place,
                            const char *name);

/** Opens the data with open(2)'s `flags` and mode 0600; the caller owns *ret_fd. ERROR_NOT_FOUND;
 *  ERROR_CORRUPT when it is no regular file, or closed to us: our own is opened to us again first. */
int object_directory_open_data(int dir_fd, int flags, int *ret_fd, struct error *err);

/** True while the directory's data is the file `data_fd`. */
bool object_directory_holds(int dir_fd, int data_fd);

/** Reads the metadata, which are those of the object `name`. ERROR_NOT_FOUND; ERROR_CORRUPT when it
 *  is no small regular file, else as object_metadata_parse. */
int object_directory_read_metadata(int dir_fd, const char *name, struct object_metadata *ret,
                                   struct error *err);

/**
 * For an error of reading the data or the metadata of a complete object: a disk that cannot give back
 * what it took (EIO) has damaged the object. Makes an ERROR_CORRUPT of it, which keeps the errno EIO.
 * Returns -1.
 */
int object_directory_blame_disk(struct error *err);

/** True for what object_directory_blame_disk made. */
bool object_directory_is_unreadable(const struct error *err);

/** Says that the object is used at `now_ns` (wall_clock.h). */
void object_directory_touch(int dir_fd, int64_t now_ns);

/** Moves the directory `name` of `place` into the trash, or removes what is there instead. The caller
 *  holds CACHE/lock. ERROR_NOT_FOUND. */
int object_directory_discard(const struct cache_layout *layout, enum cache_place place,
                             const char *name, struct error *err);

#endif
