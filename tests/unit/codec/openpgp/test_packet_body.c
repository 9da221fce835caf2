/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/packet_body.h"

#include "packet_fixture.h"

#include <stdlib.h>

#define BODY_BYTES 1500

static const enum framing framings[] = {FRAMING_SHORTEST, FRAMING_FIVE_OCTETS, FRAMING_LEGACY,
                                        FRAMING_INDETERMINATE, FRAMING_PARTIAL_512};
static const size_t steps[] = {1, 7, 63, 64, 65, 511, 512, 513, 4096};

static void reads_the_whole_body_in_every_framing_and_step(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(1, BODY_BYTES);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(framings) * ELEMENTS_OF(steps); i++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        CLEANUP(octets_clear) struct octets body = {0};
        struct packet_fixture fixture;
        struct error err = ERROR_INIT;

        build_packet(&packet, 11, framings[i / ELEMENTS_OF(steps)], content, BODY_BYTES);
        packet_fixture_start(&fixture, &packet, NULL);
        assert_succeeds(
            read_to_end(&fixture.body.stream, steps[i % ELEMENTS_OF(steps)], &body, &err));
        assert_int_equal(body.size, BODY_BYTES);
        assert_memory_equal(body.data, content, BODY_BYTES);
        assert_succeeds(packet_body_finish(&fixture.body, NULL, &err));
        packet_fixture_stop(&fixture);
    }
}

static void leaves_the_next_packet_alone(void **state)
{
    static const enum framing bounded[] = {FRAMING_SHORTEST, FRAMING_FIVE_OCTETS, FRAMING_LEGACY,
                                           FRAMING_PARTIAL_512};
    static const uint8_t content[1024] = {7};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(bounded); i++) {
        CLEANUP(octets_clear) struct octets packets = {0};
        struct packet_fixture fixture;
        struct packet_header next;
        struct error err = ERROR_INIT;
        bool at_end;

        build_packet(&packets, 11, bounded[i], content, sizeof content);
        build_packet(&packets, 10, FRAMING_SHORTEST, "PGP", 3);
        packet_fixture_start(&fixture, &packets, NULL);
        assert_succeeds(packet_body_skip_rest(&fixture.body, NULL, &err));
        assert_succeeds(packet_header_read(fixture.packets, NULL, &at_end, &next, &err));
        assert_false(at_end);
        assert_int_equal(next.type, 10);
        packet_fixture_stop(&fixture);
    }
}

static void a_body_that_is_cut_off_is_damage(void **state)
{
    static const enum framing bounded[] = {FRAMING_SHORTEST, FRAMING_LEGACY, FRAMING_PARTIAL_512};
    static const uint8_t content[1030] = {7};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(bounded); i++) {
        CLEANUP(octets_clear) struct octets whole = {0};

        build_packet(&whole, 11, bounded[i], content, sizeof content);
        for (size_t size = 8; size < whole.size; size++) {
            CLEANUP(octets_clear) struct octets body = {0};
            const struct octets cut = {.data = whole.data, .size = size};
            struct packet_fixture fixture;
            struct error err = ERROR_INIT;

            packet_fixture_start(&fixture, &cut, NULL);
            assert_fails(ERROR_CORRUPT, read_to_end(&fixture.body.stream, 100, &body, &err));
            assert_string_equal(err.message, DAMAGED_MESSAGE);
            packet_fixture_stop(&fixture);
        }
    }
}

static void partial_chunks_without_a_last_one_are_damage(void **state)
{
    CLEANUP(octets_clear) struct octets packet = {0};
    CLEANUP(octets_clear) struct octets body = {0};
    static const uint8_t content[1024] = {7};
    struct packet_fixture fixture;
    struct error err = ERROR_INIT;

    (void)state;
    build_packet(&packet, 11, FRAMING_PARTIAL_UNENDED, content, sizeof content);
    packet_fixture_start(&fixture, &packet, NULL);
    assert_fails(ERROR_CORRUPT, read_to_end(&fixture.body.stream, 4096, &body, &err));
    assert_int_equal(body.size, sizeof content);
    packet_fixture_stop(&fixture);
}

static void an_empty_body_ends_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(framings); i++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        struct packet_fixture fixture;
        struct error err = ERROR_INIT;
        uint8_t octet;
        size_t got;

        if (framings[i] == FRAMING_PARTIAL_512)
            continue;
        build_packet(&packet, 11, framings[i], NULL, 0);
        packet_fixture_start(&fixture, &packet, NULL);
        assert_succeeds(byte_stream_read(&fixture.body.stream, &octet, 1, NULL, &got, &err));
        assert_int_equal(got, 0);
        packet_fixture_stop(&fixture);
    }
}

