/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/aead_reader.h"

#include "codec/openpgp/aead_chunks.h"
#include "codec/openpgp/message_damaged.h"
#include "glancefs/limits.h"

#include <string.h>

/* What is decrypted on the way to an offset, at a time. */
#define SKIP_BYTES ((size_t)64 * KIB)

/* Lives in the arena: the unit is plaintext. */
struct aead_reader {
    struct decrypted_reader reader;
    struct encrypted_body body;
    struct secure_arena *arena;
    struct aead_chunks chunks;
    uint64_t size;  /* plaintext bytes in all chunks */
    uint64_t index; /* the chunk being decrypted */
    size_t fed;     /* bytes of it that were; whole units, but for its last one */
    uint8_t unit[AEAD_PIECE_UNIT_BYTES]; /* the last one, when a read ended inside of it */
    size_t unit_begin, unit_end;         /* bytes of it to be given out */
};

static size_t chunk_length(const struct aead_reader *aead, uint64_t index)
{
    const uint64_t left = aead->size - index * aead->chunks.chunk_size;

    return left < aead->chunks.chunk_size ? (size_t)left : aead->chunks.chunk_size;
}

/* Decrypts the next `size` bytes of the chunk; the last ones with its tag. */
static int feed(struct aead_reader *aead, uint8_t *out, size_t size, struct cancel *cancel,
                struct error *err)
{
    const uint64_t place = aead->index * (aead->chunks.chunk_size + AEAD_TAG_BYTES) + aead->fed;
    const bool is_last = aead->fed + size == chunk_length(aead, aead->index);
    uint8_t tag[AEAD_TAG_BYTES];

    if (encrypted_body_read(&aead->body, out, size, place, cancel, err) < 0 ||
        (is_last &&
         encrypted_body_read(&aead->body, tag, sizeof tag, place + size, cancel, err) < 0))
        return -1;
    if (aead->fed == 0)
        aead_chunks_begin(&aead->chunks, aead->index);
    aead_cipher_decrypt(aead->chunks.cipher, out, out, size, is_last);
    aead->fed += size;
    if (!is_last)
        return 0;
    aead->index++;
    aead->fed = 0;
    return aead_cipher_check_tag(aead->chunks.cipher, tag) ? 0 : message_damaged(err);
}

/* Decrypts the next unit, which a read begins or ends inside of. */
static int feed_unit(struct aead_reader *aead, size_t begin, struct cancel *cancel,
                     struct error *err)
{
    const size_t left = chunk_length(aead, aead->index) - aead->fed;
    const size_t size = left < sizeof aead->unit ? left : sizeof aead->unit;

    aead->unit_begin = aead->unit_end = 0;
    if (feed(aead, aead->unit, size, cancel, err) < 0)
        return -1;
    aead->unit_begin = begin;
    aead->unit_end = size;
    return 0;
}

static int skip(struct aead_reader *aead, size_t size, struct cancel *cancel, struct error *err)
{
    uint8_t *scratch;
    int result = 0;

    if (size == 0)
        return 0;
    scratch = secure_arena_allocate(aead->arena, size < SKIP_BYTES ? size : SKIP_BYTES);
    if (scratch == NULL)
        return secure_arena_refuse(aead->arena, err);
    while (size > 0 && result == 0) {
        const size_t piece = size < SKIP_BYTES ? size : SKIP_BYTES;

        result = feed(aead, scratch, piece, cancel, err);
        size -= piece;
    }
    secure_arena_release(aead->arena, scratch);
    return result;
}

static int seek(struct aead_reader *aead, uint64_t offset, struct cancel *cancel, struct error *err)
{
    const uint64_t index = offset / aead->chunks.chunk_size;
    const size_t in_chunk = (size_t)(offset % aead->chunks.chunk_size);
    const size_t in_unit = in_chunk % AEAD_PIECE_UNIT_BYTES;

    if (index != aead->index || aead->fed > in_chunk) {
        aead->index = index;
        aead->fed = 0;
    }
    aead->unit_begin = aead->unit_end = 0;
    if (skip(aead, in_chunk - in_unit - aead->fed, cancel, err) < 0)
        return -1;
    return in_unit == 0 ? 0 : feed_unit(aead, in_unit, cancel, err);
}

static size_t take_from_unit(struct aead_reader *aead, uint8_t *out, size_t size)
{
    const size_t left = aead->unit_end - aead->unit_begin;

    size = size < left ? size : left;
    memcpy(out, aead->unit + aead->unit_begin, size);
    aead->unit_begin += size;
    return size;
}

static int read_on(struct aead_reader *aead, uint8_t *out, size_t size, struct cancel *cancel,
                   struct error *err)
{
    while (size > 0) {
        size_t left, piece = take_from_unit(aead, out, size);

        out += piece;
        size -= piece;
        if (size == 0)
            break;
        left = chunk_length(aead, aead->index) - aead->fed;
        piece = size < left ? size - size % AEAD_PIECE_UNIT_BYTES : left;
        if ((piece > 0 ? feed(aead, out, piece, cancel, err) : feed_unit(aead, 0, cancel, err)) < 0)
            return -1;
        out += piece;
        size -= piece;
    }
    return 0;
}

/* Behind the last piece that was decrypted. */
static uint64_t position_of(const struct aead_reader *aead)
{
    const uint64_t chunk = aead->index * aead->chunks.chunk_size;

    return (chunk < aead->size ? chunk : aead->size) + aead->fed -
           (aead->unit_end - aead->unit_begin);
}

/* A piece is read before it is decrypted: a failure leaves the reader behind the last one. */
static int aead_reader_read(struct decrypted_reader *reader, void *buffer, size_t size,
                            uint64_t offset, struct cancel *cancel, struct error *err)
{
    struct aead_reader *aead = (struct aead_reader *)reader;
    int result = 0;

    if (reader->position != offset)
        result = seek(aead, offset, cancel, err);
    if (result == 0)
        result = read_on(aead, buffer, size, cancel, err);
    reader->position = position_of(aead);
    return result;
}

static void aead_reader_free(struct decrypted_reader *reader)
{
    struct aead_reader *aead = (struct aead_reader *)reader;

    aead_chunks_clear(&aead->chunks);
    secure_arena_release(aead->arena, aead);
}

int aead_reader_new(const struct encrypted_body *body, const struct aead_header *header,
                    uint64_t decrypted_size, const struct session_key *key,
                    struct decrypted_reader **ret, struct error *err)
{
    static const struct decrypted_reader_ops ops = {.read = aead_reader_read,
                                                    .free = aead_reader_free};
    struct aead_reader *aead = secure_arena_allocate(key->arena, sizeof *aead);

    if (aead == NULL)
        return secure_arena_refuse(key->arena, err);
    aead->reader = (struct decrypted_reader){.ops = &ops, .position = 0};
    aead->body = *body;
    aead->arena = key->arena;
    aead->size = decrypted_size;
    if (aead_chunks_init(&aead->chunks, header, key, err) < 0) {
        aead_reader_free(&aead->reader);
        return -1;
    }
    *ret = &aead->reader;
    return 0;
}
