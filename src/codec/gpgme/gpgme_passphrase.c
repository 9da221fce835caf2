/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpgme_passphrase.h"

#include <string.h>

#define CONTROL_D 0x04

int gpgme_passphrase_check(const struct secure_buffer *passphrase, struct error *err)
{
    const uint8_t *bytes = secure_buffer_bytes(passphrase);
    const size_t size = secure_buffer_size(passphrase);

    if (size == 0)
        return error_set(err, ERROR_KEY_REJECTED, "the passphrase is empty");
    if (size > GPGME_PASSPHRASE_MAXIMUM_BYTES)
        return error_set(err, ERROR_KEY_REJECTED,
                         "the gpgme engine takes no passphrase of over %d bytes",
                         GPGME_PASSPHRASE_MAXIMUM_BYTES);
    if (memchr(bytes, '\n', size) != NULL || memchr(bytes, '\0', size) != NULL ||
        memchr(bytes, CONTROL_D, size) != NULL)
        return error_set(
            err, ERROR_KEY_REJECTED,
            "the gpgme engine takes no passphrase with a line feed, a NUL or a Ctrl-D");
    return 0;
}
