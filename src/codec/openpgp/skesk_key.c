/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/skesk_key.h"

#include "codec/openpgp/algorithm.h"
#include "codec/openpgp/packet_type.h"
#include "crypto/hkdf.h"

void skesk_header(const struct skesk *skesk, uint8_t ret[SKESK_HEADER_OCTETS])
{
    ret[0] = 0xc0 | PACKET_SKESK;
    ret[1] = skesk->version;
    ret[2] = cipher_algorithm_id(skesk->cipher);
    ret[3] = aead_algorithm_id(skesk->aead);
}

static int expand(const struct skesk *skesk, struct session_key **key, struct error *err)
{
    CLEANUP(session_key_free) struct session_key *expanded = NULL;
    uint8_t header[SKESK_HEADER_OCTETS];

    skesk_header(skesk, header);
    if (session_key_new((*key)->arena, &expanded, err) < 0 ||
        hkdf_derive(HASH_SHA256, (*key)->key, (*key)->size, NULL, 0, header, sizeof header,
                    expanded->key, (*key)->size, err) < 0)
        return -1;
    expanded->algorithm = (*key)->algorithm;
    expanded->size = (*key)->size;
    session_key_free(*key);
    *key = steal(&expanded);
    return 0;
}

int skesk_derive_key(const struct skesk *skesk, struct secure_arena *arena,
                     const struct secure_buffer *passphrase, struct s2k_allowance *allowance,
                     struct cancel *cancel, struct session_key **ret, struct error *err)
{
    CLEANUP(session_key_free) struct session_key *key = NULL;

    if (session_key_new(arena, &key, err) < 0)
        return -1;
    key->algorithm = skesk->cipher;
    key->size = cipher_key_size(skesk->cipher);
    if (s2k_derive(&skesk->s2k, arena, passphrase, allowance, cancel, key->key, key->size, err) < 0)
        return -1;
    if (skesk->version == SKESK_VERSION_AEAD && expand(skesk, &key, err) < 0)
        return -1;
    *ret = steal(&key);
    return 0;
}
