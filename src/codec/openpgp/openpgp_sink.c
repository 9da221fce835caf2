/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/openpgp_sink.h"

#include "codec/openpgp/aead_writer.h"
#include "codec/openpgp/literal.h"
#include "codec/openpgp/openpgp_codec.h"
#include "codec/openpgp/packet_type.h"
#include "codec/openpgp/packet_writer.h"
#include "codec/openpgp/passphrase.h"
#include "codec/openpgp/seipd_v1_writer.h"
#include "codec/openpgp/skesk.h"
#include "crypto/random.h"
#include "glancefs/limits.h"

#include <inttypes.h>
#include <stdlib.h>

/* Layers from top to bottom: literal, seipd or aead, data_packet, ciphertext. */
struct openpgp_sink {
    struct byte_sink sink;
    struct sink_output ciphertext;
    struct packet_writer *data_packet;
    enum aead_mode mode;
    struct seipd_v1_writer *seipd; /* AEAD_NONE */
    struct aead_writer *aead;      /* the other modes */
    struct packet_writer *literal;
    uint64_t declared_size; /* or BYTE_SOURCE_SIZE_UNKNOWN */
    uint64_t written;       /* bytes of plaintext */
    bool has_begun;
    uint8_t skesk[SKESK_AEAD_WRITTEN_MAXIMUM_BYTES];
    size_t skesk_size;
};
_Static_assert(SKESK_WRITTEN_BYTES <= SKESK_AEAD_WRITTEN_MAXIMUM_BYTES, "every version fits");

static int begin_encryption(struct openpgp_sink *openpgp, struct cancel *cancel, struct error *err)
{
    return openpgp->mode == AEAD_NONE ? seipd_v1_writer_begin(openpgp->seipd, cancel, err)
                                      : aead_writer_begin(openpgp->aead, cancel, err);
}

static int finish_encryption(struct openpgp_sink *openpgp, struct cancel *cancel, struct error *err)
{
    return openpgp->mode == AEAD_NONE ? seipd_v1_writer_finish(openpgp->seipd, cancel, err)
                                      : aead_writer_finish(openpgp->aead, cancel, err);
}

static int begin(struct openpgp_sink *openpgp, struct cancel *cancel, struct error *err)
{
    uint8_t header[LITERAL_WRITTEN_HEADER_BYTES];

    if (openpgp->has_begun)
        return 0;
    openpgp->has_begun = true;
    literal_write_header(header);
    if (byte_output_write(&openpgp->ciphertext.output, openpgp->skesk, openpgp->skesk_size, cancel,
                          err) < 0 ||
        begin_encryption(openpgp, cancel, err) < 0)
        return -1;
    return byte_output_write(packet_writer_body(openpgp->literal), header, sizeof header, cancel,
                             err);
}

static int openpgp_sink_write(struct byte_sink *sink, const void *bytes, size_t size,
                              struct cancel *cancel, struct error *err)
{
    struct openpgp_sink *openpgp = (struct openpgp_sink *)sink;
    uint64_t limit = openpgp->declared_size == BYTE_SOURCE_SIZE_UNKNOWN ? LIMIT_PLAINTEXT_BYTES
                                                                        : openpgp->declared_size;

    if (size > limit - openpgp->written) {
        if (openpgp->declared_size == BYTE_SOURCE_SIZE_UNKNOWN)
            return error_set(err, ERROR_TOO_LARGE, "the plaintext is over %" PRIu64 " bytes",
                             LIMIT_PLAINTEXT_BYTES);
        return error_set(err, ERROR_INVALID,
                         "more plaintext than the %" PRIu64 " bytes that were declared",
                         openpgp->declared_size);
    }
    if (begin(openpgp, cancel, err) < 0 ||
        byte_output_write(packet_writer_body(openpgp->literal), bytes, size, cancel, err) < 0)
        return -1;
    openpgp->written += size;
    return 0;
}

static int openpgp_sink_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    struct openpgp_sink *openpgp = (struct openpgp_sink *)sink;

    if (openpgp->declared_size != BYTE_SOURCE_SIZE_UNKNOWN &&
        openpgp->written != openpgp->declared_size)
        return error_set(err, ERROR_INVALID,
                         "%" PRIu64 " bytes of plaintext where %" PRIu64 " were declared",
                         openpgp->written, openpgp->declared_size);
    if (begin(openpgp, cancel, err) < 0 ||
        packet_writer_finish(openpgp->literal, cancel, err) < 0 ||
        finish_encryption(openpgp, cancel, err) < 0 ||
        packet_writer_finish(openpgp->data_packet, cancel, err) < 0)
        return -1;
    return byte_sink_commit(openpgp->ciphertext.sink, cancel, err);
}

static void openpgp_sink_abort(struct byte_sink *sink)
{
    byte_sink_abort(((struct openpgp_sink *)sink)->ciphertext.sink);
}

