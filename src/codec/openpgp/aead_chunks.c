/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/aead_chunks.h"

#include "codec/openpgp/message_damaged.h"
#include "crypto/hkdf.h"
#include "glancefs/secure_buffer.h"

#include <string.h>

static int init_seipd_v2(struct aead_chunks *chunks, const struct aead_header *header,
                         const struct session_key *key, struct error *err)
{
    const size_t iv_size = chunks->nonce_size - AEAD_COUNTER_BYTES;
    CLEANUP(secure_buffer_free) struct secure_buffer *derived = NULL;

    if (secure_buffer_new(key->arena, key->size + iv_size, &derived, err) < 0 ||
        hkdf_derive(HASH_SHA256, key->key, key->size, header->salt, header->salt_size,
                    header->octets, sizeof header->octets, secure_buffer_data(derived),
                    key->size + iv_size, err) < 0)
        return -1;
    memcpy(chunks->iv, secure_buffer_bytes(derived) + key->size, iv_size);
    return aead_cipher_new(header->aead, header->cipher, secure_buffer_bytes(derived),
                           &chunks->cipher, err);
}

static int init_ocb_packet(struct aead_chunks *chunks, const struct aead_header *header,
                           const struct session_key *key, struct error *err)
{
    chunks->authenticates_index = true;
    memcpy(chunks->iv, header->salt, chunks->nonce_size);
    return aead_cipher_new(header->aead, header->cipher, key->key, &chunks->cipher, err);
}

int aead_chunks_init(struct aead_chunks *chunks, const struct aead_header *header,
                     const struct session_key *key, struct error *err)
{
    if (key->size != cipher_key_size(header->cipher))
        return message_damaged(err);
    *chunks = (struct aead_chunks){.chunk_size = header->chunk_size,
                                   .nonce_size = aead_nonce_size(header->aead)};
    memcpy(chunks->header, header->octets, sizeof chunks->header);
    return header->octets[1] == SEIPD_V2_VERSION ? init_seipd_v2(chunks, header, key, err)
                                                 : init_ocb_packet(chunks, header, key, err);
}

void aead_chunks_clear(struct aead_chunks *chunks)
{
    aead_cipher_free(chunks->cipher);
    *chunks = (struct aead_chunks){.cipher = NULL};
}

static void put_counter(uint8_t out[AEAD_COUNTER_BYTES], uint64_t value)
{
    for (size_t i = AEAD_COUNTER_BYTES; i > 0; i--, value >>= 8)
        out[i - 1] = (uint8_t)value;
}

static void begin(struct aead_chunks *chunks, uint64_t index, const uint64_t *octets)
{
    uint8_t data[AEAD_HEADER_OCTETS + 2 * AEAD_COUNTER_BYTES];
    uint8_t nonce[AEAD_MAXIMUM_NONCE_BYTES], counter[AEAD_COUNTER_BYTES];
    size_t data_size = AEAD_HEADER_OCTETS;

    put_counter(counter, index);
    memcpy(nonce, chunks->iv, sizeof nonce);
    for (size_t i = 0; i < AEAD_COUNTER_BYTES; i++)
        nonce[chunks->nonce_size - AEAD_COUNTER_BYTES + i] ^= counter[i];
    memcpy(data, chunks->header, AEAD_HEADER_OCTETS);
    if (chunks->authenticates_index) {
        memcpy(data + data_size, counter, AEAD_COUNTER_BYTES);
        data_size += AEAD_COUNTER_BYTES;
    }
    if (octets != NULL) {
        put_counter(data + data_size, *octets);
        data_size += AEAD_COUNTER_BYTES;
    }
    aead_cipher_begin(chunks->cipher, nonce, data, data_size);
}

void aead_chunks_begin(struct aead_chunks *chunks, uint64_t index)
{
    begin(chunks, index, NULL);
}

void aead_chunks_begin_final(struct aead_chunks *chunks, uint64_t count, uint64_t octets)
{
    uint8_t nothing = 0;

    begin(chunks, count, &octets);
    aead_cipher_encrypt(chunks->cipher, &nothing, &nothing, 0, true);
}
