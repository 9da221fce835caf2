/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the packets inside a sound encryption: what only a key holder can send. */
#include "fuzz_codec.h"
#include "fuzz_main.h"
#include "support/openpgp_builder.h"

static void build(const uint8_t *data, size_t size, struct octets *message)
{
    fuzz_allocations_succeed();
    build_message_around(message, FUZZ_PASSPHRASE, data, size);
    fuzz_allocations_may_fail();
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(octets_clear) struct octets message = {0};

    build(data, size, &message);
    fuzz_read_message(message.data, message.size, (uint32_t)size * UINT32_C(2654435761), NULL, 0);
}
