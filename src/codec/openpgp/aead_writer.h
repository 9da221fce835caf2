/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the body of an AEAD encrypted data packet (see aead_header.h): what stands in clear, then
 * the packets in chunks with their tags, then the final tag. AES-256, chunks of 64 KiB: a read in
 * the middle has to decrypt one, and larger ones are hardly faster.
 */
#ifndef CODEC_OPENPGP_AEAD_WRITER_H
#define CODEC_OPENPGP_AEAD_WRITER_H

#include "codec/openpgp/byte_output.h"
#include "codec/openpgp/session_key.h"
#include "crypto/aead_cipher.h"
#include "glancefs/codec.h"

struct aead_writer;

/** The type of the encrypted data packet that `mode` means (AEAD_NONE: SEIPD, too). */
uint8_t aead_writer_packet_type(enum aead_mode mode);

/** The algorithm that `mode`, not AEAD_NONE, means. */
enum aead_algorithm aead_writer_algorithm(enum aead_mode mode);

/** Bytes of a body that holds `packets_size` bytes of packets. */
uint64_t aead_writer_body_size(enum aead_mode mode, uint64_t packets_size);

/**
 * Encrypts with `key` (AES-256), in its arena, to `below` (borrowed), where ciphertext arrives a
 * chunk at a time. Makes a random salt or IV. ERROR_EXHAUSTED.
 */
int aead_writer_new(enum aead_mode mode, const struct session_key *key, struct byte_output *below,
                    struct aead_writer **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void aead_writer_free(struct aead_writer *writer);
DEFINE_CLEANUP(struct aead_writer, aead_writer_free)

/** Writes what stands in clear. First, once. */
int aead_writer_begin(struct aead_writer *writer, struct cancel *cancel, struct error *err);

/** Where the packets go. */
struct byte_output *aead_writer_packets(struct aead_writer *writer);

/** Writes the last chunk and the final tag. Last, once. */
int aead_writer_finish(struct aead_writer *writer, struct cancel *cancel, struct error *err);

#endif
