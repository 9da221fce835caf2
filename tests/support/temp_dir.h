/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of one test's own, removed with all that is in it. Failures abort the test program:
 * there is nothing a test could do about them.
 */
#ifndef SUPPORT_TEMP_DIR_H
#define SUPPORT_TEMP_DIR_H

#include "glancefs/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct temp_dir;

/** Makes an empty directory with mode 0700 below $TMPDIR or /tmp. */
struct temp_dir *temp_dir_new(void);

/** Removes it and everything below, following no link; NULL is allowed. */
void temp_dir_free(struct temp_dir *dir);
DEFINE_CLEANUP(struct temp_dir, temp_dir_free)

/** Its absolute path. */
const char *temp_dir_path(const struct temp_dir *dir);

/** A descriptor of it, its own. */
int temp_dir_fd(const struct temp_dir *dir);

/** The path of `name` in it, on the heap; the caller frees it. */
char *temp_dir_join(const struct temp_dir *dir, const char *name);

/** Writes the whole file `name` (mode 0600), replacing what is there. */
void temp_dir_write(const struct temp_dir *dir, const char *name, const void *bytes, size_t size);

/** Reads the whole file `name`: NUL-terminated, the caller frees it. `ret_size` may be NULL. */
uint8_t *temp_dir_read(const struct temp_dir *dir, const char *name, size_t *ret_size);

/** True when `name` exists, be it a dangling link. */
bool temp_dir_has(const struct temp_dir *dir, const char *name);

/** Entries directly in it, hidden ones included. */
size_t temp_dir_count(const struct temp_dir *dir);

#endif