static void openpgp_sink_free(struct byte_sink *sink)
{
    struct openpgp_sink *openpgp = (struct openpgp_sink *)sink;

    packet_writer_free(openpgp->literal);
    seipd_v1_writer_free(openpgp->seipd);
    aead_writer_free(openpgp->aead);
    packet_writer_free(openpgp->data_packet);
    free(openpgp);
}
DEFINE_CLEANUP(struct byte_sink, openpgp_sink_free)

/* A packet's size with its header, or unknown when it goes in chunks. */
static uint64_t packet_size(uint64_t body_size)
{
    return packet_length_is_definite(body_size) ? PACKET_HEADER_MAXIMUM_BYTES + body_size
                                                : PACKET_LENGTH_UNKNOWN;
}

static uint64_t body_size(enum aead_mode mode, const struct session_key *key, uint64_t packets_size)
{
    if (packets_size == PACKET_LENGTH_UNKNOWN)
        return PACKET_LENGTH_UNKNOWN;
    return mode == AEAD_NONE ? seipd_v1_body_size(key, packets_size)
                             : aead_writer_body_size(mode, packets_size);
}

/* The layer that encrypts, and where its packets go. */
static int build_encryption(struct openpgp_sink *openpgp, const struct session_key *key,
                            struct byte_output **ret_packets, struct error *err)
{
    struct byte_output *below = packet_writer_body(openpgp->data_packet);

    if (openpgp->mode == AEAD_NONE) {
        if (seipd_v1_writer_new(key, below, &openpgp->seipd, err) < 0)
            return -1;
        *ret_packets = seipd_v1_writer_packets(openpgp->seipd);
    } else {
        if (aead_writer_new(openpgp->mode, key, below, &openpgp->aead, err) < 0)
            return -1;
        *ret_packets = aead_writer_packets(openpgp->aead);
    }
    return 0;
}

static int build_layers(struct openpgp_sink *openpgp, const struct session_key *key,
                        struct error *err)
{
    const uint64_t literal_size = openpgp->declared_size == BYTE_SOURCE_SIZE_UNKNOWN
                                      ? PACKET_LENGTH_UNKNOWN
                                      : LITERAL_WRITTEN_HEADER_BYTES + openpgp->declared_size;
    const uint64_t data_size = body_size(openpgp->mode, key, packet_size(literal_size));
    struct byte_output *packets;

    if (packet_writer_new(aead_writer_packet_type(openpgp->mode), data_size, NULL,
                          &openpgp->ciphertext.output, &openpgp->data_packet, err) < 0 ||
        build_encryption(openpgp, key, &packets, err) < 0)
        return -1;
    return packet_writer_new(PACKET_LITERAL_DATA, literal_size, key->arena, packets,
                             &openpgp->literal, err);
}

static int make_skesk(struct openpgp_sink *openpgp, const struct session_key *key,
                      const struct secure_buffer *passphrase, struct error *err)
{
    if (openpgp->mode != AEAD_NONE)
        return skesk_write_aead(key, openpgp->mode == AEAD_LIBREPGP_OCB,
                                aead_writer_algorithm(openpgp->mode), key->arena, passphrase,
                                openpgp->skesk, &openpgp->skesk_size, err);
    openpgp->skesk_size = SKESK_WRITTEN_BYTES;
    return skesk_write(key, key->arena, passphrase, openpgp->skesk, err);
}

static int make_session_key(struct secure_arena *arena, struct session_key **ret, struct error *err)
{
    if (session_key_new(arena, ret, err) < 0)
        return -1;
    (*ret)->algorithm = CIPHER_AES256;
    (*ret)->size = cipher_key_size(CIPHER_AES256);
    random_bytes((*ret)->key, (*ret)->size);
    return 0;
}

int openpgp_sink_new(const struct codec *codec, struct secure_arena *arena,
                     const struct secure_buffer *passphrase, uint64_t declared_size,
                     struct byte_sink *ciphertext, struct byte_sink **ret, struct error *err)
{
    static const struct byte_sink_ops ops = {.write = openpgp_sink_write,
                                             .commit = openpgp_sink_commit,
                                             .abort = openpgp_sink_abort,
                                             .free = openpgp_sink_free};
    CLEANUP(session_key_free) struct session_key *key = NULL;
    CLEANUP(openpgp_sink_free) struct byte_sink *sink = NULL;
    struct openpgp_sink *openpgp;

    if (passphrase_check(passphrase, err) < 0)
        return -1;
    if (declared_size != BYTE_SOURCE_SIZE_UNKNOWN && declared_size > LIMIT_PLAINTEXT_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "the plaintext is over %" PRIu64 " bytes",
                         LIMIT_PLAINTEXT_BYTES);
    openpgp = calloc(1, sizeof *openpgp);
    if (openpgp == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    sink = &openpgp->sink;
    sink->ops = &ops;
    sink_output_init(&openpgp->ciphertext, ciphertext);
    openpgp->declared_size = declared_size;
    openpgp->mode = ((const struct openpgp_codec *)codec)->aead;
    if (make_session_key(arena, &key, err) < 0 || make_skesk(openpgp, key, passphrase, err) < 0 ||
        build_layers(openpgp, key, err) < 0)
        return -1;
    *ret = steal(&sink);
    return 0;
}
