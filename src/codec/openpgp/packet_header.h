/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet headers (RFC 9580 section 4.2): the type ID and one length, in the OpenPGP format (one,
 * two and five octets, partial) and in the legacy format (one, two and four octets, indeterminate).
 */
#ifndef CODEC_OPENPGP_PACKET_HEADER_H
#define CODEC_OPENPGP_PACKET_HEADER_H

#include "codec/openpgp/lookahead.h"
#include "glancefs/byte_cursor.h"

#include <stdbool.h>
#include <stdint.h>

enum packet_length_form {
    PACKET_LENGTH_DEFINITE,      /* the body has `length` octets, or that many more */
    PACKET_LENGTH_PARTIAL,       /* `length` octets, then another length */
    PACKET_LENGTH_INDETERMINATE, /* up to the end of the container */
};

struct packet_header {
    uint8_t type; /* enum packet_type, or an unknown one */
    enum packet_length_form form;
    uint64_t length; /* in bytes; 0 when indeterminate */
};

/** Most bytes of one header, and of one length. */
#define PACKET_HEADER_MAXIMUM_BYTES 6
#define PACKET_LENGTH_MAXIMUM_BYTES 5

/** The smallest first partial length, in bytes (section 4.2.1.4). */
#define PACKET_FIRST_PARTIAL_MINIMUM_BYTES 512

/**
 * Parses a header. The uniform error: the octets end, bit 7 is clear, type 0, a length that is not
 * allowed for the type (partial or indeterminate without data) or too small for a first partial.
 */
int packet_header_parse(struct byte_cursor *cursor, struct packet_header *ret, struct error *err);

/** Parses the length that follows a partial chunk; form is definite or partial. */
int packet_length_parse(struct byte_cursor *cursor, enum packet_length_form *ret_form,
                        uint64_t *ret_length, struct error *err);

/** Reads the next header of `packets`. *ret_end is true, and *ret unset, when no more follow. */
int packet_header_read(struct lookahead *packets, struct cancel *cancel, bool *ret_end,
                       struct packet_header *ret, struct error *err);

/** Writes an OpenPGP-format header with a five-octet length to `out`; returns its size, 6. */
size_t packet_header_write(uint8_t type, uint32_t length, uint8_t *out);

#endif
