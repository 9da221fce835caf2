/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a verified message again, forward. */
#include "codec/openpgp/forward_source.h"

#include "codec_bed.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define PASSPHRASE "correct horse"
#define CONTENT_BYTES ((size_t)700000)

struct fixture {
    uint8_t *content;
    struct octets message;
    struct codec_message *opened;
};

/* A verified message; `algorithm` -1 for one that is not compressed. */
static void start(struct fixture *fixture, int algorithm, enum framing framing)
{
    CLEANUP(octets_clear) struct octets literal = {0};
    CLEANUP(octets_clear) struct octets packets = {0};
    const struct seipd_plan seipd = {.framing = framing};
    const struct skesk_plan skesk = usual_skesk(PASSPHRASE);
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;
    struct error err = ERROR_INIT;

    *fixture = (struct fixture){.content = pseudo_random_bytes(40, CONTENT_BYTES)};
    build_literal(&literal, framing, fixture->content, CONTENT_BYTES);
    if (algorithm >= 0)
        build_compressed(&packets, framing, (unsigned)algorithm, literal.data, literal.size);
    else
        octets_add(&packets, literal.data, literal.size);
    build_skesk(&fixture->message, &skesk, key, &cipher);
    build_seipd(&fixture->message, &seipd, cipher, key, packets.data, packets.size);
    assert_succeeds(bed_decrypt(fixture->message.data, fixture->message.size, PASSPHRASE, NULL,
                                &fixture->opened, &err));
}

static void stop(struct fixture *fixture)
{
    codec_message_unref(fixture->opened);
    octets_clear(&fixture->message);
    free(fixture->content);
}

static struct byte_source *open_source(struct fixture *fixture,
                                       const struct memory_source_options *options,
                                       struct byte_source **ret_ciphertext)
{
    struct byte_source *ciphertext =
        memory_source_new(fixture->message.data, fixture->message.size, options);
    struct byte_source *plaintext = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(forward_source_new((struct openpgp_message *)fixture->opened, ciphertext,
                                       &plaintext, &err));
    if (ret_ciphertext != NULL)
        *ret_ciphertext = ciphertext;
    return plaintext;
}

/* Reads on from *position in pieces of `size`, at most `pieces` of them. */
static void assert_reads_on(struct byte_source *source, const uint8_t *content, uint64_t *position,
                            size_t size, size_t pieces)
{
    CLEANUP(memory_free) uint8_t *buffer = malloc(size);
    struct error err = ERROR_INIT;
    size_t got = size;

    assert_non_null(buffer);
    for (; pieces > 0 && got == size; pieces--) {
        const size_t left = CONTENT_BYTES - *position;

        assert_succeeds(byte_source_pread(source, buffer, size, *position, NULL, &got, &err));
        assert_int_equal(got, size < left ? size : left);
        if (got > 0)
            assert_memory_equal(buffer, content + *position, got);
        *position += got;
    }
}

static void reads_of_any_size_give_the_same_bytes(void **state)
{
    static const size_t sizes[] = {4096,      4097,          65536, 131072,       256 * KIB - 1,
                                   256 * KIB, 256 * KIB + 1, MIB,   CONTENT_BYTES};
    static const enum framing framings[] = {FRAMING_FIVE_OCTETS, FRAMING_PARTIAL_512};

    (void)state;
    for (size_t shape = 0; shape < 2 * 3; shape++) {
        struct fixture fixture;

        start(&fixture, (int)(shape / 2) - 1, framings[shape % 2]);
        for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
            CLEANUP(byte_source_free)
            struct byte_source *source = open_source(&fixture, NULL, NULL);
            uint64_t position = 0;

            assert_int_equal(byte_source_size(source), CONTENT_BYTES);
            assert_true(byte_source_is_forward_only(source));
            assert_reads_on(source, fixture.content, &position, sizes[i], SIZE_MAX);
            assert_int_equal(position, CONTENT_BYTES);
        }
        stop(&fixture);
    }
}

static void reads_of_changing_sizes_give_the_same_bytes(void **state)
{
    struct pseudo_random random = {.state = 41};

    (void)state;
    for (int algorithm = -1; algorithm < 3; algorithm++) {
        CLEANUP(byte_source_free) struct byte_source *source = NULL;
        struct fixture fixture;
        uint64_t position = 0;

        start(&fixture, algorithm, FRAMING_PARTIAL_512);
        source = open_source(&fixture, NULL, NULL);
        while (position < CONTENT_BYTES)
            assert_reads_on(
                source, fixture.content, &position,
                1 + pseudo_random_below(&random, 1U << pseudo_random_below(&random, 20)), 1);
        stop(&fixture);
    }
}

