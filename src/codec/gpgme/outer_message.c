/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/outer_message.h"

#include "codec/openpgp/armor.h"
#include "codec/openpgp/ciphertext_stream.h"
#include "codec/openpgp/esk_sequence.h"
#include "codec/openpgp/ignorable_packet.h"
#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/packet_body.h"
#include "codec/openpgp/packet_type.h"
#include "codec/openpgp/pkesk.h"
#include "codec/openpgp/seipd_v1.h"
#include "codec/openpgp/skesk.h"
#include "glancefs/limits.h"

#include <stdlib.h>
#include <string.h>

/* Ciphertext is read in pieces of this size, and passed on in chunks of the second, a power of two. */
#define PIECE_BYTES (256 * KIB)
#define CHUNK_EXPONENT 16
#define CHUNK_BYTES ((size_t)1 << CHUNK_EXPONENT)

#define PARTIAL_LENGTH 0xe0
#define FIVE_OCTET_LENGTH 0xff
#define SEIPD_OCTET (0xc0 | PACKET_SEIPD)

/* A packet of version 4 that skesk_parse takes, with its header, has some 50 octets. */
#define SKESK_PACKET_BYTES 64

/* With a header of ours. */
struct skesk_packet {
    uint8_t bytes[SKESK_PACKET_BYTES];
    size_t size;
};

struct outer_message {
    struct byte_source *stored; /* borrowed */
    struct byte_source *source; /* the same, without armor */
    struct ciphertext_stream ciphertext;
    struct lookahead *packets;
    struct packet_body body;
    struct lookahead *encrypted; /* the body, from its version octet on */

    struct skesk_packet skesks[LIMIT_SKESK_PACKETS];
    size_t skesk_count;
    size_t skesk_packets; /* also those that nobody can use */
    struct pkesk_packets pkesks;
    struct error unsupported; /* why the first unusable one is so */

    uint8_t *front; /* what goes before the first chunk, up to the packet's octet */
    size_t front_size;
    uint8_t *chunk;      /* a length and CHUNK_BYTES */
    size_t chunk_filled; /* octets of the body in it */
    bool is_complete;    /* the last chunk was made */
    const uint8_t *shown;
    size_t shown_size;
};

/* --- the front --- */

/* What skesk_parse takes and the gpg of Debian 12 does not. */
static int require_old_kind(const uint8_t *body, size_t size, const struct skesk *skesk,
                            struct error *err)
{
    const enum hash_algorithm hash = skesk->s2k.hash;

    if (body[0] != SKESK_VERSION)
        return error_set(
            err, ERROR_UNSUPPORTED,
            "the gpgme engine takes no symmetric-key session key packets of version %u", body[0]);
    if (skesk->s2k.type == S2K_ARGON2)
        return error_set(err, ERROR_UNSUPPORTED, "the gpgme engine takes no Argon2");
    if (hash == HASH_SHA3_256 || hash == HASH_SHA3_512)
        return error_set(err, ERROR_UNSUPPORTED, "the gpgme engine takes no SHA-3");
    if (size > SKESK_PACKET_BYTES - PACKET_HEADER_MAXIMUM_BYTES)
        return message_damaged(err);
    return 0;
}

/* One that cannot be used is stepped over: another one may serve. */
static int add_skesk(struct outer_message *message, const uint8_t *body, size_t size,
                     struct error *err)
{
    struct byte_cursor cursor = byte_cursor_over(body, size);
    struct error skesk_err = ERROR_INIT;
    struct skesk_packet *packet;
    struct skesk skesk;

    if (++message->skesk_packets > LIMIT_SKESK_PACKETS)
        return error_set(err, ERROR_TOO_LARGE, "more than %d session key packets",
                         LIMIT_SKESK_PACKETS);
    if (skesk_parse(&cursor, &skesk, &skesk_err) < 0 ||
        require_old_kind(body, size, &skesk, &skesk_err) < 0) {
        if (skesk_err.kind != ERROR_UNSUPPORTED && skesk_err.kind != ERROR_TOO_LARGE) {
            *err = skesk_err;
            return -1;
        }
        if (!error_is_set(&message->unsupported))
            message->unsupported = skesk_err;
        return 0;
    }
    packet = &message->skesks[message->skesk_count++];
    packet->size = packet_header_write(PACKET_SKESK, (uint32_t)size, packet->bytes);
    memcpy(packet->bytes + packet->size, body, size);
    packet->size += size;
    return 0;
}

static int add_pkesk(struct outer_message *message, const uint8_t *body, size_t size,
                     struct error *err)
{
    struct byte_cursor cursor = byte_cursor_over(body, size);
    uint8_t version;

    if (pkesk_parse(&cursor, &version, err) < 0)
        return -1;
    return version == PKESK_VERSION ? pkesk_packets_add(&message->pkesks, body, size, err) : 0;
}