static void peeking_shows_all_of_it_piece_by_piece(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(2, BODY_BYTES);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(framings); i++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        CLEANUP(octets_clear) struct octets body = {0};
        struct packet_fixture fixture;
        struct error err = ERROR_INIT;
        const uint8_t *bytes;
        size_t size;

        build_packet(&packet, 11, framings[i], content, BODY_BYTES);
        packet_fixture_start(&fixture, &packet, NULL);
        do {
            assert_succeeds(packet_body_peek(&fixture.body, NULL, &bytes, &size, &err));
            size = size > 3 ? 3 : size;
            octets_add(&body, bytes, size);
            packet_body_skip(&fixture.body, size);
        } while (size > 0);
        assert_int_equal(body.size, BODY_BYTES);
        assert_memory_equal(body.data, content, BODY_BYTES);
        packet_fixture_stop(&fixture);
    }
}

static void steps_over_an_exact_number_of_bytes(void **state)
{
    CLEANUP(octets_clear) struct octets packet = {0};
    static const uint8_t content[700] = {7};
    struct packet_fixture fixture;
    struct error err = ERROR_INIT;

    (void)state;
    build_packet(&packet, 11, FRAMING_PARTIAL_512, content, sizeof content);
    packet_fixture_start(&fixture, &packet, NULL);
    assert_succeeds(packet_body_skip_exact(&fixture.body, 600, NULL, &err));
    assert_fails(ERROR_CORRUPT, packet_body_finish(&fixture.body, NULL, &err));
    assert_fails(ERROR_CORRUPT, packet_body_skip_exact(&fixture.body, 101, NULL, &err));
    assert_succeeds(packet_body_finish(&fixture.body, NULL, &err));
    packet_fixture_stop(&fixture);
}

/* The first chunk is 512 bytes, and the source fails behind it. */
static void a_failure_comes_after_the_bytes_before_it_and_is_repeated(void **state)
{
    const struct memory_source_options options = {.fails = true, .fail_at = 576};
    CLEANUP(octets_clear) struct octets packet = {0};
    static const uint8_t content[1024] = {7};
    struct packet_fixture fixture;
    struct error err = ERROR_INIT;
    uint8_t buffer[1024];
    size_t total = 0, got;

    (void)state;
    build_packet(&packet, 11, FRAMING_PARTIAL_512, content, sizeof content);
    packet_fixture_start(&fixture, &packet, &options);
    while (byte_stream_read(&fixture.body.stream, buffer, 50, NULL, &got, &err) == 0)
        total += got;
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_in_range(total, 512, 576);
    for (int i = 0; i < 3; i++)
        assert_fails(ERROR_UNAVAILABLE,
                     byte_stream_read(&fixture.body.stream, buffer, 1024, NULL, &got, &err));
    packet_fixture_stop(&fixture);
}

/* From where a header inside the body ends, as the layers above do it. */
static void notes_where_each_byte_lies(void **state)
{
    const size_t behind = 6;
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(2, BODY_BYTES);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(framings); i++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        struct packet_index index = {.runs = NULL};
        struct packet_fixture fixture;
        struct error err = ERROR_INIT;

        build_packet(&packet, 11, framings[i], content, BODY_BYTES);
        packet_fixture_start(&fixture, &packet, NULL);
        assert_succeeds(packet_body_skip_exact(&fixture.body, behind, NULL, &err));
        packet_body_note(&fixture.body, &index);
        assert_succeeds(packet_body_skip_rest(&fixture.body, NULL, &err));
        assert_false(index.is_lost);
        assert_int_equal(index.body_size, framings[i] == FRAMING_INDETERMINATE
                                              ? UINT64_MAX
                                              : (uint64_t)BODY_BYTES - behind);
        for (size_t offset = 0; offset < BODY_BYTES - behind; offset++)
            assert_int_equal(packet.data[packet_index_position(&index, offset)],
                             content[behind + offset]);
        packet_index_clear(&index);
        packet_fixture_stop(&fixture);
    }
}

static void tells_what_a_definite_length_promises(void **state)
{
    static const uint8_t content[BODY_BYTES] = {7};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(framings); i++) {
        const bool is_definite =
            framings[i] != FRAMING_INDETERMINATE && framings[i] != FRAMING_PARTIAL_512;
        CLEANUP(octets_clear) struct octets packet = {0};
        struct packet_fixture fixture;
        struct error err = ERROR_INIT;

        build_packet(&packet, 11, framings[i], content, BODY_BYTES);
        packet_fixture_start(&fixture, &packet, NULL);
        assert_succeeds(packet_body_skip_exact(&fixture.body, 100, NULL, &err));
        assert_int_equal(packet_body_remaining(&fixture.body),
                         is_definite ? BODY_BYTES - 100 : BYTE_SOURCE_SIZE_UNKNOWN);
        packet_fixture_stop(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(reads_the_whole_body_in_every_framing_and_step),
        bed_test(leaves_the_next_packet_alone),
        bed_test(a_body_that_is_cut_off_is_damage),
        bed_test(partial_chunks_without_a_last_one_are_damage),
        bed_test(an_empty_body_ends_at_once),
        bed_test(peeking_shows_all_of_it_piece_by_piece),
        bed_test(steps_over_an_exact_number_of_bytes),
        bed_test(a_failure_comes_after_the_bytes_before_it_and_is_repeated),
        bed_test(notes_where_each_byte_lies),
        bed_test(tells_what_a_definite_length_promises),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
