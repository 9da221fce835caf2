/* SPDX-License-Identifier: Apache-2.0 */
/* Packet type IDs (RFC 9580 section 5; type 20 is LibrePGP's). */
#ifndef CODEC_OPENPGP_PACKET_TYPE_H
#define CODEC_OPENPGP_PACKET_TYPE_H

#include <stdbool.h>
#include <stdint.h>

enum packet_type {
    PACKET_RESERVED = 0,
    PACKET_PKESK = 1,
    PACKET_SIGNATURE = 2,
    PACKET_SKESK = 3,
    PACKET_ONE_PASS_SIGNATURE = 4,
    PACKET_COMPRESSED_DATA = 8,
    PACKET_SED = 9, /* encrypted without integrity protection */
    PACKET_MARKER = 10,
    PACKET_LITERAL_DATA = 11,
    PACKET_SEIPD = 18,
    PACKET_MDC = 19,
    PACKET_AEAD_ENCRYPTED_DATA = 20, /* LibrePGP, not in RFC 9580 */
    PACKET_PADDING = 21,
    PACKET_FIRST_NON_CRITICAL = 40, /* unknown ones from here on are ignored (section 4.3) */
};

/** True for packets that a reader steps over wherever packets may stand: marker, padding and
 *  those of the non-critical range. */
bool packet_type_is_ignorable(uint8_t type);

/** True for packets of encrypted data with integrity protection: SEIPD, and the one of LibrePGP. */
bool packet_type_is_encrypted_data(uint8_t type);

/** True for packets that hold data, whose length may be partial or, in the old format,
 *  indeterminate (section 4.2.1.4). */
bool packet_type_is_data(uint8_t type);

#endif
