/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/compressed.h"

#include "codec/openpgp/decompressor.h"
#include "codec/openpgp/message_damaged.h"
#include "glancefs/limits.h"

#include <stdlib.h>

struct compressed {
    struct byte_stream stream;
    struct packet_body *body;
    const uint64_t *base_bytes;
    uint64_t produced; /* bytes */
    uint64_t consumed; /* bytes of the body up to the end of the compressed stream */
    uint64_t padding;  /* bytes of the body after that */
    struct decompressor *decompressor; /* NULL for stored data */
    enum compression_id algorithm;
    bool has_ended; /* the compressed stream has */
};

static int read_stored(struct byte_stream *stream, void *buffer, size_t size, struct cancel *cancel,
                       size_t *ret_size, struct error *err)
{
    struct compressed *compressed = (struct compressed *)stream;

    return byte_stream_read(&compressed->body->stream, buffer, size, cancel, ret_size, err);
}

/* Feeds what the body has at hand, straight out of the layer below. Where that has ended, only what
 * the decompressor still holds can come. */
static int decompress_some(struct compressed *compressed, uint8_t *out, size_t out_size,
                           struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct decompressor_buffers buffers = {.out = out, .out_size = out_size};
    size_t fed;

    if (packet_body_peek(compressed->body, cancel, &buffers.in, &buffers.in_size, err) < 0)
        return -1;
    if (buffers.in_size > UINT32_MAX)
        buffers.in_size = UINT32_MAX;
    fed = buffers.in_size;
    if (decompressor_step(compressed->decompressor, &buffers, &compressed->has_ended, err) < 0)
        return -1;
    packet_body_skip(compressed->body, fed - buffers.in_size);
    compressed->consumed += fed - buffers.in_size;
    *ret_size = out_size - buffers.out_size;
    if (fed == 0 && *ret_size == 0 && !compressed->has_ended)
        return message_damaged(err);
    return 0;
}

static int check_expansion(const struct compressed *compressed, struct error *err)
{
    if (compressed->produced > LIMIT_EXPANSION_FREE_BYTES &&
        compressed->produced / LIMIT_EXPANSION_RATIO > *compressed->base_bytes)
        return error_set(err, ERROR_TOO_LARGE, "compressed data expands to over %d times its size",
                         LIMIT_EXPANSION_RATIO);
    return 0;
}

/* The length that a body of `length` (> 1) is padded to by the Padmé scheme: all but the highest
 * bits of the length, about as many as its own logarithm has, are made zero by rounding up. */
static uint64_t padme(uint64_t length)
{
    const int exponent = 63 - __builtin_clzll(length);
    const int exponent_bits = 32 - __builtin_clz((unsigned)exponent);
    const uint64_t mask = (UINT64_C(1) << (exponent - exponent_bits)) - 1;

    return (length + mask) & ~mask;
}

/* Nothing may follow the compressed stream, with one exception: by default sq 0.x hides the length of
 * a message by random octets after the end of raw DEFLATE data, as many as make a Padmé length. */
static int finish_body(struct compressed *compressed, struct cancel *cancel, struct error *err)
{
    const uint8_t *bytes;
    size_t size;

    if (compressed->algorithm != COMPRESSION_ID_ZIP)
        return packet_body_finish(compressed->body, cancel, err);
    do {
        if (packet_body_peek(compressed->body, cancel, &bytes, &size, err) < 0)
            return -1;
        packet_body_skip(compressed->body, size);
        compressed->padding += size;
    } while (size > 0);
    if (compressed->padding > 0 &&
        compressed->consumed + compressed->padding != padme(compressed->consumed))
        return message_damaged(err);
    return 0;
}

static int read_compressed(struct byte_stream *stream, void *buffer, size_t size,
                           struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct compressed *compressed = (struct compressed *)stream;
    const size_t room = size < UINT32_MAX ? size : UINT32_MAX;

    *ret_size = 0;
    while (*ret_size == 0 && !compressed->has_ended)
        if (decompress_some(compressed, buffer, room, cancel, ret_size, err) < 0)
            return -1;
    compressed->produced += *ret_size;
    if (*ret_size == 0)
        return finish_body(compressed, cancel, err);
    return check_expansion(compressed, err);
}

static const struct byte_stream_ops stored_ops = {.read = read_stored};
static const struct byte_stream_ops compressed_ops = {.read = read_compressed};

static int start(struct compressed *compressed, struct secure_arena *arena, uint8_t algorithm,
                 struct error *err)
{
    compressed->algorithm = algorithm;
    switch (algorithm) {
    case COMPRESSION_ID_UNCOMPRESSED:
        compressed->stream.ops = &stored_ops;
        return 0;
    case COMPRESSION_ID_ZIP:
    case COMPRESSION_ID_ZLIB:
    case COMPRESSION_ID_BZIP2:
        compressed->stream.ops = &compressed_ops;
        return decompressor_new(algorithm, arena, &compressed->decompressor, err);
    default:
        return error_set(err, ERROR_UNSUPPORTED, "compression algorithm %u is not supported",
                         algorithm);
    }
}

int compressed_new(struct packet_body *body, struct secure_arena *arena, const uint64_t *base_bytes,
                   struct cancel *cancel, struct compressed **ret, struct error *err)
{
    CLEANUP(compressed_free) struct compressed *compressed = calloc(1, sizeof *compressed);
    uint8_t algorithm;

    if (compressed == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    compressed->body = body;
    compressed->base_bytes = base_bytes;
    if (byte_stream_read_exact(&body->stream, &algorithm, 1, cancel, err) < 0 ||
        start(compressed, arena, algorithm, err) < 0)
        return -1;
    compressed->consumed = 1;
    *ret = steal(&compressed);
    return 0;
}

void compressed_free(struct compressed *compressed)
{
    if (compressed == NULL)
        return;
    decompressor_free(compressed->decompressor);
    free(compressed);
}

struct byte_stream *compressed_stream(struct compressed *compressed)
{
    return &compressed->stream;
}

enum compression_id compressed_algorithm(const struct compressed *compressed)
{
    return compressed->algorithm;
}
