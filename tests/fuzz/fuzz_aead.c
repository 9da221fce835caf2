/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authentic AEAD encrypted data around any bytes, with any flaw: what only a key holder can send.
 * Three octets choose the packet, the rest are the packets inside.
 */
#include "fuzz_codec.h"
#include "fuzz_main.h"
#include "support/aead_builder.h"

#define CHOICE_OCTETS 3

/* A flaw of two chunks needs two. */
#define TWO_CHUNKS_BYTES 128

static struct aead_plan choose(const uint8_t *choice, size_t size)
{
    static const enum aead_algorithm algorithms[] = {AEAD_ALGORITHM_OCB, AEAD_ALGORITHM_EAX,
                                                     AEAD_ALGORITHM_GCM};
    static const enum framing framings[] = {FRAMING_SHORTEST, FRAMING_FIVE_OCTETS,
                                            FRAMING_PARTIAL_512};
    const bool is_librepgp = choice[0] % 2 == 1;

    return (struct aead_plan){
        .framing = framings[choice[0] / 2 % 3],
        .is_librepgp = is_librepgp,
        .cipher = CIPHER_AES128 + choice[0] / 6 % 3,
        .aead = algorithms[choice[1] % (is_librepgp ? 2 : 3)],
        .chunk_octet = size > TWO_CHUNKS_BYTES ? 0 : choice[1] / 3 % 4,
        .flaw = size > TWO_CHUNKS_BYTES ? (enum aead_flaw)(choice[2] % AEAD_FLAWS) : AEAD_SOUND,
    };
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(octets_clear) struct octets message = {0};

    if (size <= CHOICE_OCTETS)
        return;
    const struct aead_plan plan = choose(data, size - CHOICE_OCTETS);
    fuzz_allocations_succeed();
    build_aead_message(&message, &plan, FUZZ_PASSPHRASE, data + CHOICE_OCTETS,
                       size - CHOICE_OCTETS);
    fuzz_allocations_may_fail();
    fuzz_read_message(message.data, message.size, (uint32_t)size * UINT32_C(2654435761), NULL, 0);
}
