/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/seipd_v1.h"

#include "base/piece_lane.h"
#include "codec/openpgp/message_damaged.h"
#include "crypto/constant_time.h"
#include "crypto/hash.h"
#include "glancefs/limits.h"

#include <assert.h>
#include <string.h>

/* The hash gets a thread of its own beside the decryption once a message is this long: below, the
 * thread would cost more than it gains. */
#define LANE_THRESHOLD_BYTES (1 * MIB)

#define SHA1_BYTES (SEIPD_V1_MDC_PACKET_BYTES - SEIPD_V1_MDC_HEADER_BYTES)

const uint8_t seipd_v1_mdc_header[SEIPD_V1_MDC_HEADER_BYTES] = {0xd3, 0x14};

/* Lives in the arena: prefix and held-back bytes are plaintext. */
struct seipd_v1 {
    struct byte_stream stream;
    struct byte_stream *body;
    struct secure_arena *arena;
    struct cfb_cipher *cipher;
    struct hash *sha1;       /* NULL without verify; the lane's, while anything is on it */
    struct piece_lane *lane; /* NULL while the message is short, or there is no memory or thread */
    bool has_tried_lane;
    uint64_t decrypted_bytes;
    uint8_t prefix[SEIPD_V1_PREFIX_MAXIMUM_BYTES];
    size_t prefix_size; /* what it will be */
    size_t prefix_read;
    uint8_t held[SEIPD_V1_MDC_PACKET_BYTES]; /* the last bytes decrypted: the MDC, at the end */
    size_t held_size;
    uint8_t digest[SHA1_BYTES];
};

static int read_decrypted(struct seipd_v1 *seipd, uint8_t *buffer, size_t size,
                          struct cancel *cancel, size_t *ret_size, struct error *err)
{
    if (byte_stream_read(seipd->body, buffer, size, cancel, ret_size, err) < 0)
        return -1;
    cfb_cipher_decrypt(seipd->cipher, buffer, buffer, *ret_size);
    seipd->decrypted_bytes += *ret_size;
    return 0;
}

/* Goes on with `part`, of which *done of `size` bytes are there: what was read before a failure is
 * kept for the next try. */
static int read_part(struct seipd_v1 *seipd, uint8_t *part, size_t *done, size_t size,
                     struct cancel *cancel, struct error *err)
{
    while (*done < size) {
        size_t got;

        if (read_decrypted(seipd, part + *done, size - *done, cancel, &got, err) < 0)
            return -1;
        if (got == 0)
            return message_damaged(err);
        *done += got;
    }
    return 0;
}

static int read_prefix(struct seipd_v1 *seipd, struct cancel *cancel, struct error *err)
{
    if (seipd->prefix_read == seipd->prefix_size)
        return 0;
    if (read_part(seipd, seipd->prefix, &seipd->prefix_read, seipd->prefix_size, cancel, err) < 0)
        return -1;
    if (seipd->sha1 != NULL)
        hash_update(seipd->sha1, seipd->prefix, seipd->prefix_size);
    return 0;
}

static int read_unverified(struct byte_stream *stream, void *buffer, size_t size,
                           struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct seipd_v1 *seipd = (struct seipd_v1 *)stream;

    if (read_prefix(seipd, cancel, err) < 0)
        return -1;
    return read_decrypted(seipd, buffer, size, cancel, ret_size, err);
}

static void hash_piece(void *context, uint8_t *bytes, size_t size)
{
    struct seipd_v1 *seipd = context;

    hash_update(seipd->sha1, bytes, size);
}

static void hash_beside(struct seipd_v1 *seipd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t piece = size < PIECE_LANE_PIECE_BYTES ? size : PIECE_LANE_PIECE_BYTES;
        const uint8_t *hashed;
        size_t hashed_size;

        if (piece_lane_is_full(seipd->lane))
            (void)piece_lane_take(seipd->lane, &hashed, &hashed_size);
        piece_lane_put(seipd->lane, bytes, piece);
        bytes += piece;
        size -= piece;
    }
}

