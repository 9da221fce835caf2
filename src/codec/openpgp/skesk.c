/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/skesk.h"

#include "codec/openpgp/algorithm.h"
#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/packet_type.h"
#include "codec/openpgp/skesk_key.h"

#include <string.h>

static int parse_cipher(struct byte_cursor *cursor, struct skesk *skesk, struct error *err)
{
    uint8_t id;

    if (byte_cursor_u8(cursor, &id, err) < 0)
        return message_damaged(err);
    if (!cipher_algorithm_from_id(id, &skesk->cipher))
        return error_set(err, ERROR_UNSUPPORTED, "symmetric algorithm %u is not supported", id);
    return 0;
}

static int parse_aead(struct byte_cursor *cursor, struct skesk *skesk, struct error *err)
{
    uint8_t id;

    if (byte_cursor_u8(cursor, &id, err) < 0)
        return message_damaged(err);
    if (!aead_algorithm_from_id(id, &skesk->aead))
        return error_set(err, ERROR_UNSUPPORTED, "AEAD algorithm %u is not supported", id);
    if (!aead_takes_cipher(skesk->cipher))
        return error_set(err, ERROR_UNSUPPORTED, "AEAD with a cipher of short blocks");
    return 0;
}

/* What is left of the packet, at most what a key can have. */
static int parse_encrypted_key(struct byte_cursor *cursor, size_t size, struct skesk *skesk,
                               struct error *err)
{
    if (size > sizeof skesk->encrypted_key)
        return message_damaged(err);
    skesk->encrypted_key_size = size;
    return byte_cursor_copy(cursor, skesk->encrypted_key, size, err) < 0 ? message_damaged(err) : 0;
}

static int parse_v4(struct byte_cursor *cursor, struct skesk *skesk, struct error *err)
{
    if (parse_cipher(cursor, skesk, err) < 0 || s2k_parse(cursor, &skesk->s2k, err) < 0)
        return -1;
    return parse_encrypted_key(cursor, byte_cursor_remaining(cursor), skesk, err);
}

/* The end of both versions: nonce, key, tag. */
static int parse_sealed_key(struct byte_cursor *cursor, struct skesk *skesk, struct error *err)
{
    size_t remaining;

    if (byte_cursor_copy(cursor, skesk->nonce, aead_nonce_size(skesk->aead), err) < 0)
        return message_damaged(err);
    remaining = byte_cursor_remaining(cursor);
    if (remaining <= AEAD_TAG_BYTES ||
        parse_encrypted_key(cursor, remaining - AEAD_TAG_BYTES, skesk, err) < 0 ||
        byte_cursor_copy(cursor, skesk->tag, AEAD_TAG_BYTES, err) < 0)
        return message_damaged(err);
    return 0;
}

static int parse_v5(struct byte_cursor *cursor, struct skesk *skesk, struct error *err)
{
    if (parse_cipher(cursor, skesk, err) < 0 || parse_aead(cursor, skesk, err) < 0 ||
        s2k_parse(cursor, &skesk->s2k, err) < 0)
        return -1;
    return parse_sealed_key(cursor, skesk, err);
}

/* The specifier has a length of its own, so that an unknown one can be named and stepped over. */
static int parse_v6_s2k(struct byte_cursor *cursor, struct skesk *skesk, struct error *err)
{
    struct byte_cursor specifier;
    const uint8_t *octets;
    uint8_t size;

    if (byte_cursor_u8(cursor, &size, err) < 0 || byte_cursor_take(cursor, size, &octets, err) < 0)
        return message_damaged(err);
    specifier = byte_cursor_over(octets, size);
    if (s2k_parse(&specifier, &skesk->s2k, err) < 0)
        return -1;
    return byte_cursor_finish(&specifier, err) < 0 ? message_damaged(err) : 0;
}

/* The first octet counts what stands between it and the encrypted key. */
static int parse_v6(struct byte_cursor *cursor, struct skesk *skesk, struct error *err)
{
    uint8_t count;
    size_t begin;

    if (byte_cursor_u8(cursor, &count, err) < 0)
        return message_damaged(err);
    begin = cursor->position;
    if (parse_cipher(cursor, skesk, err) < 0 || parse_aead(cursor, skesk, err) < 0 ||
        parse_v6_s2k(cursor, skesk, err) < 0)
        return -1;
    if (cursor->position - begin + aead_nonce_size(skesk->aead) != count)
        return message_damaged(err);
    return parse_sealed_key(cursor, skesk, err);
}

int skesk_parse(struct byte_cursor *cursor, struct skesk *ret, struct error *err)
{
    memset(ret, 0, sizeof *ret);
    if (byte_cursor_u8(cursor, &ret->version, err) < 0)
        return message_damaged(err);
    switch (ret->version) {
    case SKESK_VERSION:
        return parse_v4(cursor, ret, err);
    case SKESK_VERSION_LIBREPGP_AEAD:
        return parse_v5(cursor, ret, err);
    case SKESK_VERSION_AEAD:
        return parse_v6(cursor, ret, err);
    default:
        return error_set(err, ERROR_UNSUPPORTED,
                         "symmetric-key session key packets of version %u are not supported",
                         ret->version);
    }
}

bool skesk_version_goes_with(uint8_t version, enum encrypted_data_kind kind)
{
    switch (kind) {
    case ENCRYPTED_DATA_SEIPD_V1:
        return version == SKESK_VERSION;
    case ENCRYPTED_DATA_SEIPD_V2:
        return version == SKESK_VERSION_AEAD;
    case ENCRYPTED_DATA_LIBREPGP_AEAD:
        return version == SKESK_VERSION_LIBREPGP_AEAD || version == SKESK_VERSION;
    }
    return false;
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
    key->size = skesk->encrypted_key_size - 1;
    memcpy(key->key, octets + 1, key->size);
    *ret = steal(&key);
    return 0;
}

/* The octets are the key alone. */
static int open_session_key(const struct skesk *skesk, const struct session_key *derived,
                            struct session_key **ret, struct error *err)
{
    CLEANUP(aead_cipher_free) struct aead_cipher *cipher = NULL;
    CLEANUP(session_key_free) struct session_key *key = NULL;
    uint8_t header[SKESK_HEADER_OCTETS];

    if (skesk->encrypted_key_size > sizeof key->key)
        return 0;
    skesk_header(skesk, header);
    if (session_key_new(derived->arena, &key, err) < 0 ||
        aead_cipher_new(skesk->aead, skesk->cipher, derived->key, &cipher, err) < 0)
        return -1;
    aead_cipher_begin(cipher, skesk->nonce, header, sizeof header);
    aead_cipher_decrypt(cipher, key->key, skesk->encrypted_key, skesk->encrypted_key_size, true);
    if (!aead_cipher_check_tag(cipher, skesk->tag))
        return 0;
    key->size = skesk->encrypted_key_size;
    *ret = steal(&key);
    return 0;
}

int skesk_session_key(const struct skesk *skesk, struct secure_arena *arena,
                      const struct secure_buffer *passphrase, struct s2k_allowance *allowance,
                      struct cancel *cancel, struct session_key **ret, struct error *err)
{
    CLEANUP(session_key_free) struct session_key *derived = NULL;

    *ret = NULL;
    if (skesk_derive_key(skesk, arena, passphrase, allowance, cancel, &derived, err) < 0)
        return -1;
    if (skesk->version != SKESK_VERSION)
        return open_session_key(skesk, derived, ret, err);
    if (skesk->encrypted_key_size > 0)
        return decrypt_session_key(skesk, derived, ret, err);
    *ret = steal(&derived);
    return 0;
}
