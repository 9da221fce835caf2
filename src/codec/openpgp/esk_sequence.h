/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front of an encrypted message (RFC 9580 section 10.3): session key packets, and whatever a
 * reader ignores, up to the header of the encrypted data. All of it is visible without the key.
 */
#ifndef CODEC_OPENPGP_ESK_SEQUENCE_H
#define CODEC_OPENPGP_ESK_SEQUENCE_H

#include "codec/openpgp/packet_header.h"
#include "codec/openpgp/skesk.h"
#include "glancefs/limits.h"

struct esk_sequence {
    struct skesk skesks[LIMIT_SKESK_PACKETS]; /* those we can use, in order */
    size_t count;
    size_t skesk_packets; /* all of them */
    bool has_pkesk;
    struct error unsupported; /* why the first unusable SKESK is; unset when there is none */
};

/**
 * Reads `packets` from the start of a message up to and including the header of its SEIPD packet,
 * which goes to *ret_header; it stands *ret_offset bytes into the message.
 *
 * ERROR_CORRUPT: empty, not OpenPGP, not encrypted, no integrity protection (packet type 9),
 * damaged. ERROR_UNSUPPORTED: ASCII armor, packet type 20. ERROR_TOO_LARGE: a cap of limits.h.
 */
int esk_sequence_read(struct lookahead *packets, struct cancel *cancel, struct esk_sequence *ret,
                      uint64_t *ret_offset, struct packet_header *ret_header, struct error *err);

/**
 * The first session key that `passphrase` gives out of any packet and that fits the encrypted data
 * which starts with `sample` (see session_key_fits). All derivations together may take
 * LIMIT_DERIVATION_SECONDS of this thread's CPU.
 *
 * The uniform error when none fits; ERROR_UNSUPPORTED when no packet is of a kind we can use.
 */
int esk_sequence_find_session_key(const struct esk_sequence *sequence, struct secure_arena *arena,
                                  const struct secure_buffer *passphrase, const uint8_t *sample,
                                  size_t sample_size, struct cancel *cancel,
                                  struct session_key **ret, struct error *err);

#endif
