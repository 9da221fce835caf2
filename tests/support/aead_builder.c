/* SPDX-License-Identifier: Apache-2.0 */
#include "support/aead_builder.h"

#include "crypto/hkdf.h"
#include "glancefs/cleanup.h"

#include <stdlib.h>
#include <string.h>

#define TYPE_SEIPD 18
#define TYPE_LIBREPGP_AEAD 20
#define HEADER_OCTETS 5
#define COUNTER_OCTETS 8

struct sealer {
    const struct aead_plan *plan;
    struct aead_cipher *cipher;
    uint8_t header[HEADER_OCTETS];
    uint8_t iv[AEAD_MAXIMUM_NONCE_BYTES];
    size_t nonce_size;
};

static void must(int result)
{
    if (result < 0)
        abort();
}

static void put_counter(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < COUNTER_OCTETS; i++)
        out[i] = (uint8_t)(value >> (8 * (COUNTER_OCTETS - 1 - i)));
}

/* Appends ciphertext and tag; `total` is the octet count of a final tag, or NULL. */
static void seal(struct sealer *sealer, uint64_t index, const uint64_t *total,
                 const uint8_t *plaintext, size_t size, struct octets *out)
{
    CLEANUP(memory_free) uint8_t *sealed = malloc(size + 1);
    uint8_t data[HEADER_OCTETS + 2 * COUNTER_OCTETS], nonce[AEAD_MAXIMUM_NONCE_BYTES];
    uint8_t tag[AEAD_TAG_BYTES];
    uint8_t *end = data + HEADER_OCTETS;

    if (sealed == NULL)
        abort();
    memcpy(data, sealer->header, HEADER_OCTETS);
    if (sealer->plan->is_librepgp) {
        put_counter(end, index);
        end += COUNTER_OCTETS;
    }
    if (total != NULL) {
        put_counter(end, *total);
        end += COUNTER_OCTETS;
    }
    memcpy(nonce, sealer->iv, sizeof nonce);
    for (size_t i = 1; i <= COUNTER_OCTETS; i++)
        nonce[sealer->nonce_size - i] ^= (uint8_t)(index >> (8 * (i - 1)));
    aead_cipher_begin(sealer->cipher, nonce, data, (size_t)(end - data));
    aead_cipher_encrypt(sealer->cipher, sealed, size > 0 ? plaintext : sealed, size, true);
    aead_cipher_tag(sealer->cipher, tag);
    octets_add(out, sealed, size);
    octets_add(out, tag, sizeof tag);
}

static unsigned cipher_id(enum cipher_algorithm cipher)
{
    switch (cipher_key_size(cipher)) {
    case 16:
        return 7;
    case 24:
        return 8;
    default:
        return 9;
    }
}

static void start(struct sealer *sealer, const struct aead_plan *plan, const uint8_t *key,
                  struct octets *body)
{
    static const uint8_t salt[32] = "thirty-two octets of fresh salt";
    const unsigned version = plan->is_librepgp ? 1 : 2;
    const size_t key_size = cipher_key_size(plan->cipher);
    uint8_t derived[CIPHER_MAXIMUM_KEY_BYTES + AEAD_MAXIMUM_NONCE_BYTES];
    struct error err = ERROR_INIT;

    *sealer = (struct sealer){.plan = plan, .nonce_size = aead_nonce_size(plan->aead)};
    sealer->header[0] = 0xc0 | (plan->is_librepgp ? TYPE_LIBREPGP_AEAD : TYPE_SEIPD);
    sealer->header[1] = (uint8_t)version;
    sealer->header[2] = (uint8_t)cipher_id(plan->cipher);
    sealer->header[3] = (uint8_t)(plan->aead + 1);
    sealer->header[4] = (uint8_t)plan->chunk_octet;
    octets_add(body, sealer->header + 1, HEADER_OCTETS - 1);
    octets_add(body, salt, plan->is_librepgp ? sealer->nonce_size : sizeof salt);
    if (plan->is_librepgp) {
        memcpy(sealer->iv, salt, sealer->nonce_size);
        memcpy(derived, key, key_size);
    } else {
        const size_t iv_size = sealer->nonce_size - COUNTER_OCTETS;

        must(hkdf_derive(HASH_SHA256, key, key_size, salt, sizeof salt, sealer->header,
                         HEADER_OCTETS, derived, key_size + iv_size, &err));
        memcpy(sealer->iv, derived + key_size, iv_size);
    }
    must(aead_cipher_new(plan->aead, plan->cipher, derived, &sealer->cipher, &err));
}

