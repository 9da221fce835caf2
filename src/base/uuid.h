/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs as OpenStack uses them: image and secret ids. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdbool.h>

/** Bytes of a UUID's text with its NUL. */
#define UUID_TEXT_BYTES 37

/** True for exactly 8-4-4-4-12 hexadecimal digits, lower case (the canonical form of RFC 9562). */
bool uuid_is_valid(const char *text);

/**
 * The UUID at the end of `reference`: a bare UUID, or the last component of an address such as
 * https://host/v1/secrets/<uuid>. Upper case is folded. False when there is none.
 */
bool uuid_from_reference(const char *reference, char ret[UUID_TEXT_BYTES]);

/** A random UUID (version 4). False when the kernel gives no random bytes. */
bool uuid_generate(char ret[UUID_TEXT_BYTES]);

#endif
