/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/packet_writer.h"

#include "packet_fixture.h"

#include <stdlib.h>

/* Writes a packet in pieces of `step` and gives what came out. */
static int write_packet(uint64_t length, struct secure_arena *arena, const uint8_t *body,
                        size_t size, size_t step, struct memory_sink_record *record,
                        struct error *err)
{
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(record, NULL);
    CLEANUP(packet_writer_free) struct packet_writer *writer = NULL;
    struct sink_output output;

    sink_output_init(&output, sink);
    if (packet_writer_new(11, length, arena, &output.output, &writer, err) < 0)
        return -1;
    for (size_t done = 0; done < size; done += step)
        if (byte_output_write(packet_writer_body(writer), body + done,
                              step < size - done ? step : size - done, NULL, err) < 0)
            return -1;
    return packet_writer_finish(writer, NULL, err);
}

static void assert_reads_back(const struct memory_sink_record *record, const uint8_t *body,
                              size_t size)
{
    const struct octets packet = {.data = record->bytes, .size = record->size};
    CLEANUP(octets_clear) struct octets got = {0};
    struct packet_fixture fixture;
    struct error err = ERROR_INIT;

    packet_fixture_start(&fixture, &packet, NULL);
    assert_int_equal(fixture.header.type, 11);
    assert_succeeds(read_to_end(&fixture.body.stream, 1 << 20, &got, &err));
    assert_int_equal(got.size, size);
    if (size > 0)
        assert_memory_equal(got.data, body, size);
    packet_fixture_stop(&fixture);
}

static void known_lengths_are_written_in_one_piece(void **state)
{
    CLEANUP(memory_free) uint8_t *body = pseudo_random_bytes(60, 10000);
    static const size_t sizes[] = {0, 1, 191, 192, 8383, 8384, 10000};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
        struct error err = ERROR_INIT;

        assert_succeeds(write_packet(sizes[i], NULL, body, sizes[i], 777, &record, &err));
        assert_int_equal(record.size, PACKET_HEADER_MAXIMUM_BYTES + sizes[i]);
        assert_reads_back(&record, body, sizes[i]);
    }
}

static void unknown_lengths_are_written_in_chunks(void **state)
{
    const size_t largest = 2 * PACKET_CHUNK_BYTES + 1;
    const size_t sizes[] = {0,
                            1,
                            PACKET_CHUNK_BYTES - 1,
                            PACKET_CHUNK_BYTES,
                            PACKET_CHUNK_BYTES + 1,
                            2 * PACKET_CHUNK_BYTES,
                            largest};
    CLEANUP(memory_free) uint8_t *body = pseudo_random_bytes(61, largest);

    (void)state;
    for (size_t i = 0; i < 2 * ELEMENTS_OF(sizes); i++) {
        struct secure_arena *arena = i % 2 == 0 ? NULL : bed_arena();
        CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
        struct error err = ERROR_INIT;

        assert_succeeds(
            write_packet(PACKET_LENGTH_UNKNOWN, arena, body, sizes[i / 2], 300000, &record, &err));
        assert_reads_back(&record, body, sizes[i / 2]);
    }
}

static void four_octets_bound_a_definite_length(void **state)
{
    (void)state;
    assert_true(packet_length_is_definite(0));
    assert_true(packet_length_is_definite(UINT32_MAX));
    assert_false(packet_length_is_definite((uint64_t)UINT32_MAX + 1));
    assert_false(packet_length_is_definite(PACKET_LENGTH_UNKNOWN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(known_lengths_are_written_in_one_piece),
        bed_test(unknown_lengths_are_written_in_chunks),
        bed_test(four_octets_bound_a_definite_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
