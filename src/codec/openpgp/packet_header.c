/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/packet_header.h"

#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/packet_type.h"

int packet_length_parse(struct byte_cursor *cursor, enum packet_length_form *ret_form,
                        uint64_t *ret_length, struct error *err)
{
    uint8_t first, second;
    uint32_t four;

    if (byte_cursor_u8(cursor, &first, err) < 0)
        return message_damaged(err);
    *ret_form = PACKET_LENGTH_DEFINITE;
    if (first < 192) {
        *ret_length = first;
    } else if (first < 224) {
        if (byte_cursor_u8(cursor, &second, err) < 0)
            return message_damaged(err);
        *ret_length = ((uint64_t)(first - 192) << 8) + second + 192;
    } else if (first < 255) {
        *ret_form = PACKET_LENGTH_PARTIAL;
        *ret_length = UINT64_C(1) << (first & 0x1f);
    } else {
        if (byte_cursor_u32(cursor, &four, err) < 0)
            return message_damaged(err);
        *ret_length = four;
    }
    return 0;
}

static int parse_legacy(struct byte_cursor *cursor, uint8_t first, struct packet_header *ret,
                        struct error *err)
{
    uint8_t one = 0;
    uint16_t two = 0;
    uint32_t four = 0;
    int result = 0;

    ret->type = (first >> 2) & 0x0f;
    ret->form = PACKET_LENGTH_DEFINITE;
    switch (first & 0x03) {
    case 0:
        result = byte_cursor_u8(cursor, &one, err);
        break;
    case 1:
        result = byte_cursor_u16(cursor, &two, err);
        break;
    case 2:
        result = byte_cursor_u32(cursor, &four, err);
        break;
    default:
        ret->form = PACKET_LENGTH_INDETERMINATE;
        break;
    }
    ret->length = (uint64_t)one + two + four;
    return result < 0 ? message_damaged(err) : 0;
}

int packet_header_parse(struct byte_cursor *cursor, struct packet_header *ret, struct error *err)
{
    uint8_t first;

    if (byte_cursor_u8(cursor, &first, err) < 0 || (first & 0x80) == 0)
        return message_damaged(err);
    if ((first & 0x40) == 0) {
        if (parse_legacy(cursor, first, ret, err) < 0)
            return -1;
    } else {
        ret->type = first & 0x3f;
        if (packet_length_parse(cursor, &ret->form, &ret->length, err) < 0)
            return -1;
    }
    if (ret->type == PACKET_RESERVED)
        return message_damaged(err);
    if (ret->form != PACKET_LENGTH_DEFINITE && !packet_type_is_data(ret->type))
        return message_damaged(err);
    if (ret->form == PACKET_LENGTH_PARTIAL && ret->length < PACKET_FIRST_PARTIAL_MINIMUM_BYTES)
        return message_damaged(err);
    return 0;
}

int packet_header_read(struct lookahead *packets, struct cancel *cancel, bool *ret_end,
                       struct packet_header *ret, struct error *err)
{
    struct byte_cursor cursor;
    const uint8_t *bytes;
    size_t size;

    if (lookahead_peek(packets, PACKET_HEADER_MAXIMUM_BYTES, cancel, &bytes, &size, err) < 0)
        return -1;
    *ret_end = size == 0;
    if (*ret_end)
        return 0;
    cursor = byte_cursor_over(bytes, size);
    if (packet_header_parse(&cursor, ret, err) < 0)
        return -1;
    lookahead_skip(packets, cursor.position);
    return 0;
}

size_t packet_header_write(uint8_t type, uint32_t length, uint8_t *out)
{
    out[0] = (uint8_t)(0xc0 | type);
    out[1] = 0xff;
    out[2] = (uint8_t)(length >> 24);
    out[3] = (uint8_t)(length >> 16);
    out[4] = (uint8_t)(length >> 8);
    out[5] = (uint8_t)length;
    return PACKET_HEADER_MAXIMUM_BYTES;
}
