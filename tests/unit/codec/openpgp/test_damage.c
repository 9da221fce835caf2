/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small messages of several shapes, cut at every byte and with every byte changed: none opens, and
 * everything behind the session key packet fails with the one uniform error.
 */
#include "codec_bed.h"

#include <errno.h>
#include <stdlib.h>

#define PASSPHRASE "correct horse"
/* Enough for a chunk of partial length, and little for the shapes that have none. */
#define CONTENT_BYTES 700
#define SHORT_CONTENT_BYTES 60

/* Most bytes of the encrypted data packet before the encryption: tag, length, version. */
#define DATA_HEADER_BYTES 7

/* From one damaged place to the next. */
#define STRIDE FEWER_UNDER_TSAN(1, 7)

struct shape {
    const char *name;
    enum framing outer;
    enum framing inner;
    int compression; /* -1 for none */
    bool has_encrypted_key;
    enum cipher_algorithm cipher;
    unsigned s2k_type;
};

static const struct shape shapes[] = {
    {"plain", FRAMING_SHORTEST, FRAMING_SHORTEST, -1, false, CIPHER_AES256, 3},
    {"encrypted session key", FRAMING_FIVE_OCTETS, FRAMING_FIVE_OCTETS, -1, true, CIPHER_AES192, 1},
    {"partial lengths", FRAMING_PARTIAL_512, FRAMING_PARTIAL_512, -1, false, CIPHER_AES128, 3},
    {"partial around legacy", FRAMING_PARTIAL_512, FRAMING_LEGACY, -1, true, CIPHER_AES256, 0},
    {"zip", FRAMING_SHORTEST, FRAMING_INDETERMINATE, 1, false, CIPHER_AES256, 3},
    {"zlib, partial", FRAMING_PARTIAL_512, FRAMING_PARTIAL_512, 2, true, CIPHER_TWOFISH, 3},
    {"uncompressed packet", FRAMING_SHORTEST, FRAMING_SHORTEST, 0, false, CIPHER_CAMELLIA128, 1},
    {"indeterminate literal", FRAMING_SHORTEST, FRAMING_INDETERMINATE, -1, false, CIPHER_CAST5, 3},
};

static size_t content_bytes(const struct shape *shape)
{
    return shape->outer == FRAMING_PARTIAL_512 ? CONTENT_BYTES : SHORT_CONTENT_BYTES;
}

/* *ret_front is where the encrypted data packet begins. */
static void build_shape(const struct shape *shape, const uint8_t *content, struct octets *out,
                        size_t *ret_front)
{
    CLEANUP(octets_clear) struct octets literal = {0};
    CLEANUP(octets_clear) struct octets packets = {0};
    const struct seipd_plan seipd = {.framing = shape->outer};
    struct skesk_plan skesk = usual_skesk(PASSPHRASE);
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;

    skesk.cipher = skesk.session_cipher = shape->cipher;
    skesk.s2k_type = shape->s2k_type;
    skesk.has_encrypted_key = shape->has_encrypted_key;
    memset(skesk.session_key, 0x42, sizeof skesk.session_key);
    build_skesk(out, &skesk, key, &cipher);
    *ret_front = out->size;
    build_literal(&literal, shape->inner, content, content_bytes(shape));
    if (shape->compression >= 0)
        build_compressed(&packets, shape->inner, (unsigned)shape->compression, literal.data,
                         literal.size);
    else
        octets_add(&packets, literal.data, literal.size);
    build_seipd(out, &seipd, cipher, key, packets.data, packets.size);
}

static void assert_fails_uniformly(const struct shape *shape, const struct octets *message,
                                   const char *what, size_t place)
{
    struct error err = ERROR_INIT;

    if (bed_decrypt(message->data, message->size, PASSPHRASE, NULL, NULL, &err) == 0)
        fail_msg("%s: %s at %zu opened", shape->name, what, place);
    if (err.kind != ERROR_CORRUPT || err.errnum != EBADMSG ||
        strcmp(err.message, DAMAGED_MESSAGE) != 0)
        fail_msg("%s: %s at %zu: %s", shape->name, what, place, err.message);
}

static void no_message_opens_when_cut_anywhere(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(30, CONTENT_BYTES);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(shapes); i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        size_t front, whole;

        build_shape(&shapes[i], content, &message, &front);
        assert_opens(message.data, message.size, PASSPHRASE, content, content_bytes(&shapes[i]));
        whole = message.size;
        for (message.size = 1; message.size < whole; message.size += STRIDE)
            assert_fails_uniformly(&shapes[i], &message, "cut", message.size);
    }
}

/* Tag, length and version of a packet are visible without the key: an error there may say more. */
static void assert_some_failure(const struct shape *shape, const struct octets *message,
                                const char *what, size_t place)
{
    struct error err = ERROR_INIT;

    if (bed_decrypt(message->data, message->size, PASSPHRASE, NULL, NULL, &err) == 0)
        fail_msg("%s: %s at %zu opened", shape->name, what, place);
    if (err.kind != ERROR_CORRUPT && err.kind != ERROR_UNSUPPORTED)
        fail_msg("%s: %s at %zu: %s", shape->name, what, place, err.message);
}

static void no_message_opens_with_a_byte_changed_in_its_data(void **state)
{
    static const uint8_t changes[] = {0x01, 0x80};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(31, CONTENT_BYTES);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(shapes) * ELEMENTS_OF(changes); i++) {
        const struct shape *shape = &shapes[i / ELEMENTS_OF(changes)];
        CLEANUP(octets_clear) struct octets message = {0};
        size_t front;

        build_shape(shape, content, &message, &front);
        for (size_t place = front; place < message.size; place += STRIDE) {
            message.data[place] ^= changes[i % ELEMENTS_OF(changes)];
            if (place < front + DATA_HEADER_BYTES)
                assert_some_failure(shape, &message, "change", place);
            else
                assert_fails_uniformly(shape, &message, "change", place);
            message.data[place] ^= changes[i % ELEMENTS_OF(changes)];
        }
    }
}

static void no_message_opens_with_a_bit_flipped_in_front(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(32, CONTENT_BYTES);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(shapes); i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        size_t front;

        build_shape(&shapes[i], content, &message, &front);
        for (size_t bit = 0; bit < 8 * front; bit++) {
            message.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_some_failure(&shapes[i], &message, "flip of bit", bit);
            message.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
}

static void no_message_opens_with_a_byte_left_out_or_added(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(33, CONTENT_BYTES);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(shapes); i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        size_t front;

        build_shape(&shapes[i], content, &message, &front);
        for (size_t place = front + DATA_HEADER_BYTES; place < message.size; place += STRIDE) {
            CLEANUP(octets_clear) struct octets shorter = {0};
            CLEANUP(octets_clear) struct octets longer = {0};

            octets_add(&shorter, message.data, place);
            octets_add(&longer, message.data, place);
            octets_add(&shorter, message.data + place + 1, message.size - place - 1);
            octets_add_u8(&longer, 0x5c);
            octets_add(&longer, message.data + place, message.size - place);
            assert_fails_uniformly(&shapes[i], &shorter, "byte left out", place);
            assert_fails_uniformly(&shapes[i], &longer, "byte added", place);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(no_message_opens_when_cut_anywhere),
        bed_test(no_message_opens_with_a_byte_changed_in_its_data),
        bed_test(no_message_opens_with_a_bit_flipped_in_front),
        bed_test(no_message_opens_with_a_byte_left_out_or_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
