/* SPDX-License-Identifier: Apache-2.0 */
/* The certificates, keys and signatures of tests/vectors/signatures. Failures fail the test. */
#ifndef UNIT_CRYPTO_SIGNATURE_VECTORS_H
#define UNIT_CRYPTO_SIGNATURE_VECTORS_H

#include "crypto/certificate.h"
#include "crypto/hash.h"
#include "crypto/signature.h"

#include <stddef.h>
#include <stdint.h>

/** A file of the directory, NUL-terminated; caller frees. */
char *signature_vector_read(const char *file, size_t *ret_size);

/** The certificate of a file; caller frees. */
struct certificate *signature_vector_certificate(const char *file);

/** The signature of a file, decoded, into `ret`; its size is returned. */
size_t signature_vector_signature(const char *file, uint8_t ret[SIGNATURE_MAXIMUM_BYTES]);

/** The hash of message.bin, which all of them are signatures of. */
void signature_vector_digest(enum hash_algorithm algorithm, uint8_t ret[HASH_MAXIMUM_BYTES]);

#endif
