/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/aead_writer.h"

#include "codec/openpgp/aead_chunks.h"
#include "codec/openpgp/algorithm.h"
#include "codec/openpgp/packet_type.h"
#include "crypto/random.h"

#include <string.h>

/* 2 to the power of 6 and the octet. */
#define CHUNK_SIZE_OCTET 10
#define CHUNK_BYTES ((size_t)1 << (6 + CHUNK_SIZE_OCTET))

/* The packet type is in the length that packet_writer makes, too. */
#define HEADER_BODY_OCTETS (AEAD_HEADER_OCTETS - 1)

/* Lives in the arena: a chunk is plaintext before it is encrypted in place. */
struct aead_writer {
    struct byte_output packets;
    struct byte_output *below;
    struct secure_arena *arena;
    struct aead_header header;
    struct aead_chunks chunks;
    uint64_t count;  /* chunks written */
    uint64_t octets; /* of plaintext in them */
    size_t filled;   /* of the chunk */
    uint8_t chunk[CHUNK_BYTES + AEAD_TAG_BYTES];
};

uint8_t aead_writer_packet_type(enum aead_mode mode)
{
    return mode == AEAD_LIBREPGP_OCB ? PACKET_AEAD_ENCRYPTED_DATA : PACKET_SEIPD;
}

enum aead_algorithm aead_writer_algorithm(enum aead_mode mode)
{
    return mode == AEAD_GCM ? AEAD_ALGORITHM_GCM : AEAD_ALGORITHM_OCB;
}

static size_t salt_size_of(enum aead_mode mode)
{
    return mode == AEAD_LIBREPGP_OCB ? aead_nonce_size(AEAD_ALGORITHM_OCB) : AEAD_SALT_BYTES;
}

uint64_t aead_writer_body_size(enum aead_mode mode, uint64_t packets_size)
{
    const uint64_t chunks = packets_size / CHUNK_BYTES + (packets_size % CHUNK_BYTES != 0);

    return HEADER_BODY_OCTETS + salt_size_of(mode) + packets_size + (chunks + 1) * AEAD_TAG_BYTES;
}

static struct aead_header make_header(enum aead_mode mode)
{
    struct aead_header header = {.cipher = CIPHER_AES256,
                                 .aead = aead_writer_algorithm(mode),
                                 .chunk_size = CHUNK_BYTES,
                                 .salt_size = salt_size_of(mode)};

    header.octets[0] = 0xc0 | aead_writer_packet_type(mode);
    header.octets[1] = mode == AEAD_LIBREPGP_OCB ? OCB_PACKET_VERSION : SEIPD_V2_VERSION;
    header.octets[2] = CIPHER_ID_AES256;
    header.octets[3] = aead_algorithm_id(header.aead);
    header.octets[4] = CHUNK_SIZE_OCTET;
    random_bytes(header.salt, header.salt_size);
    return header;
}

static int write_chunk(struct aead_writer *writer, struct cancel *cancel, struct error *err)
{
    const size_t size = writer->filled;

    aead_chunks_begin(&writer->chunks, writer->count);
    aead_cipher_encrypt(writer->chunks.cipher, writer->chunk, writer->chunk, size, true);
    aead_cipher_tag(writer->chunks.cipher, writer->chunk + size);
    writer->count++;
    writer->octets += size;
    writer->filled = 0;
    return byte_output_write(writer->below, writer->chunk, size + AEAD_TAG_BYTES, cancel, err);
}

static int write_packets(struct byte_output *output, const void *bytes, size_t size,
                         struct cancel *cancel, struct error *err)
{
    struct aead_writer *writer = (struct aead_writer *)output;
    const uint8_t *next = bytes;

    while (size > 0) {
        const size_t room = CHUNK_BYTES - writer->filled;
        const size_t piece = size < room ? size : room;

        memcpy(writer->chunk + writer->filled, next, piece);
        writer->filled += piece;
        next += piece;
        size -= piece;
        if (writer->filled == CHUNK_BYTES && write_chunk(writer, cancel, err) < 0)
            return -1;
    }
    return 0;
}

int aead_writer_new(enum aead_mode mode, const struct session_key *key, struct byte_output *below,
                    struct aead_writer **ret, struct error *err)
{
    CLEANUP(aead_writer_free)
    struct aead_writer *writer = secure_arena_allocate(key->arena, sizeof *writer);

    if (writer == NULL)
        return secure_arena_refuse(key->arena, err);
    writer->packets.write = write_packets;
    writer->below = below;
    writer->arena = key->arena;
    writer->header = make_header(mode);
    if (aead_chunks_init(&writer->chunks, &writer->header, key, err) < 0)
        return -1;
    *ret = steal(&writer);
    return 0;
}

void aead_writer_free(struct aead_writer *writer)
{
    if (writer == NULL)
        return;
    aead_chunks_clear(&writer->chunks);
    secure_arena_release(writer->arena, writer);
}

int aead_writer_begin(struct aead_writer *writer, struct cancel *cancel, struct error *err)
{
    const struct aead_header *header = &writer->header;

    if (byte_output_write(writer->below, header->octets + 1, HEADER_BODY_OCTETS, cancel, err) < 0)
        return -1;
    return byte_output_write(writer->below, header->salt, header->salt_size, cancel, err);
}

struct byte_output *aead_writer_packets(struct aead_writer *writer)
{
    return &writer->packets;
}

int aead_writer_finish(struct aead_writer *writer, struct cancel *cancel, struct error *err)
{
    if (writer->filled > 0 && write_chunk(writer, cancel, err) < 0)
        return -1;
    aead_chunks_begin_final(&writer->chunks, writer->count, writer->octets);
    aead_cipher_tag(writer->chunks.cipher, writer->chunk);
    return byte_output_write(writer->below, writer->chunk, AEAD_TAG_BYTES, cancel, err);
}
