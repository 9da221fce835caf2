/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/pkesk.h"

#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/packet_header.h"
#include "codec/openpgp/packet_type.h"
#include "glancefs/limits.h"

#include <stdlib.h>
#include <string.h>

#define KEY_ID_BYTES 8

/* Whose key it is, or nothing for an anonymous recipient. */
static int step_over_fingerprint(struct byte_cursor *cursor, struct error *err)
{
    const uint8_t *fingerprint;
    uint8_t size;

    if (byte_cursor_u8(cursor, &size, err) < 0)
        return -1;
    return byte_cursor_take(cursor, size, &fingerprint, err);
}

int pkesk_parse(struct byte_cursor *cursor, uint8_t *ret_version, struct error *err)
{
    const uint8_t *key_id;
    uint8_t algorithm;
    int result = 0;

    if (byte_cursor_u8(cursor, ret_version, err) < 0)
        return message_damaged(err);
    if (*ret_version != PKESK_VERSION && *ret_version != PKESK_VERSION_FINGERPRINT)
        return 0;
    if (*ret_version == PKESK_VERSION)
        result = byte_cursor_take(cursor, KEY_ID_BYTES, &key_id, err);
    else
        result = step_over_fingerprint(cursor, err);
    if (result < 0 || byte_cursor_u8(cursor, &algorithm, err) < 0)
        return message_damaged(err);
    return 0;
}

bool pkesk_version_goes_with(uint8_t version, enum encrypted_data_kind kind)
{
    return version == (kind == ENCRYPTED_DATA_SEIPD_V2 ? PKESK_VERSION_FINGERPRINT : PKESK_VERSION);
}

int pkesk_packets_add(struct pkesk_packets *packets, const uint8_t *body, size_t size,
                      struct error *err)
{
    const size_t packet_size = PACKET_HEADER_MAXIMUM_BYTES + size;
    uint8_t *larger;

    if (packets->count == LIMIT_PKESK_PACKETS || packet_size > LIMIT_PKESK_BYTES - packets->size) {
        packets->is_cut = true;
        return 0;
    }
    larger = realloc(packets->bytes, packets->size + packet_size);
    if (larger == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    packets->bytes = larger;
    packets->count++;
    packets->size +=
        packet_header_write(PACKET_PKESK, (uint32_t)size, packets->bytes + packets->size);
    memcpy(packets->bytes + packets->size, body, size);
    packets->size += size;
    return 0;
}

void pkesk_packets_clear(struct pkesk_packets *packets)
{
    free(packets->bytes);
    *packets = (struct pkesk_packets){0};
}
