/* SPDX-License-Identifier: Apache-2.0 */
/* What reading and writing an SKESK have in common: the key that encrypts the session key. */
#ifndef CODEC_OPENPGP_SKESK_KEY_H
#define CODEC_OPENPGP_SKESK_KEY_H

#include "codec/openpgp/skesk.h"

/** Packet type in OpenPGP format, version, cipher, AEAD mode: what versions 5 and 6 authenticate
 *  along with the session key. */
#define SKESK_HEADER_OCTETS 4

void skesk_header(const struct skesk *skesk, uint8_t ret[SKESK_HEADER_OCTETS]);

/** The key for the cipher of `skesk` out of `passphrase`: of version 6 by HKDF from what S2K
 *  derives, of the others S2K's own. Errors as s2k_derive. */
int skesk_derive_key(const struct skesk *skesk, struct secure_arena *arena,
                     const struct secure_buffer *passphrase, struct s2k_allowance *allowance,
                     struct cancel *cancel, struct session_key **ret, struct error *err);

#endif
