/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed Data packet (RFC 9580 section 5.6): its content as a stream. ZIP, ZLIB and BZip2 are
 * decompressed, with state in the arena (decompressor.h); uncompressed is passed through.
 */
#ifndef CODEC_OPENPGP_COMPRESSED_H
#define CODEC_OPENPGP_COMPRESSED_H

#include "codec/openpgp/algorithm.h"
#include "codec/openpgp/packet_body.h"

struct compressed;

/**
 * Reads the algorithm octet of `body` and decompresses the rest. `base_bytes` (borrowed) counts the
 * message's bytes read so far: once LIMIT_EXPANSION_FREE_BYTES came out, no more than
 * LIMIT_EXPANSION_RATIO times that may (ERROR_TOO_LARGE from a read). Counting from the bottom
 * makes compressed data inside compressed data no way around it.
 *
 * ERROR_UNSUPPORTED: an unknown algorithm. ERROR_EXHAUSTED: the arena is full. Damaged or
 * cut data is the uniform error of a read, and so is trailing data, but for the padding of sq 0.x.
 */
int compressed_new(struct packet_body *body, struct secure_arena *arena, const uint64_t *base_bytes,
                   struct cancel *cancel, struct compressed **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void compressed_free(struct compressed *compressed);
DEFINE_CLEANUP(struct compressed, compressed_free)

/** The content, plain. */
struct byte_stream *compressed_stream(struct compressed *compressed);

/** The algorithm, one that is supported. */
enum compression_id compressed_algorithm(const struct compressed *compressed);

#endif
