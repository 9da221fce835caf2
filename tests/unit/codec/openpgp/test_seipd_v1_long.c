/* SPDX-License-Identifier: Apache-2.0 */
/* SEIPD version 1 bodies that are long enough for a thread beside the caller's. */
#include "codec/openpgp/seipd_v1.h"

#include "codec/openpgp/seipd_v1_writer.h"
#include "glancefs/limits.h"
#include "packet_fixture.h"

#define LONG_BYTES (3 * MIB + 12345)

static struct session_key *some_key(void)
{
    struct session_key *key = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(session_key_new(bed_arena(), &key, &err));
    key->algorithm = CIPHER_AES256;
    memset(key->key, 0x35, sizeof key->key);
    return key;
}

/* Writes a whole body in pieces of `step`. */
static int write_body(const struct session_key *key, const uint8_t *packets, size_t size,
                      size_t step, struct byte_sink *sink, struct error *err)
{
    CLEANUP(seipd_v1_writer_free) struct seipd_v1_writer *writer = NULL;
    struct sink_output output;

    sink_output_init(&output, sink);
    if (seipd_v1_writer_new(key, &output.output, &writer, err) < 0 ||
        seipd_v1_writer_begin(writer, NULL, err) < 0)
        return -1;
    for (size_t done = 0; done < size; done += step)
        if (byte_output_write(seipd_v1_writer_packets(writer), packets + done,
                              step < size - done ? step : size - done, NULL, err) < 0)
            return -1;
    return seipd_v1_writer_finish(writer, NULL, err);
}

/* Reads a body in pieces of `step` and compares. */
static int read_body(const struct session_key *key, const struct octets *packet, size_t step,
                     struct octets *ret, struct error *err)
{
    CLEANUP(seipd_v1_free) struct seipd_v1 *seipd = NULL;
    struct packet_fixture fixture;
    uint8_t version;
    int result;

    packet_fixture_start(&fixture, packet, NULL);
    result = byte_stream_read_exact(&fixture.body.stream, &version, 1, NULL, err);
    if (result == 0)
        result = seipd_v1_new(&fixture.body.stream, key, true, &seipd, err);
    if (result == 0)
        result = read_to_end(seipd_v1_stream(seipd), step, ret, err);
    if (result == 0)
        result = seipd_v1_finish(seipd, err);
    packet_fixture_stop(&fixture);
    return result;
}

static void assert_round_trip(const struct session_key *key, const uint8_t *packets, size_t step)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&record, NULL);
    CLEANUP(octets_clear) struct octets packet = {0};
    CLEANUP(octets_clear) struct octets expected = {0};
    CLEANUP(octets_clear) struct octets got = {0};
    struct error err = ERROR_INIT;

    assert_succeeds(write_body(key, packets, LONG_BYTES, step, sink, &err));
    build_packet(&packet, 18, FRAMING_FIVE_OCTETS, record.bytes, record.size);
    build_seipd(&expected, NULL, CIPHER_AES256, key->key, packets, LONG_BYTES);
    assert_int_equal(packet.size, expected.size);
    assert_succeeds(read_body(key, &packet, step, &got, &err));
    assert_int_equal(got.size, LONG_BYTES);
    assert_memory_equal(got.data, packets, LONG_BYTES);
    octets_clear(&got);
    assert_succeeds(read_body(key, &expected, step, &got, &err));
    assert_memory_equal(got.data, packets, LONG_BYTES);
}

static void reads_what_it_writes_and_what_others_write(void **state)
{
    static const size_t steps[] = {4096, 65536, 100000, 262144, LONG_BYTES};
    CLEANUP(memory_free) uint8_t *packets = pseudo_random_bytes(8, LONG_BYTES);
    CLEANUP(session_key_free) struct session_key *key = some_key();

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(steps); i++)
        assert_round_trip(key, packets, steps[i]);
}

static void does_so_without_memory_for_a_thread(void **state)
{
    CLEANUP(memory_free) uint8_t *packets = pseudo_random_bytes(9, LONG_BYTES);
    CLEANUP(session_key_free) struct session_key *key = some_key();
    struct bed_hoard hoard;

    (void)state;
    bed_hoard_memory(&hoard, 256 * KIB);
    assert_round_trip(key, packets, 65536);
    bed_give_back(&hoard);
}

static void one_wrong_bit_anywhere_is_damage(void **state)
{
    static const size_t places[] = {7, 30, 100000, MIB, 2 * MIB, 3 * MIB, LONG_BYTES + 20};
    CLEANUP(memory_free) uint8_t *packets = pseudo_random_bytes(10, LONG_BYTES);
    CLEANUP(session_key_free) struct session_key *key = some_key();
    CLEANUP(octets_clear) struct octets packet = {0};

    (void)state;
    build_seipd(&packet, NULL, CIPHER_AES256, key->key, packets, LONG_BYTES);
    for (size_t i = 0; i < ELEMENTS_OF(places); i++) {
        CLEANUP(octets_clear) struct octets got = {0};
        struct error err = ERROR_INIT;

        packet.data[places[i]] ^= 4;
        assert_fails(ERROR_CORRUPT, read_body(key, &packet, 65536, &got, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
        packet.data[places[i]] ^= 4;
    }
}

static void a_body_that_ends_early_is_damage(void **state)
{
    CLEANUP(memory_free) uint8_t *packets = pseudo_random_bytes(11, LONG_BYTES);
    CLEANUP(session_key_free) struct session_key *key = some_key();
    CLEANUP(octets_clear) struct octets packet = {0};
    CLEANUP(octets_clear) struct octets got = {0};
    struct error err = ERROR_INIT;

    (void)state;
    build_seipd(&packet, NULL, CIPHER_AES256, key->key, packets, LONG_BYTES);
    packet.size = 2 * MIB;
    assert_fails(ERROR_CORRUPT, read_body(key, &packet, 65536, &got, &err));
}

/* Ciphertext leaves after the write that it belongs to: the failure is told all the same. */
static void an_output_that_fails_late_fails_the_writer(void **state)
{
    static const size_t limits[] = {MIB + 100, 2 * MIB, LONG_BYTES - 1000, LONG_BYTES + 30};
    CLEANUP(memory_free) uint8_t *packets = pseudo_random_bytes(12, LONG_BYTES);
    CLEANUP(session_key_free) struct session_key *key = some_key();

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(limits); i++) {
        const struct memory_sink_options options = {.fails = true, .fail_at = limits[i]};
        CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
        CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&record, &options);
        struct error err = ERROR_INIT;

        assert_fails(ERROR_NO_SPACE, write_body(key, packets, LONG_BYTES, 65536, sink, &err));
        assert_in_range(record.size, limits[i] - 65536, limits[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(reads_what_it_writes_and_what_others_write),
        bed_test(does_so_without_memory_for_a_thread),
        bed_test(one_wrong_bit_anywhere_is_damage),
        bed_test(a_body_that_ends_early_is_damage),
        bed_test(an_output_that_fails_late_fails_the_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
