/* SPDX-License-Identifier: Apache-2.0 */
/* Public-key encrypted session key packets, as far as they are parsed. */
#include "codec/openpgp/pkesk.h"
#include "fuzz_main.h"

void fuzz_one(const uint8_t *data, size_t size)
{
    struct byte_cursor cursor = byte_cursor_over(data, size);
    struct pkesk_packets packets = {0};
    struct error err = ERROR_INIT;
    uint8_t version = 0;

    if (pkesk_parse(&cursor, &version, &err) == 0 &&
        pkesk_packets_add(&packets, data, size, &err) == 0)
        FUZZ_ASSERT(packets.is_cut || packets.size > size);
    pkesk_packets_clear(&packets);
}
