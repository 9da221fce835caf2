/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/packet_writer.h"

#include "codec/openpgp/packet_header.h"

#include <stdlib.h>
#include <string.h>

struct packet_writer {
    struct byte_output body;
    struct byte_output *below;
    struct secure_arena *arena;
    uint8_t type;
    uint64_t length; /* definite writers */
    bool has_begun;  /* the type octet is out */
    uint8_t *chunk;  /* chunking writers; in the arena, or on the heap when that is NULL */
    size_t chunk_size;
};

bool packet_length_is_definite(uint64_t length)
{
    return length <= UINT32_MAX;
}

static int begin_definite(struct packet_writer *writer, struct cancel *cancel, struct error *err)
{
    uint8_t header[PACKET_HEADER_MAXIMUM_BYTES];
    size_t size;

    if (writer->has_begun)
        return 0;
    writer->has_begun = true;
    size = packet_header_write(writer->type, (uint32_t)writer->length, header);
    return byte_output_write(writer->below, header, size, cancel, err);
}

static int write_definite(struct byte_output *output, const void *bytes, size_t size,
                          struct cancel *cancel, struct error *err)
{
    struct packet_writer *writer = (struct packet_writer *)output;

    if (begin_definite(writer, cancel, err) < 0)
        return -1;
    return byte_output_write(writer->below, bytes, size, cancel, err);
}

/* Header and chunk leave in two writes: the header is of a few octets, and of varying size. */
static int flush_chunk(struct packet_writer *writer, bool is_last, struct cancel *cancel,
                       struct error *err)
{
    uint8_t header[PACKET_HEADER_MAXIMUM_BYTES];
    size_t size = packet_header_write(writer->type, (uint32_t)writer->chunk_size, header);
    size_t skip = writer->has_begun ? 1 : 0;

    if (!is_last) {
        header[1] = 0xe0 | PACKET_CHUNK_EXPONENT;
        size = 2;
    }
    writer->has_begun = true;
    if (byte_output_write(writer->below, header + skip, size - skip, cancel, err) < 0 ||
        byte_output_write(writer->below, writer->chunk, writer->chunk_size, cancel, err) < 0)
        return -1;
    writer->chunk_size = 0;
    return 0;
}

static int write_chunked(struct byte_output *output, const void *bytes, size_t size,
                         struct cancel *cancel, struct error *err)
{
    struct packet_writer *writer = (struct packet_writer *)output;
    const uint8_t *next = bytes;

    while (size > 0) {
        size_t room = PACKET_CHUNK_BYTES - writer->chunk_size;
        size_t piece = size < room ? size : room;

        if (room == 0) {
            if (flush_chunk(writer, false, cancel, err) < 0)
                return -1;
            continue;
        }
        memcpy(writer->chunk + writer->chunk_size, next, piece);
        writer->chunk_size += piece;
        next += piece;
        size -= piece;
    }
    return 0;
}

static int allocate_chunk(struct packet_writer *writer, struct error *err)
{
    writer->chunk = writer->arena != NULL ? secure_arena_allocate(writer->arena, PACKET_CHUNK_BYTES)
                                          : malloc(PACKET_CHUNK_BYTES);
    if (writer->chunk == NULL)
        return writer->arena != NULL ? secure_arena_refuse(writer->arena, err)
                                     : error_set(err, ERROR_EXHAUSTED, "out of memory");
    return 0;
}

int packet_writer_new(uint8_t type, uint64_t length, struct secure_arena *arena,
                      struct byte_output *below, struct packet_writer **ret, struct error *err)
{
    CLEANUP(packet_writer_free) struct packet_writer *writer = calloc(1, sizeof *writer);

    if (writer == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    writer->below = below;
    writer->arena = arena;
    writer->type = type;
    writer->length = length;
    writer->body.write = packet_length_is_definite(length) ? write_definite : write_chunked;
    if (!packet_length_is_definite(length) && allocate_chunk(writer, err) < 0)
        return -1;
    *ret = steal(&writer);
    return 0;
}

void packet_writer_free(struct packet_writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->arena != NULL)
        secure_arena_release(writer->arena, writer->chunk);
    else
        free(writer->chunk);
    free(writer);
}

struct byte_output *packet_writer_body(struct packet_writer *writer)
{
    return &writer->body;
}

int packet_writer_finish(struct packet_writer *writer, struct cancel *cancel, struct error *err)
{
    if (packet_length_is_definite(writer->length))
        return begin_definite(writer, cancel, err);
    return flush_chunk(writer, true, cancel, err);
}
