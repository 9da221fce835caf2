/* SPDX-License-Identifier: Apache-2.0 */
/* Packet headers and lengths: whatever parses keeps the promises of packet_header.h. */
#include "codec/openpgp/packet_header.h"
#include "fuzz_main.h"

void fuzz_one(const uint8_t *data, size_t size)
{
    struct byte_cursor cursor = byte_cursor_over(data, size);
    struct packet_header header;
    struct error err = ERROR_INIT;

    while (packet_header_parse(&cursor, &header, &err) == 0) {
        FUZZ_ASSERT(header.type != 0 && header.type < 64);
        FUZZ_ASSERT(header.length <= UINT32_MAX);
        FUZZ_ASSERT(header.form != PACKET_LENGTH_INDETERMINATE || header.length == 0);
        FUZZ_ASSERT(header.form != PACKET_LENGTH_PARTIAL ||
                    (header.length & (header.length - 1)) == 0);
    }
    FUZZ_ASSERT(error_is_set(&err));
}
