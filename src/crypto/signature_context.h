/* SPDX-License-Identifier: Apache-2.0 */
/* What making and verifying a signature have in common: the parameters of the scheme. */
#ifndef CRYPTO_SIGNATURE_CONTEXT_H
#define CRYPTO_SIGNATURE_CONTEXT_H

#include "crypto/hash.h"
#include "crypto/signature.h"
#include "glancefs/cleanup.h"

#include <openssl/evp.h>

DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

/** Sets hash and padding on a context that was initialised to sign or to verify. False when the
 *  library refuses them. */
bool signature_context_setup(EVP_PKEY_CTX *context, enum signature_key_type type,
                             enum hash_algorithm hash);

#endif
