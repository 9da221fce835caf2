/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/literal_message.h"

#include "codec/openpgp/compressed.h"
#include "codec/openpgp/ignorable_packet.h"
#include "codec/openpgp/literal.h"
#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/packet_body.h"
#include "codec/openpgp/packet_type.h"
#include "glancefs/byte_source.h"
#include "glancefs/limits.h"

#include <stdlib.h>

/* Look-ahead into decompressed packets: smaller, for they may be nested. */
#define DECOMPRESSED_PIECE_BYTES (64 * KIB)

/* One container's packets and the one of them that is being read. */
struct packet_level {
    struct lookahead *packets;
    struct packet_body body;
    struct compressed *compressed; /* what `body` is, unless it is the literal */
    bool is_behind;                /* its content was finished, `body` is an ignorable packet */
};

struct literal_message {
    struct secure_arena *arena;
    const uint64_t *plaintext_bytes;
    struct packet_level levels[LIMIT_PACKET_NESTING]; /* the encryption is the outermost */
    size_t depth;                                     /* levels in use */
    bool is_compressed;
    bool has_bzip2;
};

static struct packet_level *innermost(struct literal_message *message)
{
    return &message->levels[message->depth - 1];
}

static int enter_level(struct literal_message *message, struct byte_stream *packets,
                       struct error *err)
{
    size_t piece = message->depth == 0 ? LITERAL_MESSAGE_PIECE_BYTES : DECOMPRESSED_PIECE_BYTES;

    if (message->depth == LIMIT_PACKET_NESTING)
        return error_set(err, ERROR_TOO_LARGE, "packets are nested more than %d deep",
                         LIMIT_PACKET_NESTING);
    if (lookahead_new(packets, message->arena, piece, &message->levels[message->depth].packets,
                      err) < 0)
        return -1;
    message->depth++;
    return 0;
}

/* Starts the next packet of `level` that is not ignorable; *ret_end when none is left. */
static int next_packet(struct packet_level *level, struct cancel *cancel, bool *ret_end,
                       uint8_t *ret_type, struct error *err)
{
    struct packet_header header;

    for (;;) {
        if (packet_header_read(level->packets, cancel, ret_end, &header, err) < 0)
            return -1;
        if (*ret_end)
            return 0;
        packet_body_init(&level->body, level->packets, &header);
        *ret_type = header.type;
        if (!packet_type_is_ignorable(header.type))
            return 0;
        if (ignorable_packet_skip(&level->body, header.type, cancel, err) < 0)
            return -1;
    }
}

/* BZip2's state is a large part of the locked memory that a user may have. */
static int check_bzip2(struct literal_message *message, const struct compressed *compressed,
                       struct error *err)
{
    if (compressed_algorithm(compressed) != COMPRESSION_ID_BZIP2)
        return 0;
    if (message->has_bzip2)
        return error_set(err, ERROR_TOO_LARGE, "BZip2 data is nested");
    message->has_bzip2 = true;
    return 0;
}

static int enter_compressed(struct literal_message *message, struct cancel *cancel,
                            struct error *err)
{
    struct packet_level *level = innermost(message);

    if (compressed_new(&level->body, message->arena, message->plaintext_bytes, cancel,
                       &level->compressed, err) < 0 ||
        check_bzip2(message, level->compressed, err) < 0)
        return -1;
    if (compressed_algorithm(level->compressed) != COMPRESSION_ID_UNCOMPRESSED)
        message->is_compressed = true;
    return enter_level(message, compressed_stream(level->compressed), err);
}

static int refuse(uint8_t type, struct error *err)
{
    switch (type) {
    case PACKET_SIGNATURE:
    case PACKET_ONE_PASS_SIGNATURE:
        return error_set(err, ERROR_UNSUPPORTED, "signed messages are not supported");
    case PACKET_PKESK:
    case PACKET_SKESK:
    case PACKET_SED:
    case PACKET_SEIPD:
    case PACKET_AEAD_ENCRYPTED_DATA:
        return error_set(err, ERROR_UNSUPPORTED,
                         "encrypted messages inside encrypted messages are not supported");
    default:
        return message_damaged(err);
    }
}

static int find_literal(struct literal_message *message, struct cancel *cancel, struct error *err)
{
    for (;;) {
        uint8_t type = PACKET_RESERVED;
        bool at_end;

        if (next_packet(innermost(message), cancel, &at_end, &type, err) < 0)
            return -1;
        if (at_end)
            return message_damaged(err);
        if (type == PACKET_LITERAL_DATA)
            return literal_read_header(&innermost(message)->body, cancel, err);
        if (type != PACKET_COMPRESSED_DATA)
            return refuse(type, err);
        if (enter_compressed(message, cancel, err) < 0)
            return -1;
    }
}

int literal_message_new(struct byte_stream *plaintext, const uint64_t *plaintext_bytes,
                        struct secure_arena *arena, struct cancel *cancel,
                        struct literal_message **ret, struct error *err)
{
    CLEANUP(literal_message_free) struct literal_message *message = calloc(1, sizeof *message);

    if (message == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    message->arena = arena;
    message->plaintext_bytes = plaintext_bytes;
    if (enter_level(message, plaintext, err) < 0 || find_literal(message, cancel, err) < 0)
        return -1;
    *ret = steal(&message);
    return 0;
}

void literal_message_free(struct literal_message *message)
{
    if (message == NULL)
        return;
    for (size_t i = message->depth; i > 0; i--) {
        compressed_free(message->levels[i - 1].compressed);
        lookahead_free(message->levels[i - 1].packets);
    }
    free(message);
}

struct byte_stream *literal_message_content(struct literal_message *message)
{
    return &innermost(message)->body.stream;
}

void literal_message_note(struct literal_message *message, struct packet_index *index)
{
    if (message->depth == 1)
        packet_body_note(&innermost(message)->body, index);
}

uint64_t literal_message_remaining(struct literal_message *message)
{
    return message->is_compressed ? BYTE_SOURCE_SIZE_UNKNOWN
                                  : packet_body_remaining(&innermost(message)->body);
}

bool literal_message_is_compressed(const struct literal_message *message)
{
    return message->is_compressed;
}

/* Padding goes behind what it hides the size of (RFC 9580 section 5.14). */
static int finish_level(struct packet_level *level, struct cancel *cancel, struct error *err)
{
    uint8_t type;
    bool at_end;

    if (level->is_behind) {
        if (packet_body_skip_rest(&level->body, cancel, err) < 0)
            return -1;
    } else if (packet_body_finish(&level->body, cancel, err) < 0) {
        return -1;
    }
    level->is_behind = true;
    if (next_packet(level, cancel, &at_end, &type, err) < 0)
        return -1;
    return at_end ? 0 : message_damaged(err);
}

int literal_message_finish(struct literal_message *message, struct cancel *cancel,
                           struct error *err)
{
    for (size_t i = message->depth; i > 0; i--)
        if (finish_level(&message->levels[i - 1], cancel, err) < 0)
            return -1;
    return 0;
}
