/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files of encrypt/, as directory.c and file.c see them. All requests about one go through
 * direct_io, so the kernel makes one write of a file at a time, in order, and keeps no plaintext.
 */
#ifndef FUSE_WRITTEN_FILE_H
#define FUSE_WRITTEN_FILE_H

#include "fuse/filesystem.h"

/** Fills in the file's entry and counts the look-up. Neither name nor attributes may be kept by the
 *  kernel. ERROR_EXHAUSTED. */
int written_file_make_entry(struct filesystem *filesystem, const struct write_attributes *file,
                            struct fuse_entry_param *ret, struct error *err);

/** Opens file `name`, to write it or only to read. */
void written_file_open(fuse_req_t req, fuse_ino_t inode, const char *name,
                       const struct fuse_file_info *file);

/** Reads what still lies in the write window. */
void written_file_read(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                       const struct fuse_file_info *file);

/** Tells who closes the file what became of its writes. Never waits. */
void written_file_flush(fuse_req_t req, fuse_ino_t inode, const struct fuse_file_info *file);

/** Sets the size of an open file, or by name when `file` is NULL. */
void written_file_truncate(fuse_req_t req, fuse_ino_t inode, uint64_t size,
                           const struct fuse_file_info *file);

#endif
