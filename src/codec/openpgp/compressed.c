/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/compressed.h"

#include "codec/openpgp/algorithm.h"
#include "codec/openpgp/message_damaged.h"
#include "glancefs/limits.h"

#include <assert.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

/* zlib's name for a DEFLATE stream without wrapper: a negative window size, in bits. */
#define RAW_DEFLATE_WINDOW_BITS (-15)
#define ZLIB_WINDOW_BITS 15

struct compressed {
    struct byte_stream stream;
    struct packet_body *body;
    const uint64_t *base_bytes;
    uint64_t produced; /* bytes */
    uint64_t consumed; /* bytes of the body up to the end of zlib's stream */
    uint64_t padding;  /* bytes of the body after that */
    bool is_deflated;
    bool may_be_padded;
    bool is_initialised; /* zlib has state to free */
    bool has_ended;      /* zlib saw the end of its stream */
    z_stream zlib;
};

static void *allocate_in_arena(void *arena, unsigned count, unsigned size)
{
    size_t bytes;

    if (__builtin_mul_overflow((size_t)count, (size_t)size, &bytes))
        return Z_NULL;
    return secure_arena_allocate(arena, bytes);
}

static void release_in_arena(void *arena, void *memory)
{
    secure_arena_release(arena, memory);
}

static int read_stored(struct byte_stream *stream, void *buffer, size_t size, struct cancel *cancel,
                       size_t *ret_size, struct error *err)
{
    struct compressed *compressed = (struct compressed *)stream;

    return byte_stream_read(&compressed->body->stream, buffer, size, cancel, ret_size, err);
}

/* Feeds what the body has at hand, straight out of the layer below; nothing when it has ended. */
static int inflate_some(struct compressed *compressed, struct cancel *cancel, struct error *err)
{
    const uint8_t *bytes;
    size_t size;
    int result;

    if (packet_body_peek(compressed->body, cancel, &bytes, &size, err) < 0)
        return -1;
    assert(size <= UINT32_MAX);
    compressed->zlib.next_in = bytes;
    compressed->zlib.avail_in = (unsigned)size;
    result = inflate(&compressed->zlib, Z_NO_FLUSH);
    packet_body_skip(compressed->body, size - compressed->zlib.avail_in);
    compressed->consumed += size - compressed->zlib.avail_in;
    if (result == Z_MEM_ERROR)
        return error_set(err, ERROR_EXHAUSTED, "out of locked memory");
    if (result == Z_BUF_ERROR && size == 0)
        return message_damaged(err);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return message_damaged(err);
    compressed->has_ended = result == Z_STREAM_END;
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

/* Nothing may follow zlib's stream, with one exception: by default sq 0.x hides the length of a
 * message by random octets after the end of raw DEFLATE data, as many as make a Padmé length. */
static int finish_body(struct compressed *compressed, struct cancel *cancel, struct error *err)
{
    const uint8_t *bytes;
    size_t size;

    if (!compressed->may_be_padded)
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

static int read_deflated(struct byte_stream *stream, void *buffer, size_t size,
                         struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct compressed *compressed = (struct compressed *)stream;
    const unsigned room = size < UINT32_MAX ? (unsigned)size : UINT32_MAX;

    compressed->zlib.next_out = buffer;
    compressed->zlib.avail_out = room;
    while (compressed->zlib.avail_out == room && !compressed->has_ended)
        if (inflate_some(compressed, cancel, err) < 0)
            return -1;
    *ret_size = room - compressed->zlib.avail_out;
    compressed->produced += *ret_size;
    if (*ret_size == 0)
        return finish_body(compressed, cancel, err);
    return check_expansion(compressed, err);
}

static const struct byte_stream_ops stored_ops = {.read = read_stored};
static const struct byte_stream_ops deflated_ops = {.read = read_deflated};

static int start_inflate(struct compressed *compressed, struct secure_arena *arena, int window_bits,
                         struct error *err)
{
    compressed->stream.ops = &deflated_ops;
    compressed->is_deflated = true;
    compressed->zlib.zalloc = allocate_in_arena;
    compressed->zlib.zfree = release_in_arena;
    compressed->zlib.opaque = arena;
    if (inflateInit2(&compressed->zlib, window_bits) != Z_OK)
        return error_set(err, ERROR_EXHAUSTED, "out of locked memory");
    compressed->is_initialised = true;
    return 0;
}

static int start(struct compressed *compressed, struct secure_arena *arena, uint8_t algorithm,
                 struct error *err)
{
    switch (algorithm) {
    case COMPRESSION_ID_UNCOMPRESSED:
        compressed->stream.ops = &stored_ops;
        return 0;
    case COMPRESSION_ID_ZIP:
        compressed->may_be_padded = true;
        return start_inflate(compressed, arena, RAW_DEFLATE_WINDOW_BITS, err);
    case COMPRESSION_ID_ZLIB:
        return start_inflate(compressed, arena, ZLIB_WINDOW_BITS, err);
    case COMPRESSION_ID_BZIP2:
        return error_set(err, ERROR_UNSUPPORTED, "BZip2 compression is not supported");
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
    if (compressed->is_initialised)
        (void)inflateEnd(&compressed->zlib);
    free(compressed);
}

struct byte_stream *compressed_stream(struct compressed *compressed)
{
    return &compressed->stream;
}

bool compressed_is_deflated(const struct compressed *compressed)
{
    return compressed->is_deflated;
}
