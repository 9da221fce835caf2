/* SPDX-License-Identifier: Apache-2.0 */
/* A secret that stands in inputs where a password or a key would: no error message may show it. */
#ifndef FUZZ_PLANTED_SECRET_H
#define FUZZ_PLANTED_SECRET_H

#include "glancefs/error.h"

#include <stdbool.h>
#include <stddef.h>

/** Corpora and dictionaries spell it, too. No text of ours has it by chance. */
#define PLANTED_SECRET "pLaNtEd-93"

/** How often it stands in `size` bytes. */
size_t planted_secret_count(const void *bytes, size_t size);

/** True when the message of *err shows it. */
bool planted_secret_is_told(const struct error *err);

#endif
