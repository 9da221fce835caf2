/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the body of an SEIPD packet, version 1 (see seipd_v1.h): version octet, random prefix,
 * packets, MDC packet. A long body is hashed by the caller's thread while another one encrypts.
 */
#ifndef CODEC_OPENPGP_SEIPD_V1_WRITER_H
#define CODEC_OPENPGP_SEIPD_V1_WRITER_H

#include "codec/openpgp/byte_output.h"
#include "codec/openpgp/session_key.h"

struct seipd_v1_writer;

/** Bytes of a body that holds `packets_size` bytes of packets encrypted with `key`. */
uint64_t seipd_v1_body_size(const struct session_key *key, uint64_t packets_size);

/** Encrypts with `key`, in its arena, to `below` (borrowed), where ciphertext arrives in pieces of
 *  up to 64 KiB, in part after the write that it belongs to: a failure shows in a later one. */
int seipd_v1_writer_new(const struct session_key *key, struct byte_output *below,
                        struct seipd_v1_writer **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void seipd_v1_writer_free(struct seipd_v1_writer *writer);
DEFINE_CLEANUP(struct seipd_v1_writer, seipd_v1_writer_free)

/** Writes version and prefix. First, once. */
int seipd_v1_writer_begin(struct seipd_v1_writer *writer, struct cancel *cancel, struct error *err);

/** Where the packets go. */
struct byte_output *seipd_v1_writer_packets(struct seipd_v1_writer *writer);

/** Writes what is still being encrypted, then the MDC packet. Last, once. */
int seipd_v1_writer_finish(struct seipd_v1_writer *writer, struct cancel *cancel,
                           struct error *err);

#endif
