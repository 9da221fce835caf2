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
    *ret = steal(&message);
    return 0;
}

void encrypted_message_free(struct encrypted_message *message)
{
    if (message == NULL)
        return;
    literal_message_free(message->inside);
    seipd_v1_free(message->seipd);
    lookahead_free(message->sample);
    lookahead_free(message->packets);
    free(message);
}

int encrypted_message_enter(struct encrypted_message *message, const struct packet_header *header,
                            struct cancel *cancel, struct error *err)
{
    uint8_t version;

    packet_body_init(&message->body, message->packets, header);
    if (byte_stream_read_exact(&message->body.stream, &version, 1, cancel, err) < 0)
        return -1;
    if (version != SEIPD_V1_VERSION)
        return error_set(err, ERROR_UNSUPPORTED,
                         "encrypted data packets of version %u are not supported", version);
    return lookahead_new(&message->body.stream, NULL, SESSION_KEY_SAMPLE_BYTES, &message->sample,
                         err);
}

int encrypted_message_sample(struct encrypted_message *message, struct cancel *cancel,
                             const uint8_t **ret_bytes, size_t *ret_size, struct error *err)
{
    return lookahead_peek(message->sample, SESSION_KEY_SAMPLE_BYTES, cancel, ret_bytes, ret_size,
                          err);
}

int encrypted_message_decrypt(struct encrypted_message *message, const struct session_key *key,
                              bool verify, struct cancel *cancel, struct error *err)
{
    if (seipd_v1_new(&message->sample->stream, key, verify, &message->seipd, err) < 0)
        return -1;
    return literal_message_new(seipd_v1_stream(message->seipd),
                               seipd_v1_decrypted_bytes(message->seipd), key->arena, cancel,
                               &message->inside, err);
}

int encrypted_message_reopen(struct byte_source *source, uint64_t offset,
                             const struct session_key *key, struct cancel *cancel,
                             struct encrypted_message **ret, struct error *err)
{
    CLEANUP(encrypted_message_free) struct encrypted_message *message = NULL;
    struct packet_header header;
    bool at_end;

    if (encrypted_message_new(source, offset, &message, err) < 0 ||
        packet_header_read(message->packets, cancel, &at_end, &header, err) < 0)
        return -1;
    if (at_end || header.type != PACKET_SEIPD)
        return message_damaged(err);
    if (encrypted_message_enter(message, &header, cancel, err) < 0 ||
        encrypted_message_decrypt(message, key, false, cancel, err) < 0)
        return -1;
    *ret = steal(&message);
    return 0;
}
