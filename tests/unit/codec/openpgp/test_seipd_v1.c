/* SPDX-License-Identifier: Apache-2.0 */
/* The SEIPD version 1 layer, read and written. */
#include "codec/openpgp/seipd_v1.h"

#include "codec/openpgp/seipd_v1_writer.h"
#include "packet_fixture.h"

#include <stdlib.h>

static struct session_key *some_key(enum cipher_algorithm algorithm)
{
    struct session_key *key = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(session_key_new(bed_arena(), &key, &err));
    key->algorithm = algorithm;
    memset(key->key, 0x35, sizeof key->key);
    return key;
}

/* Decrypts an SEIPD packet through all its layers, in steps. */
static int decrypt_packet(const struct octets *packet, const struct session_key *key, bool verify,
                          size_t step, struct octets *ret, struct error *err)
{
    CLEANUP(seipd_v1_free) struct seipd_v1 *seipd = NULL;
    struct packet_fixture fixture;
    uint8_t version;
    int result;

    packet_fixture_start(&fixture, packet, NULL);
    result = byte_stream_read_exact(&fixture.body.stream, &version, 1, NULL, err);
    if (result == 0)
        result = seipd_v1_new(&fixture.body.stream, key, verify, &seipd, err);
    if (result == 0)
        result = read_to_end(seipd_v1_stream(seipd), step, ret, err);
    if (result == 0 && verify)
        result = seipd_v1_finish(seipd, err);
    packet_fixture_stop(&fixture);
    return result;
}

static const size_t steps[] = {23, 24, 64, 100, 511, 512, 5000};

static void gives_the_packets_of_every_cipher_framing_and_step(void **state)
{
    static const enum framing framings[] = {FRAMING_SHORTEST, FRAMING_PARTIAL_512};
    CLEANUP(memory_free) uint8_t *packets = pseudo_random_bytes(4, 2000);

    (void)state;
    for (unsigned cipher = CIPHER_TRIPLE_DES; cipher <= CIPHER_CAMELLIA256; cipher++) {
        CLEANUP(session_key_free) struct session_key *key = some_key(cipher);

        for (size_t i = 0; i < ELEMENTS_OF(steps) * ELEMENTS_OF(framings); i++) {
            const struct seipd_plan plan = {.framing = framings[i % ELEMENTS_OF(framings)]};
            CLEANUP(octets_clear) struct octets packet = {0};
            CLEANUP(octets_clear) struct octets got = {0};
            struct error err = ERROR_INIT;

            build_seipd(&packet, &plan, cipher, key->key, packets, 2000);
            assert_succeeds(
                decrypt_packet(&packet, key, true, steps[i / ELEMENTS_OF(framings)], &got, &err));
            assert_int_equal(got.size, 2000);
            assert_memory_equal(got.data, packets, 2000);
        }
    }
}

static void the_mdc_may_be_split_over_chunks_anywhere(void **state)
{
    CLEANUP(memory_free) uint8_t *packets = pseudo_random_bytes(5, 600);
    CLEANUP(session_key_free) struct session_key *key = some_key(CIPHER_AES256);
    const struct seipd_plan plan = {.framing = FRAMING_PARTIAL_512};

    (void)state;
    /* The body is 41 octets longer than the packets: the chunk of 512 ends at 471 of them. */
    for (size_t size = 440; size < 475; size++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        struct error err = ERROR_INIT;

        build_seipd(&packet, &plan, CIPHER_AES256, key->key, packets, size);
        assert_succeeds(decrypt_packet(&packet, key, true, 64, &got, &err));
        assert_int_equal(got.size, size);
        assert_memory_equal(got.data, packets, size);
    }
}

static void without_verification_everything_comes_out(void **state)
{
    CLEANUP(session_key_free) struct session_key *key = some_key(CIPHER_AES256);
    CLEANUP(octets_clear) struct octets packet = {0};
    CLEANUP(octets_clear) struct octets got = {0};
    struct error err = ERROR_INIT;

    (void)state;
    build_seipd(&packet, NULL, CIPHER_AES256, key->key, "packets", 7);
    assert_succeeds(decrypt_packet(&packet, key, false, 5, &got, &err));
    assert_int_equal(got.size, 7 + SEIPD_V1_MDC_PACKET_BYTES);
    assert_memory_equal(got.data, "packets\xd3\x14", 9);
}

