/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sound messages, altered as the input says: opened with the very bytes that were encrypted, or not
 * at all. The first octet picks the message; each alteration takes five more: what to do, where (three
 * octets), and a value.
 */
#include "fuzz_codec.h"
#include "fuzz_main.h"
#include "support/aead_builder.h"

#include <string.h>

#define ALTERATION_OCTETS 5
#define CONTENT_BYTES 5000

enum alteration { FLIP, SET, DELETE, INSERT, CUT, APPEND, SWAP, COPY, ALTERATIONS };

static void build_content(uint8_t *content)
{
    for (size_t i = 0; i < CONTENT_BYTES; i++)
        content[i] = (uint8_t)(i * 7 + i / 251);
}

static void build_v1(enum framing framing, const struct octets *packets, struct octets *message)
{
    const struct seipd_plan plan = {.framing =
                                        framing == FRAMING_LEGACY ? FRAMING_SHORTEST : framing};
    const struct skesk_plan skesk = usual_skesk(FUZZ_PASSPHRASE);
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;

    build_skesk(message, &skesk, key, &cipher);
    build_seipd(message, &plan, cipher, key, packets->data, packets->size);
}

/* Small chunks, so that there are many. */
static void build_with_aead(unsigned choice, enum framing framing, const struct octets *packets,
                            struct octets *message)
{
    static const enum aead_algorithm algorithms[] = {AEAD_ALGORITHM_OCB, AEAD_ALGORITHM_EAX,
                                                     AEAD_ALGORITHM_GCM};
    const bool is_librepgp = choice % 2 == 1;
    const struct aead_plan plan = {.framing =
                                       framing == FRAMING_LEGACY ? FRAMING_SHORTEST : framing,
                                   .is_librepgp = is_librepgp,
                                   .cipher = CIPHER_AES256,
                                   .aead = algorithms[choice / 2 % (is_librepgp ? 2 : 3)],
                                   .chunk_octet = choice / 6 % 3};

    build_aead_message(message, &plan, FUZZ_PASSPHRASE, packets->data, packets->size);
}

static void build(unsigned choice, const uint8_t *content, struct octets *message)
{
    static const enum framing framings[] = {FRAMING_SHORTEST, FRAMING_FIVE_OCTETS, FRAMING_LEGACY,
                                            FRAMING_PARTIAL_512};
    const enum framing framing = framings[choice % 4];
    CLEANUP(octets_clear) struct octets literal = {0};
    CLEANUP(octets_clear) struct octets packets = {0};

    build_literal(&literal, framing, content, CONTENT_BYTES);
    if (choice / 4 % 3 == 0)
        build_compressed(&packets, framing, 1 + choice / 12 % 2, literal.data, literal.size);
    else
        octets_add(&packets, literal.data, literal.size);
    if (choice < 64)
        build_v1(framing, &packets, message);
    else
        build_with_aead(choice / 12, framing, &packets, message);
}

static void move_bytes(struct octets *message, size_t to, size_t from)
{
    memmove(message->data + to, message->data + from, message->size - from);
    message->size = message->size - from + to;
}

static void insert(struct octets *message, size_t at, uint8_t value)
{
    octets_add_u8(message, value);
    memmove(message->data + at + 1, message->data + at, message->size - 1 - at);
    message->data[at] = value;
}

static void swap_blocks(struct octets *message, size_t at, size_t distance)
{
    uint8_t block[16];

    if (at + distance + 2 * sizeof block > message->size)
        return;
    memcpy(block, message->data + at, sizeof block);
    memcpy(message->data + at, message->data + at + sizeof block + distance, sizeof block);
    memcpy(message->data + at + sizeof block + distance, block, sizeof block);
}

static void alter(struct octets *message, const uint8_t *what)
{
    const size_t at = ((size_t)what[1] << 16 | (size_t)what[2] << 8 | what[3]) % message->size;
    const uint8_t value = what[4];

    switch ((enum alteration)(what[0] % ALTERATIONS)) {
    case FLIP:
        message->data[at] ^= value;
        break;
    case SET:
        message->data[at] = value;
        break;
    case DELETE:
        if (at + 1 + value < message->size)
            move_bytes(message, at, at + 1 + value);
        break;
    case INSERT:
        insert(message, at, value);
        break;
    case CUT:
        message->size = at + 1;
        break;
    case APPEND:
        octets_add_run(message, value, 1 + at % 64);
        break;
    case SWAP:
        swap_blocks(message, at, value);
        break;
    case COPY:
        octets_add_u8(message, message->data[at]);
        break;
    case ALTERATIONS:
        break;
    }
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(octets_clear) struct octets message = {0};
    uint8_t content[CONTENT_BYTES];

    if (size == 0)
        return;
    build_content(content);
    fuzz_allocations_succeed();
    build(data[0], content, &message);
    for (size_t next = 1; next + ALTERATION_OCTETS <= size; next += ALTERATION_OCTETS)
        alter(&message, data + next);
    fuzz_allocations_may_fail();
    fuzz_read_message(message.data, message.size, data[0], content, CONTENT_BYTES);
}
