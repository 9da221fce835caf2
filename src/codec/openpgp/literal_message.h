/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar inside the encryption (RFC 9580 section 10.3): exactly one literal data packet, or
 * one compressed data packet that holds such a message, at most LIMIT_PACKET_NESTING containers
 * deep. Packets that readers ignore (padding, markers, unknown non-critical ones) may stand before
 * and after it in every container; no other packet may. The content of the literal comes out as a
 * stream.
 */
#ifndef CODEC_OPENPGP_LITERAL_MESSAGE_H
#define CODEC_OPENPGP_LITERAL_MESSAGE_H

#include "codec/openpgp/byte_stream.h"
#include "codec/openpgp/packet_index.h"
#include "glancefs/secure_arena.h"

#include <stdbool.h>
#include <stdint.h>

/** Look-ahead into decrypted packets: one piece of reading, decrypting and hashing. */
#define LITERAL_MESSAGE_PIECE_BYTES ((size_t)256 * 1024)

struct literal_message;

/**
 * Reads `plaintext` (borrowed) up to the content of its literal. `plaintext_bytes` (borrowed) counts
 * what was read of it, for the limit on expansion. Buffers live in `arena`.
 *
 * The uniform error: malformed, or no literal. ERROR_UNSUPPORTED: a signed message, encryption
 * inside the encryption, a compression that we do not have. ERROR_TOO_LARGE: nested too deeply,
 * or BZip2 data inside BZip2 data. Neither of the last two may reach a caller who has not verified
 * the MDC: see confirm_refusal in openpgp_stream.c.
 */
int literal_message_new(struct byte_stream *plaintext, const uint64_t *plaintext_bytes,
                        struct secure_arena *arena, struct cancel *cancel,
                        struct literal_message **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void literal_message_free(struct literal_message *message);
DEFINE_CLEANUP(struct literal_message, literal_message_free)

/** The literal's content. Reads may also fail with ERROR_TOO_LARGE, as above. */
struct byte_stream *literal_message_content(struct literal_message *message);

/** Notes in `index` (borrowed, all zero) where the content lies in `plaintext`; nothing when it
 *  stands in a compressed packet. Call it before the first read. */
void literal_message_note(struct literal_message *message, struct packet_index *index);

/** Bytes of the content that are left, when its packet says so, and it is not compressed; else
 *  BYTE_SOURCE_SIZE_UNKNOWN. */
uint64_t literal_message_remaining(struct literal_message *message);

/** True when the literal stands in data that is compressed, and not merely stored. */
bool literal_message_is_compressed(const struct literal_message *message);

/** The uniform error unless the content was read to its end and all containers end there, with
 *  nothing behind it but packets that readers ignore. May be called again after another failure. */
int literal_message_finish(struct literal_message *message, struct cancel *cancel,
                           struct error *err);

#endif
