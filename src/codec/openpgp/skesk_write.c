/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/algorithm.h"
#include "codec/openpgp/packet_header.h"
#include "codec/openpgp/packet_type.h"
#include "codec/openpgp/skesk_key.h"
#include "crypto/random.h"

#include <string.h>

/* Octets of the S2K specifier that is written. */
#define S2K_WRITTEN_BYTES (3 + S2K_SALT_BYTES)

/* Octets of version 6 only: the count, and the size of the S2K specifier. */
#define V6_COUNT_OCTETS 2

/* What every written packet has; random salt, and random nonce if it is used. */
static struct skesk parameters(uint8_t version, enum aead_algorithm aead)
{
    struct skesk skesk = {.version = version,
                          .cipher = CIPHER_AES256,
                          .aead = aead,
                          .s2k = {.type = S2K_ITERATED_AND_SALTED,
                                  .hash = HASH_SHA256,
                                  .count = s2k_decode_count(S2K_CODED_COUNT_MAXIMUM)},
                          .encrypted_key_size = cipher_key_size(CIPHER_AES256)};

    random_bytes(skesk.s2k.salt, S2K_SALT_BYTES);
    random_bytes(skesk.nonce, sizeof skesk.nonce);
    return skesk;
}

static int derive(const struct skesk *skesk, struct secure_arena *arena,
                  const struct secure_buffer *passphrase, struct session_key **ret,
                  struct error *err)
{
    struct s2k_allowance unlimited = {.cpu_ns = UINT64_MAX};

    return skesk_derive_key(skesk, arena, passphrase, &unlimited, NULL, ret, err);
}

static uint8_t *put_octet(uint8_t *out, uint8_t octet)
{
    *out = octet;
    return out + 1;
}

static uint8_t *put(uint8_t *out, const void *octets, size_t size)
{
    memcpy(out, octets, size);
    return out + size;
}

static uint8_t *put_s2k(uint8_t *out, const struct s2k *s2k)
{
    out = put_octet(out, S2K_ITERATED_AND_SALTED);
    out = put_octet(out, HASH_ID_SHA256);
    out = put(out, s2k->salt, S2K_SALT_BYTES);
    return put_octet(out, S2K_CODED_COUNT_MAXIMUM);
}

int skesk_write(const struct session_key *session_key, struct secure_arena *arena,
                const struct secure_buffer *passphrase, uint8_t *out, struct error *err)
{
    const struct skesk skesk = parameters(SKESK_VERSION, AEAD_ALGORITHM_OCB);
    CLEANUP(session_key_free) struct session_key *derived = NULL;
    CLEANUP(cfb_cipher_free) struct cfb_cipher *cipher = NULL;
    const uint8_t algorithm = CIPHER_ID_AES256;

    if (derive(&skesk, arena, passphrase, &derived, err) < 0 ||
        cfb_cipher_new(skesk.cipher, derived->key, NULL, &cipher, err) < 0)
        return -1;
    out +=
        packet_header_write(PACKET_SKESK, SKESK_WRITTEN_BYTES - PACKET_HEADER_MAXIMUM_BYTES, out);
    out = put_octet(out, skesk.version);
    out = put_octet(out, CIPHER_ID_AES256);
    out = put_s2k(out, &skesk.s2k);
    cfb_cipher_encrypt(cipher, out, &algorithm, 1);
    cfb_cipher_encrypt(cipher, out + 1, session_key->key, skesk.encrypted_key_size);
    return 0;
}

/* The octets up to the encrypted session key. */
static uint8_t *put_aead_parameters(uint8_t *out, const struct skesk *skesk)
{
    const bool is_v6 = skesk->version == SKESK_VERSION_AEAD;
    const size_t nonce_size = aead_nonce_size(skesk->aead);

    out = put_octet(out, skesk->version);
    if (is_v6)
        out = put_octet(out, (uint8_t)(3 + S2K_WRITTEN_BYTES + nonce_size));
    out = put_octet(out, CIPHER_ID_AES256);
    out = put_octet(out, aead_algorithm_id(skesk->aead));
    if (is_v6)
        out = put_octet(out, S2K_WRITTEN_BYTES);
    out = put_s2k(out, &skesk->s2k);
    return put(out, skesk->nonce, nonce_size);
}

int skesk_write_aead(const struct session_key *session_key, bool is_librepgp,
                     enum aead_algorithm aead, struct secure_arena *arena,
                     const struct secure_buffer *passphrase, uint8_t *out, size_t *ret_size,
                     struct error *err)
{
    const struct skesk skesk =
        parameters(is_librepgp ? SKESK_VERSION_LIBREPGP_AEAD : SKESK_VERSION_AEAD, aead);
    CLEANUP(session_key_free) struct session_key *derived = NULL;
    CLEANUP(aead_cipher_free) struct aead_cipher *cipher = NULL;
    const size_t body_size = (size_t)3 + (is_librepgp ? 0 : V6_COUNT_OCTETS) + S2K_WRITTEN_BYTES +
                             aead_nonce_size(aead) + skesk.encrypted_key_size + AEAD_TAG_BYTES;
    uint8_t header[SKESK_HEADER_OCTETS];

    if (derive(&skesk, arena, passphrase, &derived, err) < 0 ||
        aead_cipher_new(aead, skesk.cipher, derived->key, &cipher, err) < 0)
        return -1;
    *ret_size = packet_header_write(PACKET_SKESK, (uint32_t)body_size, out) + body_size;
    out = put_aead_parameters(out + PACKET_HEADER_MAXIMUM_BYTES, &skesk);
    skesk_header(&skesk, header);
    aead_cipher_begin(cipher, skesk.nonce, header, sizeof header);
    aead_cipher_encrypt(cipher, out, session_key->key, skesk.encrypted_key_size, true);
    aead_cipher_tag(cipher, out + skesk.encrypted_key_size);
    return 0;
}
