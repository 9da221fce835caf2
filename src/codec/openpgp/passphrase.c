/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/passphrase.h"

#include "glancefs/limits.h"

int passphrase_check(const struct secure_buffer *passphrase, struct error *err)
{
    if (secure_buffer_size(passphrase) == 0)
        return error_set(err, ERROR_KEY_REJECTED, "the passphrase is empty");
    if (secure_buffer_size(passphrase) > LIMIT_SECRET_BYTES)
        return error_set(err, ERROR_KEY_REJECTED, "the passphrase has over %zu bytes",
                         LIMIT_SECRET_BYTES);
    return 0;
}
