/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/openpgp_source.h"

#include "codec/openpgp/forward_source.h"
#include "codec/openpgp/random_source.h"

int openpgp_source_new(struct openpgp_message *message, struct byte_source *ciphertext,
                       struct byte_source **ret, struct error *err)
{
    if (openpgp_layout_is_random_access(message->layout) &&
        !byte_source_is_forward_only(ciphertext))
        return random_source_new(message, ciphertext, ret, err);
    return forward_source_new(message, ciphertext, ret, err);
}
