/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/ignorable_packet.h"

#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/packet_type.h"

#include <string.h>

int ignorable_packet_skip(struct packet_body *body, uint8_t type, struct cancel *cancel,
                          struct error *err)
{
    static const char marker[] = {'P', 'G', 'P'};
    char content[sizeof marker];

    if (type != PACKET_MARKER)
        return packet_body_skip_rest(body, cancel, err);
    if (byte_stream_read_exact(&body->stream, content, sizeof content, cancel, err) < 0)
        return -1;
    if (strncmp(content, marker, sizeof marker) != 0)
        return message_damaged(err);
    return packet_body_finish(body, cancel, err);
}
