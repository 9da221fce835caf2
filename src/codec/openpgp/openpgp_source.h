/* SPDX-License-Identifier: Apache-2.0 */
/* The plaintext of a verified message: at any offset where that is possible, else forward only. */
#ifndef CODEC_OPENPGP_OPENPGP_SOURCE_H
#define CODEC_OPENPGP_OPENPGP_SOURCE_H

#include "codec/openpgp/openpgp_message.h"

/**
 * A source over the verified bytes `ciphertext`, which it takes over on success; holds a reference
 * to `message`. It is a random_source unless the message or `ciphertext` is forward-only, then a
 * forward_source.
 */
int openpgp_source_new(struct openpgp_message *message, struct byte_source *ciphertext,
                       struct byte_source **ret, struct error *err);

#endif
