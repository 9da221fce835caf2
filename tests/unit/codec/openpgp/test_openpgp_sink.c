/* SPDX-License-Identifier: Apache-2.0 */
/* Writing messages, and reading them back. */
#include "codec/openpgp/openpgp_sink.h"

#include "codec_bed.h"
#include "glancefs/limits.h"

#include <stdlib.h>

#define PASSPHRASE "correct horse"

static int open_sink(const char *text, uint64_t declared_size, struct byte_sink *ciphertext,
                     struct byte_sink **ret, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase(text);

    return openpgp_sink_new(test_gpg_codec(), bed_arena(), passphrase, declared_size, ciphertext,
                            ret, err);
}

/* Writes `size` bytes in pieces of `step`. */
static int encrypt(const uint8_t *content, size_t size, size_t step, uint64_t declared_size,
                   struct memory_sink_record *record, struct error *err)
{
    CLEANUP(byte_sink_free) struct byte_sink *ciphertext = memory_sink_new(record, NULL);
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;

    if (open_sink(PASSPHRASE, declared_size, ciphertext, &sink, err) < 0)
        return -1;
    for (size_t done = 0; done < size; done += step)
        if (byte_sink_write(sink, content + done, step < size - done ? step : size - done, NULL,
                            err) < 0)
            return -1;
    return byte_sink_commit(sink, NULL, err);
}

static void reads_what_it_writes_at_every_size_and_step(void **state)
{
    static const size_t sizes[] = {0,      1,       191,     192,     8383,   8384,
                                   262144, 1048575, 1048576, 1048577, 2500000};
    static const size_t steps[] = {7777, 3000000};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(50, 2500000);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(sizes) * ELEMENTS_OF(steps) * 2; i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
        const size_t size = sizes[i / 2 / ELEMENTS_OF(steps)];
        struct error err = ERROR_INIT;

        assert_succeeds(encrypt(content, size, steps[i / 2 % ELEMENTS_OF(steps)],
                                i % 2 == 0 ? size : BYTE_SOURCE_SIZE_UNKNOWN, &record, &err));
        assert_int_equal(record.commits, 1);
        assert_opens(record.bytes, record.size, PASSPHRASE, content, size);
    }
}

static void a_declared_size_gives_definite_lengths(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    static const uint8_t content[1000] = {1};
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(encrypt(content, sizeof content, 100, sizeof content, &record, &err));
    /* SKESK of 52 bytes, then type, five length octets, version and data: nothing in between. */
    assert_int_equal(record.size, 52 + 6 + 1 + 18 + 6 + 6 + sizeof content + 22);
    assert_int_equal(record.bytes[52], 0xd2);
    assert_int_equal(record.bytes[53], 0xff);
}

static void an_unknown_size_gives_chunks_of_one_mebibyte(void **state)
{
    CLEANUP(memory_free) uint8_t *content = calloc(1, 3 * MIB);
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    struct error err = ERROR_INIT;

    (void)state;
    assert_non_null(content);
    assert_succeeds(encrypt(content, 3 * MIB, MIB, BYTE_SOURCE_SIZE_UNKNOWN, &record, &err));
    assert_int_equal(record.bytes[52], 0xd2);
    assert_int_equal(record.bytes[53], 0xf4);
    assert_int_equal(record.bytes[54 + MIB], 0xf4);
}

static void two_messages_of_the_same_plaintext_have_nothing_in_common(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record first = {0};
    CLEANUP(memory_sink_record) struct memory_sink_record second = {0};
    static const uint8_t content[64] = {1};
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(encrypt(content, sizeof content, 64, sizeof content, &first, &err));
    assert_succeeds(encrypt(content, sizeof content, 64, sizeof content, &second, &err));
    assert_int_equal(first.size, second.size);
    assert_memory_not_equal(first.bytes + 60, second.bytes + 60, 16);
    assert_memory_not_equal(first.bytes + first.size - 22, second.bytes + second.size - 22, 16);
}

static void no_other_number_of_bytes_than_declared_is_taken(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record too_few = {0};
    CLEANUP(memory_sink_record) struct memory_sink_record too_many = {0};
    static const uint8_t content[100];
    struct error err = ERROR_INIT;

    (void)state;
    assert_fails(ERROR_INVALID, encrypt(content, 99, 10, 100, &too_few, &err));
    assert_int_equal(too_few.commits, 0);
    assert_int_equal(too_few.aborts, 1);
    assert_fails(ERROR_INVALID, encrypt(content, 100, 10, 99, &too_many, &err));
    assert_int_equal(too_many.commits, 0);
    assert_int_equal(too_many.aborts, 1);
}

static void freeing_without_commit_aborts_the_ciphertext(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(byte_sink_free) struct byte_sink *ciphertext = memory_sink_new(&record, NULL);
    struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(open_sink(PASSPHRASE, BYTE_SOURCE_SIZE_UNKNOWN, ciphertext, &sink, &err));
    assert_succeeds(byte_sink_write(sink, "plaintext", 9, NULL, &err));
    byte_sink_free(sink);
    assert_int_equal(record.commits, 0);
    assert_int_equal(record.aborts, 1);
}

