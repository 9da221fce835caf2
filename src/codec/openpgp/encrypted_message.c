/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/encrypted_message.h"

#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/packet_type.h"

#include <stdlib.h>

int encrypted_message_new(struct byte_source *source, uint64_t offset,
                          struct encrypted_message **ret, struct error *err)
{
    CLEANUP(encrypted_message_free)
    struct encrypted_message *message = calloc(1, sizeof *message);

    if (message == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    ciphertext_stream_init(&message->ciphertext, source, offset);
    if (lookahead_new(&message->ciphertext.stream, NULL, CIPHERTEXT_PIECE_BYTES, &message->packets,
                      err) < 0)
        return -1;
    /* Positions are those of the source, wherever reading began: the index is made of them. */
    message->packets->position = offset;
    *ret = steal(&message);
    return 0;
}

void encrypted_message_free(struct encrypted_message *message)
{
    if (message == NULL)
        return;
    literal_message_free(message->inside);
    aead_stream_free(message->aead);
    seipd_v1_free(message->seipd);
    lookahead_free(message->sample);
    lookahead_free(message->packets);
    free(message);
}

/* SEIPD version 1 tells nothing but by its first bytes. */
static int enter_seipd_v1(struct encrypted_message *message, struct packet_index *index,
                          struct cancel *cancel, struct error *err)
{
    message->data.kind = ENCRYPTED_DATA_SEIPD_V1;
    if (index != NULL)
        packet_body_note(&message->body, index);
    if (lookahead_new(&message->body.stream, NULL, SESSION_KEY_SAMPLE_BYTES, &message->sample,
                      err) < 0)
        return -1;
    return lookahead_peek(message->sample, SESSION_KEY_SAMPLE_BYTES, cancel, &message->data.sample,
                          &message->data.sample_size, err);
}

static int enter_aead(struct encrypted_message *message, uint8_t type, uint8_t version,
                      struct packet_index *index, struct cancel *cancel, struct error *err)
{
    message->data.kind =
        type == PACKET_SEIPD ? ENCRYPTED_DATA_SEIPD_V2 : ENCRYPTED_DATA_LIBREPGP_AEAD;
    if (aead_header_read(&message->body.stream, type, version, cancel, &message->aead_header, err) <
        0)
        return -1;
    message->data.cipher = message->aead_header.cipher;
    if (index != NULL)
        packet_body_note(&message->body, index);
    return 0;
}

int encrypted_message_enter(struct encrypted_message *message, const struct packet_header *header,
                            struct packet_index *index, struct cancel *cancel, struct error *err)
{
    uint8_t version;

    packet_body_init(&message->body, message->packets, header);
    if (byte_stream_read_exact(&message->body.stream, &version, 1, cancel, err) < 0)
        return -1;
    if (header->type == PACKET_SEIPD && version == SEIPD_V1_VERSION)
        return enter_seipd_v1(message, index, cancel, err);
    if (version == (header->type == PACKET_SEIPD ? SEIPD_V2_VERSION : OCB_PACKET_VERSION))
        return enter_aead(message, header->type, version, index, cancel, err);
    return error_set(err, ERROR_UNSUPPORTED,
                     "encrypted data packets of type %u and version %u are not supported",
                     header->type, version);
}

static int decrypt_aead(struct encrypted_message *message, const struct session_key *key,
                        struct error *err)
{
    struct aead_chunks chunks = {.cipher = NULL};

    if (aead_chunks_init(&chunks, &message->aead_header, key, err) < 0)
        return -1;
    if (aead_stream_new(&message->body.stream, &chunks, key->arena, &message->aead, err) == 0)
        return 0;
    aead_chunks_clear(&chunks);
    return -1;
}

struct byte_stream *encrypted_message_packets(struct encrypted_message *message)
{
    if (message->aead != NULL)
        return aead_stream_plaintext(message->aead);
    return message->seipd != NULL ? seipd_v1_stream(message->seipd) : NULL;
}

static const uint64_t *decrypted_bytes(const struct encrypted_message *message)
{
    return message->aead != NULL ? aead_stream_decrypted_bytes(message->aead)
                                 : seipd_v1_decrypted_bytes(message->seipd);
}

uint64_t encrypted_message_decrypted_bytes(const struct encrypted_message *message)
{
    return *decrypted_bytes(message);
}

int encrypted_message_decrypt(struct encrypted_message *message, const struct session_key *key,
                              bool verify, struct cancel *cancel, struct error *err)
{
    if ((message->data.kind == ENCRYPTED_DATA_SEIPD_V1
             ? seipd_v1_new(&message->sample->stream, key, verify, &message->seipd, err)
             : decrypt_aead(message, key, err)) < 0)
        return -1;
    return literal_message_new(encrypted_message_packets(message), decrypted_bytes(message),
                               key->arena, cancel, &message->inside, err);
}

/* The MDC comes last: it can be asked for once, the end of a slow source again and again. */
int encrypted_message_finish(struct encrypted_message *message, struct cancel *cancel,
                             struct error *err)
{
    const uint8_t *bytes;
    size_t size;

    if (message->is_finished)
        return 0;
    if (packet_body_finish(&message->body, cancel, err) < 0 ||
        lookahead_peek(message->packets, 1, cancel, &bytes, &size, err) < 0)
        return -1;
    if (size > 0)
        return message_damaged(err);
    if ((message->aead != NULL ? aead_stream_finish(message->aead, err)
                               : seipd_v1_finish(message->seipd, err)) < 0)
        return -1;
    message->is_finished = true;
    return 0;
}

int encrypted_message_reenter(struct byte_source *source, uint64_t offset,
                              struct packet_index *index, struct cancel *cancel,
                              struct encrypted_message **ret, struct error *err)
{
    CLEANUP(encrypted_message_free) struct encrypted_message *message = NULL;
    struct packet_header header;
    bool at_end;

    if (encrypted_message_new(source, offset, &message, err) < 0 ||
        packet_header_read(message->packets, cancel, &at_end, &header, err) < 0)
        return -1;
    if (at_end || !packet_type_is_encrypted_data(header.type))
        return message_damaged(err);
    if (encrypted_message_enter(message, &header, index, cancel, err) < 0)
        return -1;
    *ret = steal(&message);
    return 0;
}
