/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public-Key Encrypted Session Key packets (RFC 9580 section 5.1): not opened here, but handed on
 * (session_key_resolver.h). They are parsed as far as it takes to tell the versions apart.
 */
#ifndef CODEC_OPENPGP_PKESK_H
#define CODEC_OPENPGP_PKESK_H

#include "codec/openpgp/encrypted_data.h"
#include "glancefs/byte_cursor.h"

#include <stdbool.h>

/** Versions with a meaning; packets of others are ignored. */
#define PKESK_VERSION 3
#define PKESK_VERSION_FINGERPRINT 6

/** The version of a packet body. The uniform error when a body of version 3 or 6 ends before its
 *  encrypted session key begins. */
int pkesk_parse(struct byte_cursor *cursor, uint8_t *ret_version, struct error *err);

/** Whether a packet of `version` may stand before encrypted data of `kind`: see encrypted_data.h. */
bool pkesk_version_goes_with(uint8_t version, enum encrypted_data_kind kind);

/** Whole packets of one version, one after the other. Start with all zero. */
struct pkesk_packets {
    uint8_t *bytes;
    size_t size;
    unsigned count;
    bool is_cut; /* there were more than LIMIT_PKESK_PACKETS, or LIMIT_PKESK_BYTES, of them */
};

/** Adds a packet with `body`. ERROR_EXHAUSTED when there is no memory. */
int pkesk_packets_add(struct pkesk_packets *packets, const uint8_t *body, size_t size,
                      struct error *err);

/** Frees the bytes and makes everything zero. */
void pkesk_packets_clear(struct pkesk_packets *packets);

#endif
