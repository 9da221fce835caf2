/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/seipd_v1_writer.h"

#include "codec/openpgp/seipd_v1.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "glancefs/limits.h"

#include <stdlib.h>
#include <string.h>

/* Plaintext is hashed and encrypted in pieces that stay in the processor's cache. */
#define PIECE_BYTES (256 * KIB)

struct seipd_v1_writer {
    struct byte_output packets;
    struct byte_output *below;
    struct cfb_cipher *cipher;
    struct hash *sha1;
    size_t block_size;
    uint8_t ciphertext[PIECE_BYTES];
};

uint64_t seipd_v1_body_size(const struct session_key *key, uint64_t packets_size)
{
    return 1 + cipher_block_size(key->algorithm) + SEIPD_V1_PREFIX_REPEAT_BYTES + packets_size +
           SEIPD_V1_MDC_PACKET_BYTES;
}

static int encrypt(struct seipd_v1_writer *writer, const void *bytes, size_t size,
                   struct cancel *cancel, struct error *err)
{
    cfb_cipher_encrypt(writer->cipher, writer->ciphertext, bytes, size);
    return byte_output_write(writer->below, writer->ciphertext, size, cancel, err);
}

static int write_packets(struct byte_output *output, const void *bytes, size_t size,
                         struct cancel *cancel, struct error *err)
{
    struct seipd_v1_writer *writer = (struct seipd_v1_writer *)output;
    const uint8_t *next = bytes;

    while (size > 0) {
        size_t piece = size < PIECE_BYTES ? size : PIECE_BYTES;

        hash_update(writer->sha1, next, piece);
        if (encrypt(writer, next, piece, cancel, err) < 0)
            return -1;
        next += piece;
        size -= piece;
    }
    return 0;
}

int seipd_v1_writer_new(const struct session_key *key, struct byte_output *below,
                        struct seipd_v1_writer **ret, struct error *err)
{
    CLEANUP(seipd_v1_writer_free) struct seipd_v1_writer *writer = calloc(1, sizeof *writer);

    if (writer == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    writer->packets.write = write_packets;
    writer->below = below;
    writer->block_size = cipher_block_size(key->algorithm);
    if (cfb_cipher_new(key->algorithm, key->key, NULL, &writer->cipher, err) < 0 ||
        hash_new(HASH_SHA1, &writer->sha1, err) < 0)
        return -1;
    *ret = steal(&writer);
    return 0;
}

void seipd_v1_writer_free(struct seipd_v1_writer *writer)
{
    if (writer == NULL)
        return;
    cfb_cipher_free(writer->cipher);
    hash_free(writer->sha1);
    free(writer);
}

int seipd_v1_writer_begin(struct seipd_v1_writer *writer, struct cancel *cancel, struct error *err)
{
    static const uint8_t version = SEIPD_V1_VERSION;
    uint8_t prefix[SEIPD_V1_PREFIX_MAXIMUM_BYTES];

    random_bytes(prefix, writer->block_size);
    memcpy(prefix + writer->block_size, prefix + writer->block_size - SEIPD_V1_PREFIX_REPEAT_BYTES,
           SEIPD_V1_PREFIX_REPEAT_BYTES);
    if (byte_output_write(writer->below, &version, 1, cancel, err) < 0)
        return -1;
    return write_packets(&writer->packets, prefix,
                         writer->block_size + SEIPD_V1_PREFIX_REPEAT_BYTES, cancel, err);
}

struct byte_output *seipd_v1_writer_packets(struct seipd_v1_writer *writer)
{
    return &writer->packets;
}

int seipd_v1_writer_finish(struct seipd_v1_writer *writer, struct cancel *cancel, struct error *err)
{
    uint8_t mdc[SEIPD_V1_MDC_PACKET_BYTES];

    memcpy(mdc, seipd_v1_mdc_header, SEIPD_V1_MDC_HEADER_BYTES);
    hash_update(writer->sha1, seipd_v1_mdc_header, SEIPD_V1_MDC_HEADER_BYTES);
    hash_finish(writer->sha1, mdc + SEIPD_V1_MDC_HEADER_BYTES);
    return encrypt(writer, mdc, sizeof mdc, cancel, err);
}
