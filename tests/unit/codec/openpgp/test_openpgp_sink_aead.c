/* SPDX-License-Identifier: Apache-2.0 */
/* Writing messages with authenticated encryption, and reading them back. */
#include "codec/openpgp/aead_writer.h"
#include "codec/openpgp/packet_type.h"

#include "codec_bed.h"
#include "glancefs/limits.h"

#include <inttypes.h>
#include <stdlib.h>

#define PASSPHRASE "correct horse"

static const enum aead_mode modes[] = {AEAD_OCB, AEAD_GCM, AEAD_LIBREPGP_OCB};

static int open_sink(enum aead_mode mode, uint64_t declared_size, struct codecs **codecs,
                     struct byte_sink *ciphertext, struct byte_sink **ret, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase(PASSPHRASE);
    const struct codecs_options options = {.aead = mode};
    const struct codec *codec;

    if (codecs_new(&options, codecs, err) < 0 || codecs_find(*codecs, "GPG", &codec, err) < 0)
        return -1;
    return codec_open_sink(codec, bed_arena(), passphrase, declared_size, ciphertext, ret, err);
}

/* Writes `size` bytes in pieces of `step`. */
static int encrypt(enum aead_mode mode, const uint8_t *content, size_t size, size_t step,
                   uint64_t declared_size, struct byte_sink *ciphertext, struct error *err)
{
    CLEANUP(codecs_free) struct codecs *codecs = NULL;
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;

    if (open_sink(mode, declared_size, &codecs, ciphertext, &sink, err) < 0)
        return -1;
    for (size_t done = 0; done < size; done += step)
        if (byte_sink_write(sink, content + done, step < size - done ? step : size - done, NULL,
                            err) < 0)
            return -1;
    return byte_sink_commit(sink, NULL, err);
}

static void encrypt_to_memory(enum aead_mode mode, const uint8_t *content, size_t size, size_t step,
                              uint64_t declared_size, struct memory_sink_record *record)
{
    CLEANUP(byte_sink_free) struct byte_sink *ciphertext = memory_sink_new(record, NULL);
    struct error err = ERROR_INIT;

    assert_succeeds(encrypt(mode, content, size, step, declared_size, ciphertext, &err));
    assert_int_equal(record->commits, 1);
}

/* Around a chunk, which holds six octets of header and six of the literal's, too. */
static void reads_what_it_writes_at_every_size_and_step(void **state)
{
    static const size_t sizes[] = {0,     1,     65523,  65524,  65525,
                                   65536, 65537, 131060, 131061, 1500000};
    static const size_t steps[] = {7777, 2000000};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(50, 1500000);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(modes) * ELEMENTS_OF(sizes); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
        const size_t size = sizes[i / ELEMENTS_OF(modes)];

        encrypt_to_memory(modes[i % ELEMENTS_OF(modes)], content, size, steps[i % 2],
                          i % 4 < 2 ? size : BYTE_SOURCE_SIZE_UNKNOWN, &record);
        assert_opens(record.bytes, record.size, PASSPHRASE, content, size);
    }
}

/* SKESK, then a packet of definite length to the end: nothing in between or behind. */
static void packets_are_of_the_versions_that_belong_together(void **state)
{
    static const struct {
        uint8_t skesk_version, data_header, data_version, aead;
        size_t skesk_size;
    } expected[] = {
        {6, 0xc0 | PACKET_SEIPD, 2, 2, 6 + 5 + 11 + 15 + 32 + 16},
        {6, 0xc0 | PACKET_SEIPD, 2, 3, 6 + 5 + 11 + 12 + 32 + 16},
        {5, 0xc0 | PACKET_AEAD_ENCRYPTED_DATA, 1, 2, 6 + 3 + 11 + 15 + 32 + 16},
    };
    static const uint8_t content[1000] = {1};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(modes); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
        const uint8_t *data;

        encrypt_to_memory(modes[i], content, sizeof content, 100, sizeof content, &record);
        data = record.bytes + expected[i].skesk_size;
        assert_int_equal(record.bytes[0], 0xc0 | PACKET_SKESK);
        assert_int_equal(record.bytes[6], expected[i].skesk_version);
        assert_int_equal(data[0], expected[i].data_header);
        assert_int_equal(data[6], expected[i].data_version);
        assert_int_equal(data[7], 9);
        assert_int_equal(data[8], expected[i].aead);
        assert_int_equal(data[9], 10);
        assert_int_equal(record.size, expected[i].skesk_size + 6 +
                                          aead_writer_body_size(modes[i], sizeof content + 12));
    }
}