static void a_failing_ciphertext_sink_fails_at_every_place(void **state)
{
    static const uint8_t content[300];

    (void)state;
    for (int declared = 0; declared < 2; declared++) {
        for (size_t fail_at = 0; fail_at < 400; fail_at += 31) {
            const struct memory_sink_options options = {.fails = true, .fail_at = fail_at};
            CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
            CLEANUP(byte_sink_free)
            struct byte_sink *ciphertext = memory_sink_new(&record, &options);
            CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
            struct error err = ERROR_INIT;

            assert_succeeds(open_sink(PASSPHRASE,
                                      declared == 1 ? sizeof content : BYTE_SOURCE_SIZE_UNKNOWN,
                                      ciphertext, &sink, &err));
            if (byte_sink_write(sink, content, sizeof content, NULL, &err) == 0)
                assert_fails(ERROR_NO_SPACE, byte_sink_commit(sink, NULL, &err));
            assert_int_equal(err.kind, ERROR_NO_SPACE);
            assert_int_equal(record.aborts, 1);
        }
    }
}

static void a_ciphertext_sink_that_cannot_commit_fails_the_commit(void **state)
{
    const struct memory_sink_options options = {.fails_commit = true};
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(byte_sink_free) struct byte_sink *ciphertext = memory_sink_new(&record, &options);
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(open_sink(PASSPHRASE, 0, ciphertext, &sink, &err));
    assert_fails(ERROR_NO_SPACE, byte_sink_commit(sink, NULL, &err));
    assert_int_equal(record.aborts, 1);
}

static void passphrases_and_sizes_are_checked(void **state)
{
    CLEANUP(memory_free) char *overlong = malloc(LIMIT_SECRET_BYTES + 2);
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(byte_sink_free) struct byte_sink *ciphertext = memory_sink_new(&record, NULL);
    struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_non_null(overlong);
    memset(overlong, 'x', LIMIT_SECRET_BYTES + 1);
    overlong[LIMIT_SECRET_BYTES + 1] = '\0';
    assert_fails(ERROR_KEY_REJECTED, open_sink("", 0, ciphertext, &sink, &err));
    assert_fails(ERROR_KEY_REJECTED, open_sink(overlong, 0, ciphertext, &sink, &err));
    assert_fails(ERROR_TOO_LARGE,
                 open_sink("x", LIMIT_PLAINTEXT_BYTES + 1, ciphertext, &sink, &err));
    assert_null(sink);
}

/* Enough for a key derivation but not for a chunk, and less than that. */
static void every_shortage_of_locked_memory_is_told(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(byte_sink_free) struct byte_sink *ciphertext = memory_sink_new(&record, NULL);

    (void)state;
    for (size_t left = 8 * KIB; left < MIB; left = left * 3 / 2) {
        struct byte_sink *sink = NULL;
        struct error err = ERROR_INIT;
        struct bed_hoard hoard;
        int result;

        bed_hoard_memory(&hoard, left);
        result = open_sink("x", BYTE_SOURCE_SIZE_UNKNOWN, ciphertext, &sink, &err);
        bed_give_back(&hoard);
        assert_int_equal(result, -1);
        assert_int_equal(err.kind, ERROR_EXHAUSTED);
    }
}

/* Over four octets of length, where a file of that size would be needed to see the data: only how
 * it begins. */
static void sizes_beyond_four_octets_go_in_chunks(void **state)
{
    static const struct {
        uint64_t declared_size;
        uint8_t length_octet;
    } sizes[] = {
        {UINT32_MAX - 53, 0xff}, /* the encrypted packet just fits: 1 + 18 + 6 + 6 + 22 more */
        {UINT32_MAX - 52, 0xf4},
        {UINT32_MAX, 0xf4},
        {UINT64_C(1) << 33, 0xf4},
    };
    CLEANUP(memory_free) uint8_t *content = calloc(1, 3 * MIB);

    (void)state;
    assert_non_null(content);
    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
        CLEANUP(byte_sink_free) struct byte_sink *ciphertext = memory_sink_new(&record, NULL);
        CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
        struct error err = ERROR_INIT;

        assert_succeeds(open_sink("x", sizes[i].declared_size, ciphertext, &sink, &err));
        assert_succeeds(byte_sink_write(sink, content, 3 * MIB, NULL, &err));
        assert_int_equal(record.bytes[53], sizes[i].length_octet);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(reads_what_it_writes_at_every_size_and_step),
        bed_test(a_declared_size_gives_definite_lengths),
        bed_test(an_unknown_size_gives_chunks_of_one_mebibyte),
        bed_test(two_messages_of_the_same_plaintext_have_nothing_in_common),
        bed_test(no_other_number_of_bytes_than_declared_is_taken),
        bed_test(freeing_without_commit_aborts_the_ciphertext),
        bed_test(a_failing_ciphertext_sink_fails_at_every_place),
        bed_test(a_ciphertext_sink_that_cannot_commit_fails_the_commit),
        bed_test(passphrases_and_sizes_are_checked),
        bed_test(every_shortage_of_locked_memory_is_told),
        bed_test(sizes_beyond_four_octets_go_in_chunks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
