/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/esk_sequence.h"

#include "codec/openpgp/ignorable_packet.h"
#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/packet_type.h"

#include <stdlib.h>

int esk_sequence_check_start(struct lookahead *packets, struct cancel *cancel, struct error *err)
{
    const uint8_t *bytes;
    size_t size;

    if (lookahead_peek(packets, 1, cancel, &bytes, &size, err) < 0)
        return -1;
    if (size == 0)
        return error_set(err, ERROR_CORRUPT, "not an OpenPGP message: it is empty");
    if ((bytes[0] & 0x80) == 0)
        return error_set(err, ERROR_CORRUPT, "not an OpenPGP message");
    return 0;
}

/* One that we cannot use is stepped over: another one may serve. */
static int add_skesk(struct esk_sequence *sequence, struct byte_cursor *cursor, struct error *err)
{
    struct error skesk_err = ERROR_INIT;

    if (++sequence->skesk_packets > LIMIT_SKESK_PACKETS)
        return error_set(err, ERROR_TOO_LARGE, "more than %d session key packets",
                         LIMIT_SKESK_PACKETS);
    if (skesk_parse(cursor, &sequence->skesks[sequence->count], &skesk_err) == 0) {
        sequence->count++;
        return 0;
    }
    if (skesk_err.kind != ERROR_UNSUPPORTED && skesk_err.kind != ERROR_TOO_LARGE) {
        *err = skesk_err;
        return -1;
    }
    if (!error_is_set(&sequence->unusable))
        sequence->unusable = skesk_err;
    return 0;
}

static int add_pkesk(struct esk_sequence *sequence, struct byte_cursor *cursor, struct error *err)
{
    uint8_t version;

    if (pkesk_parse(cursor, &version, err) < 0)
        return -1;
    switch (version) {
    case PKESK_VERSION:
        return pkesk_packets_add(&sequence->pkesk_v3, cursor->bytes, cursor->size, err);
    case PKESK_VERSION_FINGERPRINT:
        return pkesk_packets_add(&sequence->pkesk_v6, cursor->bytes, cursor->size, err);
    default:
        return 0;
    }
}

/* One that is too large to be looked at. */
static int skip_pkesk(struct lookahead *packets, const struct packet_header *header,
                      struct cancel *cancel, struct esk_sequence *sequence, struct error *err)
{
    struct packet_body body;

    sequence->pkesk_v3.is_cut = true;
    sequence->pkesk_v6.is_cut = true;
    packet_body_init(&body, packets, header);
    return packet_body_skip_rest(&body, cancel, err);
}

static int read_session_key_packet(struct lookahead *packets, const struct packet_header *header,
                                   struct cancel *cancel, struct esk_sequence *sequence,
                                   struct error *err)
{
    struct byte_cursor cursor;
    const uint8_t *bytes;
    size_t size;

    if (header->length > LIMIT_SMALL_PACKET_BYTES && header->type == PACKET_PKESK)
        return skip_pkesk(packets, header, cancel, sequence, err);
    if (header->length > LIMIT_SMALL_PACKET_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "a session key packet of over %zu bytes",
                         LIMIT_SMALL_PACKET_BYTES);
    if (header->length == 0)
        return message_damaged(err);
    if (lookahead_peek(packets, (size_t)header->length, cancel, &bytes, &size, err) < 0)
        return -1;
    if (size < header->length)
        return message_damaged(err);
    cursor = byte_cursor_over(bytes, (size_t)header->length);
    if ((header->type == PACKET_SKESK ? add_skesk(sequence, &cursor, err)
                                      : add_pkesk(sequence, &cursor, err)) < 0)
        return -1;
    lookahead_skip(packets, (size_t)header->length);
    return 0;
}

/* Reads a packet that may stand before the encrypted data; *ret_belongs is false for another. */
static int read_packet(struct lookahead *packets, const struct packet_header *header,
                       struct cancel *cancel, struct esk_sequence *sequence, bool *ret_belongs,
                       struct error *err)
{
    struct packet_body body;

    *ret_belongs = true;
    if (header->type == PACKET_SKESK || header->type == PACKET_PKESK)
        return read_session_key_packet(packets, header, cancel, sequence, err);
    *ret_belongs = packet_type_is_ignorable(header->type);
    if (!*ret_belongs)
        return 0;
    packet_body_init(&body, packets, header);
    return ignorable_packet_skip(&body, header->type, cancel, err);
}

int esk_sequence_require_encrypted_data(const struct packet_header *header, struct error *err)
{
    switch (header->type) {
    case PACKET_SEIPD:
    case PACKET_AEAD_ENCRYPTED_DATA:
        return 0;
    case PACKET_SED:
        return error_set(err, ERROR_CORRUPT,
                         "the message has no integrity protection (packet type 9)");
    case PACKET_LITERAL_DATA:
    case PACKET_COMPRESSED_DATA:
    case PACKET_SIGNATURE:
    case PACKET_ONE_PASS_SIGNATURE:
        return error_set(err, ERROR_CORRUPT, "the OpenPGP message is not encrypted");
    default:
        return error_set(err, ERROR_CORRUPT, "not an encrypted OpenPGP message (packet type %u)",
                         header->type);
    }
}

int esk_sequence_read(struct lookahead *packets, struct cancel *cancel, struct esk_sequence **ret,
                      uint64_t *ret_offset, struct packet_header *ret_header, struct error *err)
{
    CLEANUP(esk_sequence_free) struct esk_sequence *sequence = calloc(1, sizeof *sequence);
    bool belongs = true, at_end;

    if (sequence == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (esk_sequence_check_start(packets, cancel, err) < 0)
        return -1;
    while (belongs) {
        *ret_offset = lookahead_position(packets);
        if (packet_header_read(packets, cancel, &at_end, ret_header, err) < 0)
            return -1;
        if (at_end)
            return message_damaged(err);
        if (read_packet(packets, ret_header, cancel, sequence, &belongs, err) < 0)
            return -1;
    }
    if (esk_sequence_require_encrypted_data(ret_header, err) < 0)
        return -1;
    *ret = steal(&sequence);
    return 0;
}

void esk_sequence_free(struct esk_sequence *sequence)
{
    if (sequence == NULL)
        return;
    pkesk_packets_clear(&sequence->pkesk_v3);
    pkesk_packets_clear(&sequence->pkesk_v6);
    free(sequence);
}

const struct pkesk_packets *esk_sequence_pkesks(const struct esk_sequence *sequence,
                                                enum encrypted_data_kind kind)
{
    return pkesk_version_goes_with(PKESK_VERSION, kind) ? &sequence->pkesk_v3 : &sequence->pkesk_v6;
}
