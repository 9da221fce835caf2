/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encrypted data packet of a message, as far as finding its session key needs to know it. Each
 * kind goes with session key packets of its own versions (RFC 9580 section 10.3.2.1):
 *
 *     SEIPD version 1        SKESK v4, PKESK v3
 *     SEIPD version 2        SKESK v6, PKESK v6
 *     packet 20 (LibrePGP)   SKESK v5 and, as GnuPG writes it, v4; PKESK v3
 *
 * Session key packets of another version are as good as not there.
 */
#ifndef CODEC_OPENPGP_ENCRYPTED_DATA_H
#define CODEC_OPENPGP_ENCRYPTED_DATA_H

#include "crypto/cfb_cipher.h"

#include <stddef.h>
#include <stdint.h>

enum encrypted_data_kind {
    ENCRYPTED_DATA_SEIPD_V1,
    ENCRYPTED_DATA_SEIPD_V2,
    ENCRYPTED_DATA_LIBREPGP_AEAD,
};

struct encrypted_data {
    enum encrypted_data_kind kind;
    /** The cipher that the packet names; SEIPD version 1 names none. */
    enum cipher_algorithm cipher;
    /** SEIPD version 1: its first SESSION_KEY_SAMPLE_BYTES after the version octet, or less when it
     *  ends before. Borrowed; not looked at for the other kinds, whose tags say what is right. */
    const uint8_t *sample;
    size_t sample_size;
};

#endif
