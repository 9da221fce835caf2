/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/seipd_v1_writer.h"

#include "base/piece_lane.h"
#include "codec/openpgp/seipd_v1.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "glancefs/limits.h"

#include <string.h>

/* Encryption gets a thread of its own beside the hash once a message is this long: below, the thread
 * would cost more than it gains. */
#define LANE_THRESHOLD_BYTES (1 * MIB)

/* Lives in the arena: a piece is plaintext before it is encrypted in place. */
struct seipd_v1_writer {
    struct byte_output packets;
    struct byte_output *below;
    struct secure_arena *arena;
    struct cfb_cipher *cipher; /* the lane's, while anything is on it */
    struct hash *sha1;
    struct piece_lane *lane; /* NULL while the message is short, or there is no memory or thread */
    bool has_tried_lane;
    uint64_t written;
    size_t block_size;
    uint8_t piece[PIECE_LANE_PIECE_BYTES]; /* without a lane */
};

uint64_t seipd_v1_body_size(const struct session_key *key, uint64_t packets_size)
{
    return 1 + cipher_block_size(key->algorithm) + SEIPD_V1_PREFIX_REPEAT_BYTES + packets_size +
           SEIPD_V1_MDC_PACKET_BYTES;
}

static void encrypt_in_place(void *context, uint8_t *bytes, size_t size)
{
    struct seipd_v1_writer *writer = context;

    cfb_cipher_encrypt(writer->cipher, bytes, bytes, size);
}

/* Copies first and encrypts in place: ciphertext comes out of the same memory either way. */
static int encrypt(struct seipd_v1_writer *writer, const void *bytes, size_t size,
                   struct cancel *cancel, struct error *err)
{
    memcpy(writer->piece, bytes, size);
    encrypt_in_place(writer, writer->piece, size);
    return byte_output_write(writer->below, writer->piece, size, cancel, err);
}

/* Writes the oldest piece of the lane; *ret_any is false when there was none. */
static int write_oldest(struct seipd_v1_writer *writer, struct cancel *cancel, bool *ret_any,
                        struct error *err)
{
    const uint8_t *bytes;
    size_t size;

    *ret_any = piece_lane_take(writer->lane, &bytes, &size);
    return *ret_any ? byte_output_write(writer->below, bytes, size, cancel, err) : 0;
}

static int encrypt_beside(struct seipd_v1_writer *writer, const void *bytes, size_t size,
                          struct cancel *cancel, struct error *err)
{
    bool any;

    if (piece_lane_is_full(writer->lane) && write_oldest(writer, cancel, &any, err) < 0)
        return -1;
    piece_lane_put(writer->lane, bytes, size);
    return 0;
}

static int drain_lane(struct seipd_v1_writer *writer, struct cancel *cancel, struct error *err)
{
    bool any = writer->lane != NULL;

    while (any)
        if (write_oldest(writer, cancel, &any, err) < 0)
            return -1;
    return 0;
}

static void consider_lane(struct seipd_v1_writer *writer)
{
    struct error ignored = ERROR_INIT;

    if (writer->has_tried_lane || writer->written < LANE_THRESHOLD_BYTES)
        return;
    writer->has_tried_lane = true;
    (void)piece_lane_new(writer->arena, encrypt_in_place, writer, &writer->lane, &ignored);
}

static int write_packets(struct byte_output *output, const void *bytes, size_t size,
                         struct cancel *cancel, struct error *err)
{
    struct seipd_v1_writer *writer = (struct seipd_v1_writer *)output;
    const uint8_t *next = bytes;

    consider_lane(writer);
    while (size > 0) {
        size_t piece = size < PIECE_LANE_PIECE_BYTES ? size : PIECE_LANE_PIECE_BYTES;
        int result = writer->lane != NULL ? encrypt_beside(writer, next, piece, cancel, err)
                                          : encrypt(writer, next, piece, cancel, err);

        if (result < 0)
            return -1;
        hash_update(writer->sha1, next, piece);
        writer->written += piece;
        next += piece;
        size -= piece;
    }
    return 0;
}

int seipd_v1_writer_new(const struct session_key *key, struct byte_output *below,
                        struct seipd_v1_writer **ret, struct error *err)
{
    CLEANUP(seipd_v1_writer_free)
    struct seipd_v1_writer *writer = secure_arena_allocate(key->arena, sizeof *writer);

    if (writer == NULL)
        return secure_arena_refuse(key->arena, err);
    writer->arena = key->arena;
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
    piece_lane_free(writer->lane);
    cfb_cipher_free(writer->cipher);
    hash_free(writer->sha1);
    secure_arena_release(writer->arena, writer);
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

    if (drain_lane(writer, cancel, err) < 0)
        return -1;
    memcpy(mdc, seipd_v1_mdc_header, SEIPD_V1_MDC_HEADER_BYTES);
    hash_update(writer->sha1, seipd_v1_mdc_header, SEIPD_V1_MDC_HEADER_BYTES);
    hash_finish(writer->sha1, mdc + SEIPD_V1_MDC_HEADER_BYTES);
    return encrypt(writer, mdc, sizeof mdc, cancel, err);
}
