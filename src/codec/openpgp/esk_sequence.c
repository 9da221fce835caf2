/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/esk_sequence.h"

#include "base/clock.h"
#include "codec/openpgp/ignorable_packet.h"
#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/packet_type.h"

#include <string.h>

static const char armor_start[] = "-----BEGIN PGP ";

static int check_start(struct lookahead *packets, struct cancel *cancel, struct error *err)
{
    const size_t armor_size = sizeof armor_start - 1;
    const uint8_t *bytes;
    size_t size;

    if (lookahead_peek(packets, armor_size, cancel, &bytes, &size, err) < 0)
        return -1;
    if (size == 0)
        return error_set(err, ERROR_CORRUPT, "not an OpenPGP message: it is empty");
    if (size >= armor_size && strncmp((const char *)bytes, armor_start, armor_size) == 0)
        return error_set(err, ERROR_UNSUPPORTED, "ASCII armor is not supported");
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
    if (skesk_err.kind != ERROR_UNSUPPORTED) {
        *err = skesk_err;
        return -1;
    }
    if (!error_is_set(&sequence->unsupported))
        sequence->unsupported = skesk_err;
    return 0;
}

static int read_skesk(struct lookahead *packets, const struct packet_header *header,
                      struct cancel *cancel, struct esk_sequence *sequence, struct error *err)
{
    struct byte_cursor cursor;
    const uint8_t *bytes;
    size_t size;

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
    if (add_skesk(sequence, &cursor, err) < 0)
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
    if (header->type == PACKET_SKESK)
        return read_skesk(packets, header, cancel, sequence, err);
    packet_body_init(&body, packets, header);
    if (packet_type_is_ignorable(header->type))
        return ignorable_packet_skip(&body, header->type, cancel, err);
    *ret_belongs = header->type == PACKET_PKESK;
    if (!*ret_belongs)
        return 0;
    sequence->has_pkesk = true;
    return packet_body_skip_rest(&body, cancel, err);
}

static int require_seipd(const struct packet_header *header, struct error *err)
{
    switch (header->type) {
    case PACKET_SEIPD:
        return 0;
    case PACKET_SED:
        return error_set(err, ERROR_CORRUPT,
                         "the message has no integrity protection (packet type 9)");
    case PACKET_AEAD_ENCRYPTED_DATA:
        return error_set(err, ERROR_UNSUPPORTED,
                         "LibrePGP AEAD encrypted data (packet type 20) is not supported");
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

int esk_sequence_read(struct lookahead *packets, struct cancel *cancel, struct esk_sequence *ret,
                      uint64_t *ret_offset, struct packet_header *ret_header, struct error *err)
{
    bool belongs = true, at_end;

    memset(ret, 0, sizeof *ret);
    if (check_start(packets, cancel, err) < 0)
        return -1;
    while (belongs) {
        *ret_offset = lookahead_position(packets);
        if (packet_header_read(packets, cancel, &at_end, ret_header, err) < 0)
            return -1;
        if (at_end)
            return message_damaged(err);
        if (read_packet(packets, ret_header, cancel, ret, &belongs, err) < 0)
            return -1;
    }
    return require_seipd(ret_header, err);
}

static int require_usable(const struct esk_sequence *sequence, struct error *err)
{
    if (sequence->count > 0)
        return 0;
    if (error_is_set(&sequence->unsupported)) {
        *err = sequence->unsupported;
        return -1;
    }
    if (sequence->has_pkesk)
        return error_set(err, ERROR_UNSUPPORTED,
                         "messages encrypted to public keys only are not supported");
    return error_set(err, ERROR_CORRUPT, "the message has no session key packet");
}

int esk_sequence_find_session_key(const struct esk_sequence *sequence, struct secure_arena *arena,
                                  const struct secure_buffer *passphrase, const uint8_t *sample,
                                  size_t sample_size, struct cancel *cancel,
                                  struct session_key **ret, struct error *err)
{
    uint64_t deadline = clock_thread_cpu_ns() + LIMIT_DERIVATION_SECONDS * NANOSECONDS_PER_SECOND;

    if (require_usable(sequence, err) < 0)
        return -1;
    for (size_t i = 0; i < sequence->count; i++) {
        CLEANUP(session_key_free) struct session_key *key = NULL;
        bool fits = false;

        if (skesk_session_key(&sequence->skesks[i], arena, passphrase, deadline, cancel, &key,
                              err) < 0)
            return -1;
        if (key != NULL && session_key_fits(key, sample, sample_size, &fits, err) < 0)
            return -1;
        if (fits) {
            *ret = steal(&key);
            return 0;
        }
    }
    return message_damaged(err);
}
