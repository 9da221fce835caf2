/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/skesk.h"

#include "codec/openpgp/algorithm.h"
#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/packet_header.h"
#include "codec/openpgp/packet_type.h"
#include "crypto/random.h"

#include <string.h>

int skesk_parse(struct byte_cursor *cursor, struct skesk *ret, struct error *err)
{
    uint8_t version, cipher;

    memset(ret, 0, sizeof *ret);
    if (byte_cursor_u8(cursor, &version, err) < 0)
        return message_damaged(err);
    if (version != SKESK_VERSION)
        return error_set(err, ERROR_UNSUPPORTED,
                         "symmetric-key session key packets of version %u are not supported",
                         version);
    if (byte_cursor_u8(cursor, &cipher, err) < 0)
        return message_damaged(err);
    if (!cipher_algorithm_from_id(cipher, &ret->cipher))
        return error_set(err, ERROR_UNSUPPORTED, "symmetric algorithm %u is not supported", cipher);
    if (s2k_parse(cursor, &ret->s2k, err) < 0)
        return -1;
    ret->encrypted_key_size = byte_cursor_remaining(cursor);
    if (ret->encrypted_key_size > sizeof ret->encrypted_key)
        return message_damaged(err);
    return byte_cursor_copy(cursor, ret->encrypted_key, ret->encrypted_key_size, err);
}

/* Octets: the algorithm of the session key, then the key itself. */
static int decrypt_session_key(const struct skesk *skesk, const struct session_key *derived,
                               struct session_key **ret, struct error *err)
{
    CLEANUP(cfb_cipher_free) struct cfb_cipher *cipher = NULL;
    CLEANUP(session_key_free) struct session_key *key = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *plain = NULL;
    const uint8_t *octets;

    if (secure_buffer_copy_of(derived->arena, skesk->encrypted_key, skesk->encrypted_key_size,
                              &plain, err) < 0 ||
        session_key_new(derived->arena, &key, err) < 0 ||
        cfb_cipher_new(derived->algorithm, derived->key, NULL, &cipher, err) < 0)
        return -1;
    cfb_cipher_decrypt(cipher, secure_buffer_data(plain), secure_buffer_bytes(plain),
                       skesk->encrypted_key_size);
    octets = secure_buffer_bytes(plain);
    if (!cipher_algorithm_from_id(octets[0], &key->algorithm) ||
        cipher_key_size(key->algorithm) != skesk->encrypted_key_size - 1)
        return 0;
    memcpy(key->key, octets + 1, skesk->encrypted_key_size - 1);
    *ret = steal(&key);
    return 0;
}

int skesk_session_key(const struct skesk *skesk, struct secure_arena *arena,
                      const struct secure_buffer *passphrase, uint64_t cpu_deadline_ns,
                      struct cancel *cancel, struct session_key **ret, struct error *err)
{
    CLEANUP(session_key_free) struct session_key *derived = NULL;

    *ret = NULL;
    if (session_key_new(arena, &derived, err) < 0)
        return -1;
    derived->algorithm = skesk->cipher;
    if (s2k_derive(&skesk->s2k, arena, passphrase, cpu_deadline_ns, cancel, derived->key,
                   cipher_key_size(skesk->cipher), err) < 0)
        return -1;
    if (skesk->encrypted_key_size > 0)
        return decrypt_session_key(skesk, derived, ret, err);
    *ret = steal(&derived);
    return 0;
}

/* The octets up to the encrypted session key. */
static size_t write_parameters(const struct s2k *s2k, uint8_t *out)
{
    size_t size =
        packet_header_write(PACKET_SKESK, SKESK_WRITTEN_BYTES - PACKET_HEADER_MAXIMUM_BYTES, out);

    out[size++] = SKESK_VERSION;
    out[size++] = CIPHER_ID_AES256;
    out[size++] = S2K_ITERATED_AND_SALTED;
    out[size++] = HASH_ID_SHA256;
    memcpy(out + size, s2k->salt, S2K_SALT_BYTES);
    size += S2K_SALT_BYTES;
    out[size++] = S2K_CODED_COUNT_MAXIMUM;
    return size;
}

int skesk_write(const struct session_key *session_key, struct secure_arena *arena,
                const struct secure_buffer *passphrase, uint8_t *out, struct error *err)
{
    struct s2k s2k = {.type = S2K_ITERATED_AND_SALTED,
                      .hash = HASH_SHA256,
                      .count = s2k_decode_count(S2K_CODED_COUNT_MAXIMUM)};
    CLEANUP(session_key_free) struct session_key *derived = NULL;
    CLEANUP(cfb_cipher_free) struct cfb_cipher *cipher = NULL;
    const uint8_t algorithm = CIPHER_ID_AES256;
    size_t size;

    if (session_key_new(arena, &derived, err) < 0)
        return -1;
    random_bytes(s2k.salt, sizeof s2k.salt);
    if (s2k_derive(&s2k, arena, passphrase, UINT64_MAX, NULL, derived->key,
                   cipher_key_size(CIPHER_AES256), err) < 0 ||
        cfb_cipher_new(CIPHER_AES256, derived->key, NULL, &cipher, err) < 0)
        return -1;
    size = write_parameters(&s2k, out);
    cfb_cipher_encrypt(cipher, out + size, &algorithm, 1);
    cfb_cipher_encrypt(cipher, out + size + 1, session_key->key, cipher_key_size(CIPHER_AES256));
    return 0;
}
