/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/message_damaged.h"

int message_damaged(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "wrong passphrase or damaged data");
}