static void drain_lane(struct seipd_v1 *seipd)
{
    const uint8_t *hashed;
    size_t hashed_size;

    if (seipd->lane == NULL)
        return;
    while (piece_lane_take(seipd->lane, &hashed, &hashed_size))
        ;
}

static void consider_lane(struct seipd_v1 *seipd)
{
    struct error ignored = ERROR_INIT;

    if (seipd->has_tried_lane || seipd->decrypted_bytes < LANE_THRESHOLD_BYTES)
        return;
    seipd->has_tried_lane = true;
    (void)piece_lane_new(seipd->arena, hash_piece, seipd, &seipd->lane, &ignored);
}

static void hash_plaintext(struct seipd_v1 *seipd, const uint8_t *bytes, size_t size)
{
    consider_lane(seipd);
    if (seipd->lane != NULL)
        hash_beside(seipd, bytes, size);
    else
        hash_update(seipd->sha1, bytes, size);
}

/* New bytes go behind those held back, so that the plaintext is one run in the caller's memory;
 * then its last bytes are held back in turn. */
static int read_verified(struct byte_stream *stream, void *buffer, size_t size,
                         struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct seipd_v1 *seipd = (struct seipd_v1 *)stream;
    uint8_t *bytes = buffer;
    size_t got;

    assert(size > sizeof seipd->held);
    if (read_prefix(seipd, cancel, err) < 0 ||
        read_part(seipd, seipd->held, &seipd->held_size, sizeof seipd->held, cancel, err) < 0 ||
        read_decrypted(seipd, bytes + sizeof seipd->held, size - sizeof seipd->held, cancel, &got,
                       err) < 0)
        return -1;
    memcpy(bytes, seipd->held, sizeof seipd->held);
    memcpy(seipd->held, bytes + got, sizeof seipd->held);
    hash_plaintext(seipd, bytes, got);
    *ret_size = got;
    return 0;
}

int seipd_v1_new(struct byte_stream *body, const struct session_key *key, bool verify,
                 struct seipd_v1 **ret, struct error *err)
{
    static const struct byte_stream_ops verified_ops = {.read = read_verified};
    static const struct byte_stream_ops unverified_ops = {.read = read_unverified};
    CLEANUP(seipd_v1_free)
    struct seipd_v1 *seipd = secure_arena_allocate(key->arena, sizeof *seipd);

    if (seipd == NULL)
        return secure_arena_refuse(key->arena, err);
    seipd->stream.ops = verify ? &verified_ops : &unverified_ops;
    seipd->body = body;
    seipd->arena = key->arena;
    seipd->prefix_size = cipher_block_size(key->algorithm) + SEIPD_V1_PREFIX_REPEAT_BYTES;
    if (cfb_cipher_new(key->algorithm, key->key, NULL, &seipd->cipher, err) < 0 ||
        (verify && hash_new(HASH_SHA1, &seipd->sha1, err) < 0))
        return -1;
    *ret = steal(&seipd);
    return 0;
}

void seipd_v1_free(struct seipd_v1 *seipd)
{
    if (seipd == NULL)
        return;
    piece_lane_free(seipd->lane);
    cfb_cipher_free(seipd->cipher);
    hash_free(seipd->sha1);
    secure_arena_release(seipd->arena, seipd);
}

struct byte_stream *seipd_v1_stream(struct seipd_v1 *seipd)
{
    return &seipd->stream;
}

const uint64_t *seipd_v1_decrypted_bytes(const struct seipd_v1 *seipd)
{
    return &seipd->decrypted_bytes;
}

int seipd_v1_finish(struct seipd_v1 *seipd, struct error *err)
{
    assert(seipd->sha1 != NULL);
    drain_lane(seipd);
    hash_update(seipd->sha1, seipd->held, SEIPD_V1_MDC_HEADER_BYTES);
    hash_finish(seipd->sha1, seipd->digest);
    if (!constant_time_equal(seipd->held, seipd_v1_mdc_header, SEIPD_V1_MDC_HEADER_BYTES) ||
        !constant_time_equal(seipd->held + SEIPD_V1_MDC_HEADER_BYTES, seipd->digest, SHA1_BYTES))
        return message_damaged(err);
    return 0;
}
