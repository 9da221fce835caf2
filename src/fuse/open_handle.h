/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fi->fh stands for: an open image or file, a directory's snapshot, a status text. The kernel
 * names a handle only between the answer to open and its release, so nobody has to look one up; the
 * list exists for those that are still open when the mount ends, and for files to write that lost
 * their name.
 */
#ifndef FUSE_OPEN_HANDLE_H
#define FUSE_OPEN_HANDLE_H

#include "glancefs/error.h"
#include "glancefs/image_view.h"
#include "glancefs/write_index.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Exactly one of the pointers is set, and owned. */
struct open_handle {
    struct read_stream *stream;          /* decrypt/<id> */
    struct write_stream *writer;         /* encrypt/<name>, perhaps only to read it */
    uint64_t inode;                      /* the number of that file */
    struct image_listing *listing;       /* decrypt, as it was at opendir */
    struct write_listing *files;         /* encrypt, as it was at opendir; free(3) */
    char *text;                          /* status, as it was at open; NUL-terminated */
    size_t text_size;                    /* bytes without the NUL */
    struct open_handle *next, *previous; /* of the list */
};

/** All of a mount's handles, so that those left open at its end are closed. Thread-safe. */
struct open_handles {
    pthread_mutex_t mutex; /* guards the list; the write view's locks come after it */
    struct open_handle *first;
};

void open_handles_init(struct open_handles *handles);

/** Closes what is left, after the last request was answered. */
void open_handles_destroy(struct open_handles *handles);

/** Lists a new handle that takes over what `content` holds, on success. ERROR_EXHAUSTED only. */
int open_handles_add(struct open_handles *handles, const struct open_handle *content,
                     struct open_handle **ret, struct error *err);

/** Closes what the handle holds, and frees it. NULL is allowed. */
void open_handles_close(struct open_handles *handles, struct open_handle *handle);

/** Attributes of file `inode` in encrypt/ by one of its handles; false when it is not open. */
bool open_handles_attributes(struct open_handles *handles, uint64_t inode,
                             struct write_attributes *ret);

/** How many images and files to write are open; directories and status texts do not count. */
unsigned open_handles_streams(struct open_handles *handles);

/** To and from fi->fh; NULL is 0, which the root directory uses. */
uint64_t open_handle_number(struct open_handle *handle);
struct open_handle *open_handle_from_number(uint64_t number);

#endif
