/* SPDX-License-Identifier: Apache-2.0 */
/* A second opinion on JSON: the grammar of RFC 8259, read independently of json-c. */
#ifndef FUZZ_STRICT_JSON_H
#define FUZZ_STRICT_JSON_H

#include <stdbool.h>
#include <stddef.h>

/** True when `size` bytes are one JSON text and nothing else. UTF-8 is not looked at. */
bool strict_json_is_sound(const char *text, size_t size);

#endif
