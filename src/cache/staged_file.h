/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of one staged upload in CACHE/staging, and the lock on them.
 *
 *     <id>.part       ciphertext being written
 *     <id>.data       the whole ciphertext
 *     <id>.json       the journal that makes <id>.data a sealed upload
 *     <id>.json.new   a journal on its way to become <id>.json
 *
 * Whoever writes, sends or removes an upload holds a lock on its ciphertext, be it called .part or
 * .data at the time. The lock belongs to the open file, not to the process: threads exclude each
 * other too, and the kernel drops it when its holder dies, however he dies.
 */
#ifndef CACHE_STAGED_FILE_H
#define CACHE_STAGED_FILE_H

#include "base/uuid.h"
#include "glancefs/error.h"

#include <stdbool.h>

enum staged_file { STAGED_PART, STAGED_DATA, STAGED_JOURNAL, STAGED_NEW_JOURNAL };

/** Room for any name, with its NUL, in bytes. */
#define STAGED_NAME_BYTES (UUID_TEXT_BYTES + 9)

/** The name of a file of image `id`, a UUID. */
void staged_file_name(const char *id, enum staged_file file, char ret[STAGED_NAME_BYTES]);

/** What the directory entry `name` is; false when it is none of ours. */
bool staged_file_recognise(const char *name, char ret_id[UUID_TEXT_BYTES], enum staged_file *ret);

/** True when the file exists, be it a link. */
bool staged_file_exists(int dir_fd, const char *id, enum staged_file file);

/** Removes a file; 0 also when there is none. */
int staged_file_remove(int dir_fd, const char *id, enum staged_file file, struct error *err);

/**
 * Makes an empty .part and locks it; one that nobody holds is replaced. The caller owns *ret_fd.
 * ERROR_BUSY when somebody holds it.
 */
int staged_file_create_part(int dir_fd, const char *id, int *ret_fd, struct error *err);

/**
 * Opens .part or .data (regular files only, following no link) and locks it; afterwards it still
 * has that name. The caller owns *ret_fd. ERROR_NOT_FOUND, ERROR_BUSY.
 */
int staged_file_lock(int dir_fd, const char *id, enum staged_file file, int *ret_fd,
                     struct error *err);

/** True while somebody, in whichever process, holds the lock on .data. Takes nothing. */
bool staged_file_is_held(int dir_fd, const char *id);

#endif
