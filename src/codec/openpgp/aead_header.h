/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in clear before AEAD encrypted data: version 2 of the SEIPD packet (RFC 9580 section
 * 5.13.2) and the OCB encrypted data packet (LibrePGP section 5.16, type 20).
 */
#ifndef CODEC_OPENPGP_AEAD_HEADER_H
#define CODEC_OPENPGP_AEAD_HEADER_H

#include "codec/openpgp/byte_stream.h"
#include "crypto/aead_cipher.h"

#include <stddef.h>
#include <stdint.h>

#define SEIPD_V2_VERSION 2
#define OCB_PACKET_VERSION 1

/** Packet type in OpenPGP format, version, cipher, AEAD mode, chunk size: authenticated with every
 *  chunk. */
#define AEAD_HEADER_OCTETS 5

/** Bytes of a version 2 packet's salt; the IV of the other packet is shorter. */
#define AEAD_SALT_BYTES 32

struct aead_header {
    uint8_t octets[AEAD_HEADER_OCTETS];
    enum cipher_algorithm cipher;
    enum aead_algorithm aead;
    size_t chunk_size; /* plaintext bytes of every chunk but the last */
    uint8_t salt[AEAD_SALT_BYTES];
    size_t salt_size;
};

/**
 * Reads the rest of a header whose packet `type` and `version` are known to be one of the two; the
 * salt (or IV) is its end. ERROR_UNSUPPORTED: a cipher or mode that we do not have, or a cipher of
 * 8-octet blocks. ERROR_TOO_LARGE: a chunk size that no specification allows. The uniform error when
 * it is cut.
 */
int aead_header_read(struct byte_stream *body, uint8_t type, uint8_t version, struct cancel *cancel,
                     struct aead_header *ret, struct error *err);

#endif