static void every_other_mdc_is_damage(void **state)
{
    static const enum mdc_plan plans[] = {MDC_MISSING,       MDC_WRONG_DIGEST,   MDC_WRONG_HEADER,
                                          MDC_LEGACY_HEADER, MDC_WITHOUT_PREFIX, MDC_FIRST};
    CLEANUP(session_key_free) struct session_key *key = some_key(CIPHER_AES256);
    static const uint8_t packets[100] = {1};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(plans); i++) {
        const struct seipd_plan plan = {.mdc = plans[i]};
        CLEANUP(octets_clear) struct octets packet = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        struct error err = ERROR_INIT;

        build_seipd(&packet, &plan, CIPHER_AES256, key->key, packets, sizeof packets);
        assert_fails(ERROR_CORRUPT, decrypt_packet(&packet, key, true, 64, &got, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void a_body_too_short_for_prefix_and_mdc_is_damage(void **state)
{
    CLEANUP(session_key_free) struct session_key *key = some_key(CIPHER_AES256);
    static const uint8_t body[1 + 18 + 22] = {1};

    (void)state;
    for (size_t size = 1; size < sizeof body; size++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        struct error err = ERROR_INIT;

        build_packet(&packet, 18, FRAMING_SHORTEST, body, size);
        assert_fails(ERROR_CORRUPT, decrypt_packet(&packet, key, true, 64, &got, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

/* Fails at every offset once; what came before and after is the whole. */
static void a_read_that_failed_can_be_repeated(void **state)
{
    CLEANUP(session_key_free) struct session_key *key = some_key(CIPHER_AES256);
    CLEANUP(octets_clear) struct octets packet = {0};
    CLEANUP(memory_free) uint8_t *packets = pseudo_random_bytes(6, 300);

    (void)state;
    build_seipd(&packet, NULL, CIPHER_AES256, key->key, packets, 300);
    for (size_t fail_at = 64; fail_at < packet.size; fail_at += 7) {
        const struct memory_source_options options = {.fails = true, .fail_at = fail_at};
        CLEANUP(seipd_v1_free) struct seipd_v1 *seipd = NULL;
        CLEANUP(octets_clear) struct octets got = {0};
        CLEANUP(byte_source_free)
        struct byte_source *whole = memory_source_new(packet.data, packet.size, NULL);
        struct packet_fixture fixture;
        struct error err = ERROR_INIT;
        uint8_t version;

        packet_fixture_start(&fixture, &packet, &options);
        assert_succeeds(byte_stream_read_exact(&fixture.body.stream, &version, 1, NULL, &err));
        assert_succeeds(seipd_v1_new(&fixture.body.stream, key, true, &seipd, &err));
        assert_fails(ERROR_UNAVAILABLE, read_to_end(seipd_v1_stream(seipd), 40, &got, &err));
        fixture.ciphertext.source = whole;
        assert_succeeds(read_to_end(seipd_v1_stream(seipd), 40, &got, &err));
        assert_succeeds(seipd_v1_finish(seipd, &err));
        assert_int_equal(got.size, 300);
        assert_memory_equal(got.data, packets, 300);
        packet_fixture_stop(&fixture);
    }
}

static void says_so_when_locked_memory_is_used_up(void **state)
{
    struct ciphertext_stream body = {.position = 0};
    struct session_key *key = some_key(CIPHER_AES256);
    struct seipd_v1 *seipd = NULL;
    struct error err = ERROR_INIT;
    struct bed_hoard hoard;

    (void)state;
    for (size_t left = 0; left <= 4096; left += 4096) {
        bed_hoard_memory(&hoard, left);
        assert_fails(ERROR_EXHAUSTED, seipd_v1_new(&body.stream, key, true, &seipd, &err));
        bed_give_back(&hoard);
    }
    session_key_free(key);
    seipd_v1_free(NULL);
}

/* The version octet and then a body that the reader takes apart again. */
static void reads_what_it_writes(void **state)
{
    CLEANUP(session_key_free) struct session_key *key = some_key(CIPHER_AES256);
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(seipd_v1_writer_free) struct seipd_v1_writer *writer = NULL;
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&record, NULL);
    CLEANUP(memory_free) uint8_t *packets = pseudo_random_bytes(7, 300000);
    CLEANUP(octets_clear) struct octets packet = {0};
    CLEANUP(octets_clear) struct octets got = {0};
    struct sink_output output;
    struct error err = ERROR_INIT;

    (void)state;
    sink_output_init(&output, sink);
    assert_succeeds(seipd_v1_writer_new(key, &output.output, &writer, &err));
    assert_succeeds(seipd_v1_writer_begin(writer, NULL, &err));
    assert_succeeds(
        byte_output_write(seipd_v1_writer_packets(writer), packets, 299999, NULL, &err));
    assert_succeeds(
        byte_output_write(seipd_v1_writer_packets(writer), packets + 299999, 1, NULL, &err));
    assert_succeeds(seipd_v1_writer_finish(writer, NULL, &err));
    assert_int_equal(record.size, seipd_v1_body_size(key, 300000));
    build_packet(&packet, 18, FRAMING_SHORTEST, record.bytes, record.size);
    assert_succeeds(decrypt_packet(&packet, key, true, 4096, &got, &err));
    assert_int_equal(got.size, 300000);
    assert_memory_equal(got.data, packets, 300000);
}

static void a_failing_output_fails_the_writer(void **state)
{
    const struct memory_sink_options options = {.fails = true, .fail_at = 10};
    CLEANUP(session_key_free) struct session_key *key = some_key(CIPHER_AES256);
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(seipd_v1_writer_free) struct seipd_v1_writer *writer = NULL;
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&record, &options);
    struct sink_output output;
    struct error err = ERROR_INIT;

    (void)state;
    sink_output_init(&output, sink);
    assert_succeeds(seipd_v1_writer_new(key, &output.output, &writer, &err));
    assert_fails(ERROR_NO_SPACE, seipd_v1_writer_begin(writer, NULL, &err));
    seipd_v1_writer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(gives_the_packets_of_every_cipher_framing_and_step),
        bed_test(the_mdc_may_be_split_over_chunks_anywhere),
        bed_test(without_verification_everything_comes_out),
        bed_test(every_other_mdc_is_damage),
        bed_test(a_body_too_short_for_prefix_and_mdc_is_damage),
        bed_test(a_read_that_failed_can_be_repeated),
        bed_test(says_so_when_locked_memory_is_used_up),
        bed_test(reads_what_it_writes),
        bed_test(a_failing_output_fails_the_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
