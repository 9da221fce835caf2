/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources over descriptors: a regular file gives random access, anything else is forward-only.
 */
#ifndef BASE_FILE_SOURCE_H
#define BASE_FILE_SOURCE_H

#include "glancefs/byte_source.h"

/** Opens a regular file below directory `dir_fd` (or AT_FDCWD), following no link. */
int file_source_open(int dir_fd, const char *path, struct byte_source **ret, struct error *err);

/**
 * byte_source_pread of such a source, of a regular file, without waiting for a disk: ERROR_BUSY when
 * not all bytes are in the page cache, or the filesystem does not tell. Any thread.
 */
int file_source_pread_now(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                          size_t *ret_size, struct error *err);

/**
 * Takes over `fd` on success, be it a file (from its start), a pipe or a socket. A forward-only
 * read that fails after it took bytes leaves the source failed: its next bytes would not be those
 * of its position.
 */
int file_source_from_fd(int fd, struct byte_source **ret, struct error *err);

/** Reads a whole regular file of at most `limit` bytes; *ret is NUL-terminated, caller frees.
 *  ERROR_TOO_LARGE when there is more. */
int file_read_all(int dir_fd, const char *path, size_t limit, char **ret, size_t *ret_size,
                  struct error *err);

#endif
