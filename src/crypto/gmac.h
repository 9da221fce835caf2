/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GMAC (NIST SP 800-38D) over the blocks of one object, under a random key that never leaves the
 * process: tells whether bytes on disk are still those that were verified. By OpenSSL.
 */
#ifndef CRYPTO_GMAC_H
#define CRYPTO_GMAC_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"

#include <stddef.h>
#include <stdint.h>

#define GMAC_TAG_BYTES 16

struct gmac_key;

/** A fresh random key. One key serves one verification pass of one object: a block number, which
 *  is the nonce, is then tagged once. */
int gmac_key_new(struct secure_arena *arena, struct gmac_key **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void gmac_key_free(struct gmac_key *key);
DEFINE_CLEANUP(struct gmac_key, gmac_key_free)

/** Tag of `size` bytes as block number `block`. Thread-safe. */
int gmac_compute(const struct gmac_key *key, uint64_t block, const void *bytes, size_t size,
                 uint8_t ret_tag[GMAC_TAG_BYTES], struct error *err);

#endif
