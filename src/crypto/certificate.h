/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X.509 certificates (RFC 5280) that sign images, and the certificates that an operator trusts to
 * have issued them. By OpenSSL.
 */
#ifndef CRYPTO_CERTIFICATE_H
#define CRYPTO_CERTIFICATE_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stddef.h>

struct evp_pkey_st;

/** One certificate. Immutable; any thread. */
struct certificate;

/** Parses the first certificate of `size` bytes of PEM (RFC 7468). ERROR_INVALID when there is none. */
int certificate_parse(const void *pem, size_t size, struct certificate **ret, struct error *err);

/** Releases; NULL is allowed. */
void certificate_free(struct certificate *certificate);
DEFINE_CLEANUP(struct certificate, certificate_free)

/** Its public key as the library knows it, borrowed; for this layer only. */
struct evp_pkey_st *certificate_public_key(const struct certificate *certificate);

/**
 * Whether its holder may sign images with a key that is strong enough: 112 bits by NIST SP 800-57
 * (RSA and DSA with 2048 bits). Where keyUsage stands (RFC 5280 section 4.2.1.3) it must allow
 * digitalSignature; where extendedKeyUsage does (4.2.1.12), codeSigning or anyExtendedKeyUsage, so
 * that no key of a TLS server signs images because the same authority issued it. ERROR_DENIED.
 */
int certificate_check_signer(const struct certificate *certificate, struct error *err);

/** The certificates that may issue others. Filled by one thread, then used by any. */
struct trust_store;

/** An empty store, which trusts nobody. */
int trust_store_new(struct trust_store **ret, struct error *err);

/** Releases; NULL is allowed. */
void trust_store_free(struct trust_store *store);
DEFINE_CLEANUP(struct trust_store, trust_store_free)

/**
 * Adds every certificate of `size` bytes of PEM. ERROR_INVALID when there is none, when one is
 * damaged, and when one may not issue certificates: basicConstraints with CA and keyUsage with
 * keyCertSign must be there (RFC 5280 sections 4.2.1.3 and 4.2.1.9).
 */
int trust_store_add(struct trust_store *store, const void *pem, size_t size, struct error *err);

/**
 * Whether `certificate` may sign images (certificate_check_signer) and a chain leads from it to a
 * self-signed certificate of the store, by signatures, dates (now), CA flags, key usage and path
 * lengths. All issuers must stand in the store, all keys be as strong, and no signature be one with
 * MD5 or SHA-1. ERROR_DENIED, with the reason, when it is not so.
 */
int trust_store_check(const struct trust_store *store, const struct certificate *certificate,
                      struct error *err);

#endif
