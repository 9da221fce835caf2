/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes as people read them. */
#ifndef CLI_SIZE_TEXT_H
#define CLI_SIZE_TEXT_H

#include <stdint.h>

/** Room for the text of any size, with its NUL. */
#define SIZE_TEXT_BYTES 32

/** `bytes` in the largest binary unit that it fills, "1.5 GiB", in `buffer`, which is returned. */
const char *size_text(uint64_t bytes, char buffer[SIZE_TEXT_BYTES]);

#endif