static void every_chunk_has_a_tag_and_the_message_one_more(void **state)
{
    (void)state;
    assert_int_equal(aead_writer_body_size(AEAD_OCB, 1), 36 + 1 + 2 * 16);
    assert_int_equal(aead_writer_body_size(AEAD_GCM, 65536), 36 + 65536 + 2 * 16);
    assert_int_equal(aead_writer_body_size(AEAD_LIBREPGP_OCB, 65537), 19 + 65537 + 3 * 16);
}

static void two_messages_of_the_same_plaintext_have_nothing_in_common(void **state)
{
    static const uint8_t content[64] = {1};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(modes); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record first = {0};
        CLEANUP(memory_sink_record) struct memory_sink_record second = {0};

        encrypt_to_memory(modes[i], content, sizeof content, 64, sizeof content, &first);
        encrypt_to_memory(modes[i], content, sizeof content, 64, sizeof content, &second);
        assert_int_equal(first.size, second.size);
        assert_memory_not_equal(first.bytes + first.size - 120, second.bytes + second.size - 120,
                                15);
        assert_memory_not_equal(first.bytes + first.size - 16, second.bytes + second.size - 16, 16);
    }
}

static void one_wrong_bit_anywhere_is_damage(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(51, 140000);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(modes); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record record = {0};

        encrypt_to_memory(modes[i], content, 140000, 140000, 140000, &record);
        for (size_t from_end = 1; from_end < 140000; from_end = from_end * 3 + 5) {
            record.bytes[record.size - from_end] ^= 8;
            assert_damaged(record.bytes, record.size, PASSPHRASE);
            record.bytes[record.size - from_end] ^= 8;
        }
    }
}

static void a_failing_ciphertext_sink_fails_at_every_place(void **state)
{
    static const uint8_t content[70000];

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(modes); i++) {
        for (size_t fail_at = 1; fail_at < 70000; fail_at = fail_at * 2 + 40) {
            const struct memory_sink_options options = {.fails = true, .fail_at = fail_at};
            CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
            CLEANUP(byte_sink_free)
            struct byte_sink *ciphertext = memory_sink_new(&record, &options);
            struct error err = ERROR_INIT;

            assert_fails(ERROR_NO_SPACE, encrypt(modes[i], content, sizeof content, 4096,
                                                 sizeof content, ciphertext, &err));
            assert_int_equal(record.aborts, 1);
        }
    }
}

static void every_shortage_of_locked_memory_is_told(void **state)
{
    (void)state;
    for (size_t left = 4 * KIB; left < 80 * KIB; left += 4 * KIB) {
        CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
        CLEANUP(byte_sink_free) struct byte_sink *ciphertext = memory_sink_new(&record, NULL);
        struct error err = ERROR_INIT;
        struct bed_hoard hoard;
        int result;

        bed_hoard_memory(&hoard, left);
        result = encrypt(AEAD_OCB, (const uint8_t *)"x", 1, 1, 1, ciphertext, &err);
        bed_give_back(&hoard);
        assert_int_equal(result, -1);
        assert_int_equal(err.kind, ERROR_EXHAUSTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(reads_what_it_writes_at_every_size_and_step),
        bed_test(packets_are_of_the_versions_that_belong_together),
        bed_test(every_chunk_has_a_tag_and_the_message_one_more),
        bed_test(two_messages_of_the_same_plaintext_have_nothing_in_common),
        bed_test(one_wrong_bit_anywhere_is_damage),
        bed_test(a_failing_ciphertext_sink_fails_at_every_place),
        bed_test(every_shortage_of_locked_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