/* One that is too large to be looked at. */
static int skip_pkesk(struct outer_message *message, const struct packet_header *header,
                      struct cancel *cancel, struct error *err)
{
    message->pkesks.is_cut = true;
    packet_body_init(&message->body, message->packets, header);
    return packet_body_skip_rest(&message->body, cancel, err);
}

static int read_esk(struct outer_message *message, const struct packet_header *header,
                    struct cancel *cancel, struct error *err)
{
    const uint8_t *body;
    size_t size;

    if (header->length > LIMIT_SMALL_PACKET_BYTES && header->type == PACKET_PKESK)
        return skip_pkesk(message, header, cancel, err);
    if (header->length > LIMIT_SMALL_PACKET_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "a session key packet of over %zu bytes",
                         LIMIT_SMALL_PACKET_BYTES);
    if (header->length == 0)
        return message_damaged(err);
    if (lookahead_peek(message->packets, (size_t)header->length, cancel, &body, &size, err) < 0)
        return -1;
    if (size < header->length)
        return message_damaged(err);
    size = (size_t)header->length;
    if ((header->type == PACKET_SKESK ? add_skesk(message, body, size, err)
                                      : add_pkesk(message, body, size, err)) < 0)
        return -1;
    lookahead_skip(message->packets, size);
    return 0;
}

static int require_seipd(const struct packet_header *header, struct error *err)
{
    if (header->type == PACKET_AEAD_ENCRYPTED_DATA)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the gpgme engine takes no AEAD encrypted data (packet type 20)");
    return esk_sequence_require_encrypted_data(header, err);
}

/* Reads packets up to the header of the encrypted data. */
static int read_front(struct outer_message *message, struct packet_header *header,
                      struct cancel *cancel, struct error *err)
{
    bool at_end;

    for (;;) {
        if (packet_header_read(message->packets, cancel, &at_end, header, err) < 0)
            return -1;
        if (at_end)
            return message_damaged(err);
        if (header->type == PACKET_SKESK || header->type == PACKET_PKESK) {
            if (read_esk(message, header, cancel, err) < 0)
                return -1;
        } else if (packet_type_is_ignorable(header->type)) {
            packet_body_init(&message->body, message->packets, header);
            if (ignorable_packet_skip(&message->body, header->type, cancel, err) < 0)
                return -1;
        } else {
            return require_seipd(header, err);
        }
    }
}

static int enter_seipd(struct outer_message *message, const struct packet_header *header,
                       struct cancel *cancel, struct error *err)
{
    const uint8_t *bytes;
    size_t size;

    packet_body_init(&message->body, message->packets, header);
    if (lookahead_new(&message->body.stream, NULL, OUTER_MESSAGE_SAMPLE_BYTES, &message->encrypted,
                      err) < 0 ||
        lookahead_peek(message->encrypted, 1, cancel, &bytes, &size, err) < 0)
        return -1;
    if (size == 0)
        return message_damaged(err);
    if (bytes[0] != SEIPD_V1_VERSION)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the gpgme engine takes no encrypted data packets of version %u",
                         bytes[0]);
    return 0;
}

static int require_key_packet(const struct outer_message *message, struct error *err)
{
    if (message->skesk_count > 0 || message->pkesks.size > 0)
        return 0;
    if (message->pkesks.is_cut)
        return error_set(err, ERROR_TOO_LARGE, "a session key packet of over %zu bytes",
                         LIMIT_SMALL_PACKET_BYTES);
    if (!error_is_set(&message->unsupported))
        return error_set(err, ERROR_CORRUPT, "the message has no session key packet");
    *err = message->unsupported;
    return -1;
}

int outer_message_new(struct byte_source *source, struct cancel *cancel, struct outer_message **ret,
                      struct error *err)
{
    CLEANUP(outer_message_free) struct outer_message *message = calloc(1, sizeof *message);
    struct packet_header header;
    bool is_armored;

