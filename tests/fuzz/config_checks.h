/* SPDX-License-Identifier: Apache-2.0 */
/* What every way to set options must keep to. */
#ifndef FUZZ_CONFIG_CHECKS_H
#define FUZZ_CONFIG_CHECKS_H

#include "glancefs/config.h"

#include <stddef.h>
#include <stdint.h>

/** Validates `config`; when it is valid, its numbers are within their limits. */
void config_check_valid(struct config *config);

/**
 * The message of a refusal is plain. It shows PLANTED_SECRET only when that stands in `text` (what was
 * read) in other places than the values of passwords. `separators` end one option of the text.
 */
void config_check_refusal(const struct error *err, const uint8_t *text, size_t size,
                          const char *separators);

#endif
