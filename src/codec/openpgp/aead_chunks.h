/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunks of AEAD encrypted data, one cipher for all: their nonces and associated data, and the
 * final tag over the number of octets. For whoever reads and whoever writes them.
 *
 * SEIPD version 2 (RFC 9580 section 5.13.2): session key and salt give, by HKDF, the message's key
 * and the front of its nonces; their end is the chunk's index. OCB packet (LibrePGP section 5.16):
 * the session key is the key, the packet's IV is combined with the index by XOR, and the index is
 * authenticated, too.
 */
#ifndef CODEC_OPENPGP_AEAD_CHUNKS_H
#define CODEC_OPENPGP_AEAD_CHUNKS_H

#include "codec/openpgp/aead_header.h"
#include "codec/openpgp/session_key.h"
#include "glancefs/cleanup.h"

#include <stdbool.h>

/** Chunk index and octet count in associated data, in bytes. */
#define AEAD_COUNTER_BYTES 8

struct aead_chunks {
    struct aead_cipher *cipher;
    size_t chunk_size;                    /* plaintext bytes of every chunk but the last */
    uint8_t iv[AEAD_MAXIMUM_NONCE_BYTES]; /* the nonce of chunk 0 */
    size_t nonce_size;
    uint8_t header[AEAD_HEADER_OCTETS];
    bool authenticates_index; /* in the associated data */
};

/**
 * Makes the chunks of a packet with `header` and session key `key`, in its arena. The uniform error
 * when that is a key of another size; ERROR_EXHAUSTED.
 */
int aead_chunks_init(struct aead_chunks *chunks, const struct aead_header *header,
                     const struct session_key *key, struct error *err);

/** Wipes and frees what it holds. A struct of zeros is allowed. */
void aead_chunks_clear(struct aead_chunks *chunks);

/** Starts chunk `index` (from 0), to be encrypted or decrypted with `chunks->cipher`. */
void aead_chunks_begin(struct aead_chunks *chunks, uint64_t index);

/** Starts and ends the empty one behind `count` chunks of `octets` in all: its tag is the final
 *  one, to be had or checked next. */
void aead_chunks_begin_final(struct aead_chunks *chunks, uint64_t count, uint64_t octets);

#endif
