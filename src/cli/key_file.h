/* SPDX-License-Identifier: Apache-2.0 */
/* A key or passphrase from a file, byte for byte: no line feed is added, cut or looked for. */
#ifndef CLI_KEY_FILE_H
#define CLI_KEY_FILE_H

#include "glancefs/error.h"
#include "glancefs/secure_arena.h"
#include "glancefs/secure_buffer.h"

/**
 * Reads all bytes of `path` ("-": standard input) straight into `arena`; the caller owns *ret.
 * ERROR_KEY_REJECTED when there are none, ERROR_TOO_LARGE over LIMIT_SECRET_BYTES.
 */
int key_file_read(const char *path, struct secure_arena *arena, struct secure_buffer **ret,
                  struct error *err);

#endif