/* Exchanges the first two chunks, which are as long as can be. */
static void swap_chunks(uint8_t *sealed, size_t chunk)
{
    for (size_t i = 0; i < chunk; i++) {
        const uint8_t octet = sealed[i];

        sealed[i] = sealed[chunk + i];
        sealed[chunk + i] = octet;
    }
}

static void add_chunks(struct sealer *sealer, const uint8_t *packets, size_t size,
                       struct octets *body)
{
    const enum aead_flaw flaw = sealer->plan->flaw;
    const size_t chunk = (size_t)1 << (sealer->plan->chunk_octet + 6), begin = body->size;
    size_t done = 0, last = begin, part = flaw == AEAD_SHORT_CHUNK_IN_FRONT ? chunk - 1 : chunk;
    uint64_t index = 0, total = size;

    for (; done < size; done += part, index++, part = chunk) {
        if (part > size - done)
            part = size - done;
        last = body->size;
        seal(sealer, index, NULL, packets + done, part, body);
    }
    if (flaw == AEAD_EMPTY_CHUNK_AT_END)
        seal(sealer, index++, NULL, NULL, 0, body);
    if (flaw == AEAD_TAG_WRONG)
        body->data[body->size - 1] ^= 1;
    if (flaw == AEAD_TAG_MISSING)
        body->size -= AEAD_TAG_BYTES;
    if (flaw == AEAD_FIRST_TWO_SWAPPED)
        swap_chunks(body->data + begin, chunk + AEAD_TAG_BYTES);
    if (flaw == AEAD_LAST_CHUNK_DROPPED || flaw == AEAD_CUT_AT_CHUNK)
        body->size = last;
    total += flaw == AEAD_FINAL_COUNT_WRONG;
    index += flaw == AEAD_FINAL_INDEX_WRONG;
    if (flaw != AEAD_FINAL_TAG_MISSING && flaw != AEAD_CUT_AT_CHUNK)
        seal(sealer, index, &total, NULL, 0, body);
    if (flaw == AEAD_FINAL_TAG_WRONG)
        body->data[body->size - 1] ^= 1;
    if (flaw == AEAD_BYTE_AT_END)
        octets_add_u8(body, 0);
}

void build_aead(struct octets *out, const struct aead_plan *plan, const uint8_t *key,
                const void *packets, size_t size)
{
    CLEANUP(octets_clear) struct octets body = {0};
    struct sealer sealer;

    start(&sealer, plan, key, &body);
    add_chunks(&sealer, packets, size, &body);
    aead_cipher_free(sealer.cipher);
    build_packet(out, sealer.header[0] & 0x3f, plan->framing, body.data, body.size);
}

void build_aead_message(struct octets *out, const struct aead_plan *plan, const char *passphrase,
                        const void *packets, size_t size)
{
    struct skesk_plan skesk = usual_skesk(passphrase);
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;

    skesk.version = plan->is_librepgp ? 4 : 6;
    skesk.cipher = skesk.session_cipher = plan->cipher;
    skesk.aead = plan->aead;
    skesk.has_encrypted_key = true;
    memset(skesk.session_key, 0x5a, sizeof skesk.session_key);
    build_skesk(out, &skesk, key, &cipher);
    build_aead(out, plan, key, packets, size);
}