static void reads_elsewhere_are_refused_with_espipe(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct fixture fixture;
    struct error err = ERROR_INIT;
    uint64_t position = 0;
    uint8_t buffer[10];
    size_t got;

    (void)state;
    start(&fixture, -1, FRAMING_FIVE_OCTETS);
    source = open_source(&fixture, NULL, NULL);
    assert_reads_on(source, fixture.content, &position, 10, 1);
    assert_fails(ERROR_SYSTEM, byte_source_pread(source, buffer, 10, 0, NULL, &got, &err));
    assert_int_equal(err.errnum, ESPIPE);
    assert_fails(ERROR_SYSTEM, byte_source_pread(source, buffer, 10, 11, NULL, &got, &err));
    assert_reads_on(source, fixture.content, &position, 1000, SIZE_MAX);
    assert_int_equal(position, CONTENT_BYTES);
    stop(&fixture);
}

static void nothing_is_read_before_the_first_read(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct byte_source *ciphertext;
    struct fixture fixture;

    (void)state;
    start(&fixture, -1, FRAMING_FIVE_OCTETS);
    source = open_source(&fixture, NULL, &ciphertext);
    assert_int_equal(memory_source_reads(ciphertext), 0);
    stop(&fixture);
}

/* Ciphertext that answers so many reads and then fails until it may answer more. */
struct flaky_source {
    struct byte_source base;
    struct byte_source *inner;
    unsigned answers;
};

static int flaky_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                       struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct flaky_source *flaky = (struct flaky_source *)source;

    if (flaky->answers == 0)
        return error_set(err, ERROR_CANCELLED, "interrupted");
    flaky->answers--;
    return byte_source_pread(flaky->inner, buffer, size, offset, cancel, ret_size, err);
}

static uint64_t flaky_size(struct byte_source *source)
{
    return byte_source_size(((struct flaky_source *)source)->inner);
}

static void flaky_free(struct byte_source *source)
{
    byte_source_free(((struct flaky_source *)source)->inner);
}

static void start_flaky(struct flaky_source *flaky, struct fixture *fixture, unsigned answers,
                        struct byte_source **ret)
{
    static const struct byte_source_ops ops = {
        .pread = flaky_pread, .size = flaky_size, .free = flaky_free};
    struct error err = ERROR_INIT;

    *flaky = (struct flaky_source){
        .base = {&ops},
        .inner = memory_source_new(fixture->message.data, fixture->message.size, NULL),
        .answers = answers};
    assert_succeeds(
        forward_source_new((struct openpgp_message *)fixture->opened, &flaky->base, ret, &err));
}

/* Reads all, trying again after each failure; gives the number of failures. */
static unsigned read_stubbornly(struct byte_source *source, struct flaky_source *flaky,
                                const uint8_t *content, size_t size)
{
    CLEANUP(memory_free) uint8_t *buffer = malloc(size);
    uint64_t position = 0;
    unsigned failures = 0;

    assert_non_null(buffer);
    while (position < CONTENT_BYTES) {
        struct error err = ERROR_INIT;
        size_t got;

        if (byte_source_pread(source, buffer, size, position, NULL, &got, &err) < 0) {
            assert_int_equal(err.kind, ERROR_CANCELLED);
            assert_in_range(++failures, 0, 10000);
            flaky->answers = 1;
            continue;
        }
        assert_memory_equal(buffer, content + position, got);
        position += got;
    }
    return failures;
}

static void a_read_that_fails_leaves_the_position_where_it_was(void **state)
{
    static const size_t sizes[] = {4096, 100000, 300000, MIB};

    (void)state;
    for (int algorithm = -1; algorithm < 3; algorithm++) {
        struct fixture fixture;

        start(&fixture, algorithm, FRAMING_PARTIAL_512);
        for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
            struct flaky_source flaky;
            CLEANUP(byte_source_free) struct byte_source *source = NULL;

            start_flaky(&flaky, &fixture, 0, &source);
            assert_in_range(read_stubbornly(source, &flaky, fixture.content, sizes[i]), 1, 100);
        }
        stop(&fixture);
    }
}

/* The bytes kept after a failure are handed out to smaller reads, and a second failure while some
 * are left keeps them. */
static void bytes_kept_after_a_failure_serve_reads_of_any_size(void **state)
{
    struct flaky_source flaky;
    struct fixture fixture;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    CLEANUP(memory_free) uint8_t *buffer = malloc(MIB);
    uint64_t position = 0;
    size_t got;

    (void)state;
    assert_non_null(buffer);
    start(&fixture, -1, FRAMING_PARTIAL_512);
    start_flaky(&flaky, &fixture, 8, &source);
    assert_fails(ERROR_CANCELLED, byte_source_pread(source, buffer, MIB, 0, NULL, &got, &err));
    assert_reads_on(source, fixture.content, &position, 10000, 5);
    assert_fails(ERROR_CANCELLED,
                 byte_source_pread(source, buffer, MIB, position, NULL, &got, &err));
    assert_reads_on(source, fixture.content, &position, 10000, 5);
    flaky.answers = UINT_MAX;
    assert_reads_on(source, fixture.content, &position, MIB, SIZE_MAX);
    assert_int_equal(position, CONTENT_BYTES);
    stop(&fixture);
}

