/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes one packet: its header, and its body in one piece when the length is known and fits four
 * octets, else in chunks of partial length (RFC 9580 section 4.2.1.4).
 */
#ifndef CODEC_OPENPGP_PACKET_WRITER_H
#define CODEC_OPENPGP_PACKET_WRITER_H

#include "codec/openpgp/byte_output.h"
#include "glancefs/secure_arena.h"

#include <stdbool.h>
#include <stdint.h>

/** Bytes of a chunk, a power of two: 2 to the PACKET_CHUNK_EXPONENT. */
#define PACKET_CHUNK_EXPONENT 20
#define PACKET_CHUNK_BYTES ((size_t)1 << PACKET_CHUNK_EXPONENT)

/** The body's length is not known. */
#define PACKET_LENGTH_UNKNOWN UINT64_MAX

struct packet_writer;

/** True when a body of `length` bytes is written in one piece. */
bool packet_length_is_definite(uint64_t length);

/**
 * A writer of a packet of `type` whose body has `length` bytes, to `below` (borrowed). When chunks
 * are needed, one is collected in `arena` (plaintext) or on the heap (NULL).
 */
int packet_writer_new(uint8_t type, uint64_t length, struct secure_arena *arena,
                      struct byte_output *below, struct packet_writer **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void packet_writer_free(struct packet_writer *writer);
DEFINE_CLEANUP(struct packet_writer, packet_writer_free)

/** Where the body goes: exactly `length` bytes when that is known. */
struct byte_output *packet_writer_body(struct packet_writer *writer);

/** Completes the packet. */
int packet_writer_finish(struct packet_writer *writer, struct cancel *cancel, struct error *err);

#endif
