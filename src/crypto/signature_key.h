/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private key that signs images on upload. It rests as PEM in locked memory; what the library
 * makes of it lives, in heap that is wiped, only while something is being signed.
 */
#ifndef CRYPTO_SIGNATURE_KEY_H
#define CRYPTO_SIGNATURE_KEY_H

#include "crypto/certificate.h"
#include "crypto/hash.h"
#include "crypto/signature.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/secure_buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Immutable; any thread. */
struct signature_key;

/**
 * Takes over `pem`, also on failure: an unencrypted private key (PKCS #8 or the older forms), RSA,
 * DSA or on one of the curves of signature.h. ERROR_INVALID for anything else.
 */
int signature_key_new(struct secure_buffer *pem, struct signature_key **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void signature_key_free(struct signature_key *key);
DEFINE_CLEANUP(struct signature_key, signature_key_free)

/** What its signatures are. */
enum signature_key_type signature_key_type(const struct signature_key *key);

/** True when `certificate` holds its public half. */
bool signature_key_matches(const struct signature_key *key, const struct certificate *certificate);

/**
 * Signs `digest`, hash_size(hash) bytes. *ret_size is the size of the signature. ERROR_SYSTEM when
 * the library refuses, as with an RSA key too short for the hash.
 */
int signature_key_sign(const struct signature_key *key, enum hash_algorithm hash,
                       const uint8_t *digest, uint8_t ret[SIGNATURE_MAXIMUM_BYTES],
                       size_t *ret_size, struct error *err);

#endif
