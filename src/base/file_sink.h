/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sinks over files. A published file appears whole and durable or not at all: bytes go to a
 * temporary name in the same directory; commit is fsync, rename, fsync of the directory. Only when
 * the last of these fails does a failed commit leave the new file: taking it back would lose what
 * it replaced, too.
 */
#ifndef BASE_FILE_SINK_H
#define BASE_FILE_SINK_H

#include "glancefs/byte_sink.h"

#include <sys/types.h>

/** Prefix of temporary names, for those who tell them from other files. */
#define FILE_SINK_TEMPORARY_PREFIX ".glancefs-tmp-"

/**
 * A sink that publishes `name` in the directory `dir_fd` (borrowed; duplicated inside) with `mode`,
 * replacing what is there. `name` has no slash.
 */
int file_sink_publish(int dir_fd, const char *name, mode_t mode, struct byte_sink **ret,
                      struct error *err);

/** The same for a path: temp + rename beside it. */
int file_sink_publish_path(const char *path, mode_t mode, struct byte_sink **ret,
                           struct error *err);

/**
 * Removes from the directory `dir_fd` (borrowed) the temporary files of publishers who were killed.
 * Only for who holds a lock without which nobody publishes there, in no process: nothing else tells
 * a dead publisher's file from that of one who is at work. What cannot be removed stays.
 */
void file_sink_remove_leftovers(int dir_fd);

/** The descriptor of a sink of this file, borrowed. What a publishing sink has written so far can be
 *  read from it with pread(2), also after an abort as long as a duplicate is open. */
int file_sink_fd(const struct byte_sink *sink);

/** A sink that writes to a borrowed descriptor (standard output); commit and abort do nothing. */
int file_sink_to_fd(int fd, struct byte_sink **ret, struct error *err);

/** Writes a whole small file as file_sink_publish does. */
int file_publish(int dir_fd, const char *name, mode_t mode, const void *bytes, size_t size,
                 struct error *err);

#endif
