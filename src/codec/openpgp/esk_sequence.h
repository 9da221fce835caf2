/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front of an encrypted message (RFC 9580 section 10.3): session key packets, and whatever a
 * reader ignores, up to the header of the encrypted data. All of it is visible without the key.
 */
#ifndef CODEC_OPENPGP_ESK_SEQUENCE_H
#define CODEC_OPENPGP_ESK_SEQUENCE_H

#include "codec/openpgp/packet_header.h"
#include "codec/openpgp/pkesk.h"
#include "codec/openpgp/skesk.h"
#include "glancefs/limits.h"

struct esk_sequence {
    struct skesk skesks[LIMIT_SKESK_PACKETS]; /* those we can use, in order */
    size_t count;
    size_t skesk_packets;          /* all of them */
    struct error unusable;         /* why the first one that we cannot use is so; or unset */
    struct pkesk_packets pkesk_v3; /* PKESK_VERSION */
    struct pkesk_packets pkesk_v6; /* PKESK_VERSION_FINGERPRINT */
};

/**
 * Reads `packets` from the start of a message up to and including the header of its encrypted data
 * packet (SEIPD or LibrePGP's), which goes to *ret_header; it stands *ret_offset bytes into the
 * message.
 *
 * ERROR_CORRUPT: empty, not OpenPGP, not encrypted, no integrity protection (packet type 9),
 * damaged. ERROR_TOO_LARGE: a cap of limits.h.
 */
int esk_sequence_read(struct lookahead *packets, struct cancel *cancel, struct esk_sequence **ret,
                      uint64_t *ret_offset, struct packet_header *ret_header, struct error *err);

/** ERROR_CORRUPT when `packets` ends at once, or does not begin like a packet. */
int esk_sequence_check_start(struct lookahead *packets, struct cancel *cancel, struct error *err);

/** What ends the sequence must be encrypted data (SEIPD or LibrePGP's); ERROR_CORRUPT names what it
 *  is instead. */
int esk_sequence_require_encrypted_data(const struct packet_header *header, struct error *err);

/** Frees; NULL is allowed. */
void esk_sequence_free(struct esk_sequence *sequence);
DEFINE_CLEANUP(struct esk_sequence, esk_sequence_free)

/** The PKESK packets that go with `kind`. */
const struct pkesk_packets *esk_sequence_pkesks(const struct esk_sequence *sequence,
                                                enum encrypted_data_kind kind);

#endif
