/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/aead_header.h"

#include "codec/openpgp/algorithm.h"
#include "codec/openpgp/packet_type.h"
#include "glancefs/limits.h"

#include <stdbool.h>

/* Type and version are known when a header is read. */
#define KNOWN_OCTETS 2

/* Chunks have 2 to the power of the octet and this. RFC 9580 stops at 4 MiB; LibrePGP goes on to
 * 4 EiB, which says nothing about the chunks that are really there. */
#define CHUNK_SIZE_BASE 6
#define SEIPD_V2_MAXIMUM_OCTET 16
#define OCB_PACKET_MAXIMUM_OCTET 56
_Static_assert((size_t)1 << (SEIPD_V2_MAXIMUM_OCTET + CHUNK_SIZE_BASE) == LIMIT_AEAD_CHUNK_BYTES,
               "the largest chunk is the one that readers have to take");

static int parse(struct aead_header *header, struct error *err)
{
    const uint8_t *octets = header->octets;
    const bool is_seipd = octets[0] == (0xc0 | PACKET_SEIPD);

    if (!cipher_algorithm_from_id(octets[2], &header->cipher) || !aead_takes_cipher(header->cipher))
        return error_set(err, ERROR_UNSUPPORTED, "AEAD with cipher algorithm %u is not supported",
                         octets[2]);
    if (!aead_algorithm_from_id(octets[3], &header->aead))
        return error_set(err, ERROR_UNSUPPORTED, "AEAD algorithm %u is not supported", octets[3]);
    if (octets[4] > (is_seipd ? SEIPD_V2_MAXIMUM_OCTET : OCB_PACKET_MAXIMUM_OCTET))
        return error_set(err, ERROR_TOO_LARGE, "AEAD chunk size octet %u", octets[4]);
    header->chunk_size = (size_t)1 << (octets[4] + CHUNK_SIZE_BASE);
    header->salt_size = is_seipd ? AEAD_SALT_BYTES : aead_nonce_size(header->aead);
    return 0;
}

int aead_header_read(struct byte_stream *body, uint8_t type, uint8_t version, struct cancel *cancel,
                     struct aead_header *ret, struct error *err)
{
    ret->octets[0] = (uint8_t)(0xc0 | type);
    ret->octets[1] = version;
    if (byte_stream_read_exact(body, ret->octets + KNOWN_OCTETS, AEAD_HEADER_OCTETS - KNOWN_OCTETS,
                               cancel, err) < 0 ||
        parse(ret, err) < 0)
        return -1;
    return byte_stream_read_exact(body, ret->salt, ret->salt_size, cancel, err);
}
