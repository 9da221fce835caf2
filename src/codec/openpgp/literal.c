/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/literal.h"

#include "codec/openpgp/message_damaged.h"

#include <string.h>

#define LITERAL_DATE_BYTES 4

bool literal_mode_is_valid(uint8_t mode)
{
    return mode == LITERAL_MODE_BINARY || mode == 't' || mode == 'u' || mode == 'm';
}

int literal_read_header(struct packet_body *body, struct cancel *cancel, struct error *err)
{
    uint8_t mode, name_size;

    if (byte_stream_read_exact(&body->stream, &mode, 1, cancel, err) < 0 ||
        byte_stream_read_exact(&body->stream, &name_size, 1, cancel, err) < 0)
        return -1;
    if (!literal_mode_is_valid(mode))
        return message_damaged(err);
    return packet_body_skip_exact(body, (uint64_t)name_size + LITERAL_DATE_BYTES, cancel, err);
}

void literal_write_header(uint8_t *out)
{
    memset(out, 0, LITERAL_WRITTEN_HEADER_BYTES);
    out[0] = LITERAL_MODE_BINARY;
}