static void a_failure_without_memory_to_keep_bytes_is_final(void **state)
{
    struct flaky_source flaky;
    struct fixture fixture;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct bed_hoard hoard;
    struct error err = ERROR_INIT;
    CLEANUP(memory_free) uint8_t *buffer = malloc(MIB);
    size_t got;
    int result;

    (void)state;
    assert_non_null(buffer);
    start(&fixture, -1, FRAMING_PARTIAL_512);
    start_flaky(&flaky, &fixture, 8, &source);
    bed_hoard_memory(&hoard, 320 * KIB);
    result = byte_source_pread(source, buffer, MIB, 0, NULL, &got, &err);
    bed_give_back(&hoard);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERROR_CANCELLED);
    assert_fails(ERROR_EXHAUSTED, byte_source_pread(source, buffer, 1, 0, NULL, &got, &err));
    stop(&fixture);
}

static void bytes_that_are_no_message_any_more_are_damage(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct fixture fixture;
    struct error err = ERROR_INIT;
    uint8_t buffer[100];
    size_t got;

    (void)state;
    start(&fixture, 1, FRAMING_FIVE_OCTETS);
    memset(fixture.message.data, 0, fixture.message.size);
    source = open_source(&fixture, NULL, NULL);
    assert_fails(ERROR_CORRUPT,
                 byte_source_pread(source, buffer, sizeof buffer, 0, NULL, &got, &err));
    assert_string_equal(err.message, DAMAGED_MESSAGE);
    stop(&fixture);
}

/* What stands where the encrypted data was is another packet, or nothing. */
static void encrypted_data_that_is_gone_is_damage(void **state)
{
    struct fixture fixture;
    uint8_t buffer[100];
    uint8_t *tag;
    size_t got;

    (void)state;
    start(&fixture, -1, FRAMING_FIVE_OCTETS);
    tag = memchr(fixture.message.data, 0xd2, fixture.message.size);
    assert_non_null(tag);
    *tag = 0xcb;
    for (int gone = 0; gone < 2; gone++) {
        CLEANUP(byte_source_free) struct byte_source *source = NULL;
        struct error err = ERROR_INIT;

        if (gone == 1)
            fixture.message.size = (size_t)(tag - fixture.message.data);
        source = open_source(&fixture, NULL, NULL);
        assert_fails(ERROR_CORRUPT,
                     byte_source_pread(source, buffer, sizeof buffer, 0, NULL, &got, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
    stop(&fixture);
}

static void ciphertext_that_became_shorter_is_damage(void **state)
{
    CLEANUP(memory_free) uint8_t *buffer = malloc(CONTENT_BYTES);
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct fixture fixture;
    struct error err = ERROR_INIT;
    size_t got;

    (void)state;
    assert_non_null(buffer);
    start(&fixture, -1, FRAMING_FIVE_OCTETS);
    fixture.message.size /= 2;
    source = open_source(&fixture, NULL, NULL);
    assert_fails(ERROR_CORRUPT,
                 byte_source_pread(source, buffer, CONTENT_BYTES, 0, NULL, &got, &err));
    stop(&fixture);
}

static void outlives_the_message_it_was_opened_from(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct fixture fixture;
    uint64_t position = 0;

    (void)state;
    start(&fixture, -1, FRAMING_FIVE_OCTETS);
    source = open_source(&fixture, NULL, NULL);
    codec_message_unref(fixture.opened);
    fixture.opened = NULL;
    assert_reads_on(source, fixture.content, &position, MIB, SIZE_MAX);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(reads_of_any_size_give_the_same_bytes),
        bed_test(reads_of_changing_sizes_give_the_same_bytes),
        bed_test(reads_elsewhere_are_refused_with_espipe),
        bed_test(nothing_is_read_before_the_first_read),
        bed_test(a_read_that_fails_leaves_the_position_where_it_was),
        bed_test(bytes_kept_after_a_failure_serve_reads_of_any_size),
        bed_test(a_failure_without_memory_to_keep_bytes_is_final),
        bed_test(bytes_that_are_no_message_any_more_are_damage),
        bed_test(encrypted_data_that_is_gone_is_damage),
        bed_test(ciphertext_that_became_shorter_is_damage),
        bed_test(outlives_the_message_it_was_opened_from),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
