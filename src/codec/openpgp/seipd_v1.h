/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symmetrically Encrypted and Integrity Protected Data packet, version 1 (RFC 9580 section
 * 5.13.1): a random prefix, packets, and a Modification Detection Code packet with the SHA-1 of all
 * before it, in CFB. This is the packet's plaintext without prefix and MDC. A long one is hashed by
 * a thread beside the caller's, which reads and decrypts.
 */
#ifndef CODEC_OPENPGP_SEIPD_V1_H
#define CODEC_OPENPGP_SEIPD_V1_H

#include "codec/openpgp/byte_stream.h"
#include "codec/openpgp/session_key.h"

#include <stdint.h>

#define SEIPD_V1_VERSION 1

/** The prefix is a block of random octets and its last two again. */
#define SEIPD_V1_PREFIX_REPEAT_BYTES 2
#define SEIPD_V1_PREFIX_MAXIMUM_BYTES (CIPHER_MAXIMUM_BLOCK_BYTES + SEIPD_V1_PREFIX_REPEAT_BYTES)

/** The MDC packet: its header is D3 14, its body a SHA-1. */
#define SEIPD_V1_MDC_HEADER_BYTES 2
#define SEIPD_V1_MDC_PACKET_BYTES 22
extern const uint8_t seipd_v1_mdc_header[SEIPD_V1_MDC_HEADER_BYTES];

struct seipd_v1;

/**
 * Decrypts `body` (borrowed), which stands after the version octet. With `verify` the plaintext is
 * hashed on the way and its last SEIPD_V1_MDC_PACKET_BYTES are held back; seipd_v1_finish then
 * tells whether it was authentic. Without, for data verified before, all of it comes out, the MDC
 * packet too.
 */
int seipd_v1_new(struct byte_stream *body, const struct session_key *key, bool verify,
                 struct seipd_v1 **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void seipd_v1_free(struct seipd_v1 *seipd);
DEFINE_CLEANUP(struct seipd_v1, seipd_v1_free)

/**
 * The plaintext. With `verify`, reads must ask for more than SEIPD_V1_MDC_PACKET_BYTES (a lookahead
 * in front of it does). The uniform error when the body ends before the MDC packet.
 */
struct byte_stream *seipd_v1_stream(struct seipd_v1 *seipd);

/** Bytes decrypted so far: what decompression has to compare its output with. */
const uint64_t *seipd_v1_decrypted_bytes(const struct seipd_v1 *seipd);

/** Once the stream has ended: the uniform error unless the MDC packet is right. Needs `verify`. */
int seipd_v1_finish(struct seipd_v1 *seipd, struct error *err);

#endif
