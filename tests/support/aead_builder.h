/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds AEAD encrypted data packets, sound or broken: SEIPD version 2 (RFC 9580 section 5.13.2) and
 * the OCB packet of LibrePGP, with nothing of the codec under test but the ciphers. Call
 * crypto_library_setup before.
 */
#ifndef SUPPORT_AEAD_BUILDER_H
#define SUPPORT_AEAD_BUILDER_H

#include "crypto/aead_cipher.h"
#include "support/openpgp_builder.h"

/** What is wrong with the packet. */
enum aead_flaw {
    AEAD_SOUND,
    AEAD_FINAL_TAG_MISSING,
    AEAD_FINAL_TAG_WRONG,
    AEAD_FINAL_COUNT_WRONG,    /* authentic, but of one octet more */
    AEAD_FINAL_INDEX_WRONG,    /* authentic, but of one chunk more */
    AEAD_TAG_WRONG,            /* of the last chunk */
    AEAD_TAG_MISSING,          /* of the last chunk */
    AEAD_LAST_CHUNK_DROPPED,   /* the final tag as of the whole */
    AEAD_CUT_AT_CHUNK,         /* the last chunk and the final tag dropped */
    AEAD_FIRST_TWO_SWAPPED,    /* chunks with their tags */
    AEAD_EMPTY_CHUNK_AT_END,   /* authentic */
    AEAD_SHORT_CHUNK_IN_FRONT, /* authentic, and only the last one may be short */
    AEAD_BYTE_AT_END,
    AEAD_FLAWS /* how many there are */
};

struct aead_plan {
    enum framing framing;
    bool is_librepgp;             /* packet 20, else SEIPD version 2 */
    enum cipher_algorithm cipher; /* AES */
    enum aead_algorithm aead;
    unsigned chunk_octet;
    enum aead_flaw flaw;
};

/** Appends a packet that holds `packets`. Flaws of two chunks need two. */
void build_aead(struct octets *out, const struct aead_plan *plan, const uint8_t *key,
                const void *packets, size_t size);

/** Appends a whole message: an SKESK (version 4 or 6) with an encrypted key, and that packet. */
void build_aead_message(struct octets *out, const struct aead_plan *plan, const char *passphrase,
                        const void *packets, size_t size);

#endif