    if (message == NULL ||
        (message->chunk = malloc(PACKET_LENGTH_MAXIMUM_BYTES + CHUNK_BYTES)) == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    message->stored = source;
    if (armor_open(source, cancel, &message->source, &is_armored, err) < 0)
        return -1;
    ciphertext_stream_init(&message->ciphertext, message->source, 0);
    if (lookahead_new(&message->ciphertext.stream, NULL, PIECE_BYTES, &message->packets, err) < 0 ||
        esk_sequence_check_start(message->packets, cancel, err) < 0 ||
        read_front(message, &header, cancel, err) < 0 ||
        enter_seipd(message, &header, cancel, err) < 0 || require_key_packet(message, err) < 0)
        return -1;
    *ret = steal(&message);
    return 0;
}

void outer_message_free(struct outer_message *message)
{
    if (message == NULL)
        return;
    lookahead_free(message->encrypted);
    lookahead_free(message->packets);
    armor_close(message->source, message->stored);
    free(message->front);
    free(message->chunk);
    pkesk_packets_clear(&message->pkesks);
    free(message);
}

size_t outer_message_passphrase_packets(const struct outer_message *message)
{
    return message->skesk_count;
}

bool outer_message_has_public_key_packets(const struct outer_message *message)
{
    return message->pkesks.size > 0;
}

/* --- what gpg sees --- */

/* The packets that `index` names. */
static const uint8_t *esks_of(const struct outer_message *message, size_t index, size_t *ret_size)
{
    if (index == OUTER_MESSAGE_PUBLIC_KEYS) {
        *ret_size = message->pkesks.size;
        return message->pkesks.bytes;
    }
    *ret_size = message->skesks[index].size;
    return message->skesks[index].bytes;
}

int outer_message_excerpt(struct outer_message *message, size_t index, struct cancel *cancel,
                          uint8_t **ret, size_t *ret_size, struct error *err)
{
    CLEANUP(memory_free) uint8_t *excerpt = NULL;
    size_t size, sample_size;
    const uint8_t *esks = esks_of(message, index, &size);
    const uint8_t *sample;

    if (lookahead_peek(message->encrypted, OUTER_MESSAGE_SAMPLE_BYTES, cancel, &sample,
                       &sample_size, err) < 0)
        return -1;
    excerpt = malloc(size + PACKET_HEADER_MAXIMUM_BYTES + sample_size);
    if (excerpt == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    memcpy(excerpt, esks, size);
    size += packet_header_write(PACKET_SEIPD, (uint32_t)sample_size, excerpt + size);
    memcpy(excerpt + size, sample, sample_size);
    *ret_size = size + sample_size;
    *ret = steal(&excerpt);
    return 0;
}

int outer_message_begin(struct outer_message *message, size_t index, struct error *err)
{
    size_t size;
    const uint8_t *esks = esks_of(message, index, &size);

    message->front = malloc(size + 1);
    if (message->front == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    memcpy(message->front, esks, size);
    message->front[size] = SEIPD_OCTET;
    message->front_size = size + 1;
    message->shown = message->front;
    message->shown_size = message->front_size;
    return 0;
}

/* Behind the last chunk stands nothing: neither in its packet nor after it. */
static int check_end(struct outer_message *message, struct cancel *cancel, struct error *err)
{
    const uint8_t *bytes;
    size_t size;

    if (lookahead_peek(message->packets, 1, cancel, &bytes, &size, err) < 0)
        return -1;
    return size == 0 ? 0 : message_damaged(err);
}

static void show_chunk(struct outer_message *message)
{
    const size_t filled = message->chunk_filled;
    uint8_t *length = message->chunk;

    message->is_complete = filled < CHUNK_BYTES;
    message->chunk_filled = 0;
    if (message->is_complete) {
        length[0] = FIVE_OCTET_LENGTH;
        length[1] = (uint8_t)(filled >> 24);
        length[2] = (uint8_t)(filled >> 16);
        length[3] = (uint8_t)(filled >> 8);
        length[4] = (uint8_t)filled;
        message->shown = length;
        message->shown_size = PACKET_LENGTH_MAXIMUM_BYTES + filled;
        return;
    }
    /* The one octet of a partial length stands right before the data. */
    length[PACKET_LENGTH_MAXIMUM_BYTES - 1] = PARTIAL_LENGTH | CHUNK_EXPONENT;
    message->shown = length + PACKET_LENGTH_MAXIMUM_BYTES - 1;
    message->shown_size = 1 + filled;
}

static int make_chunk(struct outer_message *message, struct cancel *cancel, struct error *err)
{
    uint8_t *data = message->chunk + PACKET_LENGTH_MAXIMUM_BYTES;
    size_t got = 1;

    while (got > 0 && message->chunk_filled < CHUNK_BYTES) {
        if (byte_stream_read(&message->encrypted->stream, data + message->chunk_filled,
                             CHUNK_BYTES - message->chunk_filled, cancel, &got, err) < 0)
            return -1;
        message->chunk_filled += got;
    }
    if (message->chunk_filled < CHUNK_BYTES && check_end(message, cancel, err) < 0)
        return -1;
    show_chunk(message);
    return 0;
}

int outer_message_next(struct outer_message *message, struct cancel *cancel,
                       const uint8_t **ret_bytes, size_t *ret_size, struct error *err)
{
    if (message->shown_size == 0 && !message->is_complete && make_chunk(message, cancel, err) < 0)
        return -1;
    *ret_bytes = message->shown;
    *ret_size = message->shown_size;
    return 0;
}

void outer_message_skip(struct outer_message *message, size_t size)
{
    message->shown += size;
    message->shown_size -= size;
}
