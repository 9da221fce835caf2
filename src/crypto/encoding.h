/* SPDX-License-Identifier: Apache-2.0 */
/* Binary bytes as text, for digests and for passphrases made from binary keys. */
#ifndef CRYPTO_ENCODING_H
#define CRYPTO_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Lower-case hexadecimal: writes 2 × size digits and no NUL. */
void encode_hex(const void *bytes, size_t size, char *out);

/** Reads exactly 2 × size hexadecimal digits, any case; false when a character is none. */
bool decode_hex(const char *text, size_t size, uint8_t *out);

/** Bytes of the padded base64 text (RFC 4648 section 4) of `size` bytes, without a NUL. */
size_t encode_base64_size(size_t size);

/** Writes that text and no NUL. */
void encode_base64(const void *bytes, size_t size, char *out);

/**
 * Reads base64 text, padded, with white space anywhere (as `openssl base64` and people write it).
 * At most `capacity` bytes go to `out`; *ret_size is how many. False when it is no such text, or does
 * not fit.
 */
bool decode_base64(const char *text, uint8_t *out, size_t capacity, size_t *ret_size);

#endif
