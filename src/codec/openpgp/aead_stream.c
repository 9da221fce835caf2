/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/aead_stream.h"

#include "codec/openpgp/message_damaged.h"
#include "glancefs/limits.h"

#include <stdlib.h>
#include <string.h>

/* What follows a chunk: its tag, and as many bytes again, which at the end are the final tag. Only
 * with those at hand is it clear whether the chunk is the last one. */
#define TRAILER_BYTES ((size_t)2 * AEAD_TAG_BYTES)

#define FIRST_CAPACITY ((size_t)64 * KIB)
#define GROWTH_FACTOR 8

struct aead_stream {
    struct byte_stream stream;
    struct byte_stream *body;
    struct aead_chunks chunks;
    struct secure_arena *arena;
    uint8_t *buffer;
    size_t capacity;
    size_t filled;      /* bytes in the buffer: a chunk or part of one, and its trailer */
    size_t begin, end;  /* of them, checked plaintext that was not given out yet */
    uint64_t index;     /* chunks decrypted */
    uint64_t decrypted; /* bytes in them */
    uint64_t given;     /* bytes given out */
    bool body_has_ended;
    bool is_complete; /* the final tag was right */
    bool is_damaged;
};

static size_t chunk_with_trailer(const struct aead_stream *stream)
{
    return stream->chunks.chunk_size + TRAILER_BYTES;
}

/* Messages may be much smaller than their chunks, so the buffer grows; in few and large steps, for
 * two of them exist at the time. */
static size_t next_capacity(const struct aead_stream *stream, size_t most)
{
    const size_t next = stream->capacity == 0 ? FIRST_CAPACITY : GROWTH_FACTOR * stream->capacity;

    return next > most / 2 ? most : next;
}

static int grow(struct aead_stream *stream, struct error *err)
{
    const size_t whole = chunk_with_trailer(stream);
    const size_t limit = LIMIT_AEAD_CHUNK_BYTES + TRAILER_BYTES + 1; /* the one too much */
    const size_t most = whole < limit ? whole : limit;
    const size_t capacity = next_capacity(stream, most);
    uint8_t *buffer;

    if (stream->capacity == most)
        return error_set(err, ERROR_TOO_LARGE, "an AEAD chunk of over %zu bytes",
                         LIMIT_AEAD_CHUNK_BYTES);
    buffer = secure_arena_allocate(stream->arena, capacity);
    if (buffer == NULL)
        return secure_arena_refuse(stream->arena, err);
    if (stream->filled > 0)
        memcpy(buffer, stream->buffer, stream->filled);
    secure_arena_release(stream->arena, stream->buffer);
    stream->buffer = buffer;
    stream->capacity = capacity;
    return 0;
}

/* Reads until a whole chunk with its trailer is there, or the body ends. */
static int fill(struct aead_stream *stream, struct cancel *cancel, struct error *err)
{
    while (!stream->body_has_ended && stream->filled < chunk_with_trailer(stream)) {
        size_t got;

        if (stream->filled == stream->capacity && grow(stream, err) < 0)
            return -1;
        if (byte_stream_read(stream->body, stream->buffer + stream->filled,
                             stream->capacity - stream->filled, cancel, &got, err) < 0)
            return -1;
        stream->filled += got;
        stream->body_has_ended = got == 0;
    }
    return 0;
}

static bool final_tag_is_right(struct aead_stream *stream)
{
    aead_chunks_begin_final(&stream->chunks, stream->index, stream->decrypted);
    return aead_cipher_check_tag(stream->chunks.cipher, stream->buffer);
}

/* Decrypts the chunk at the front of the buffer. */
static bool chunk_is_right(struct aead_stream *stream)
{
    const size_t size = stream->filled - TRAILER_BYTES;

    aead_chunks_begin(&stream->chunks, stream->index);
    aead_cipher_decrypt(stream->chunks.cipher, stream->buffer, stream->buffer, size, true);
    if (!aead_cipher_check_tag(stream->chunks.cipher, stream->buffer + size))
        return false;
    stream->index++;
    stream->decrypted += size;
    stream->begin = 0;
    stream->end = size;
    return true;
}

/* Makes the next chunk available, or learns that there is none. */
static int next_chunk(struct aead_stream *stream, struct cancel *cancel, struct error *err)
{
    if (stream->end > 0) {
        memmove(stream->buffer, stream->buffer + stream->end + AEAD_TAG_BYTES, AEAD_TAG_BYTES);
        stream->filled = AEAD_TAG_BYTES;
        stream->begin = stream->end = 0;
    }
    if (fill(stream, cancel, err) < 0)
        return -1;
    if (stream->filled == AEAD_TAG_BYTES)
        stream->is_complete = final_tag_is_right(stream);
    stream->is_damaged =
        !stream->is_complete && (stream->filled <= TRAILER_BYTES || !chunk_is_right(stream));
    return 0;
}

static int aead_stream_read(struct byte_stream *base, void *buffer, size_t size,
                            struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct aead_stream *stream = (struct aead_stream *)base;

    if (stream->begin == stream->end && !stream->is_complete && !stream->is_damaged &&
        next_chunk(stream, cancel, err) < 0)
        return -1;
    if (stream->is_damaged)
        return message_damaged(err);
    if (size > stream->end - stream->begin)
        size = stream->end - stream->begin;
    if (size > 0)
        memcpy(buffer, stream->buffer + stream->begin, size);
    stream->begin += size;
    stream->given += size;
    *ret_size = size;
    return 0;
}

int aead_stream_new(struct byte_stream *body, struct aead_chunks *chunks,
                    struct secure_arena *arena, struct aead_stream **ret, struct error *err)
{
    static const struct byte_stream_ops ops = {.read = aead_stream_read};
    struct aead_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    stream->stream.ops = &ops;
    stream->body = body;
    stream->arena = arena;
    stream->chunks = *chunks;
    *chunks = (struct aead_chunks){.cipher = NULL};
    *ret = stream;
    return 0;
}

void aead_stream_free(struct aead_stream *stream)
{
    if (stream == NULL)
        return;
    aead_chunks_clear(&stream->chunks);
    secure_arena_release(stream->arena, stream->buffer);
    free(stream);
}

struct byte_stream *aead_stream_plaintext(struct aead_stream *stream)
{
    return &stream->stream;
}

const uint64_t *aead_stream_decrypted_bytes(const struct aead_stream *stream)
{
    return &stream->given;
}

int aead_stream_finish(const struct aead_stream *stream, struct error *err)
{
    return stream->is_complete ? 0 : message_damaged(err);
}
