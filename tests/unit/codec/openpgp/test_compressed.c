/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/compressed.h"

#include "glancefs/limits.h"
#include "packet_fixture.h"

#include <stdlib.h>

/* A count of bytes that no test output is too large for. */
static const uint64_t plenty = UINT64_MAX / 2;

/* Decompresses a compressed data packet, in steps, and checks that it was all of its body. */
static int decompress(const struct octets *packet, const uint64_t *base_bytes, size_t step,
                      struct octets *ret, struct error *err)
{
    CLEANUP(compressed_free) struct compressed *compressed = NULL;
    struct packet_fixture fixture;
    int result;

    packet_fixture_start(&fixture, packet, NULL);
    result = compressed_new(&fixture.body, bed_arena(), base_bytes, NULL, &compressed, err);
    if (result == 0)
        result = read_to_end(compressed_stream(compressed), step, ret, err);
    if (result == 0)
        result = packet_body_finish(&fixture.body, NULL, err);
    packet_fixture_stop(&fixture);
    return result;
}

static void decompresses_every_algorithm_framing_and_step(void **state)
{
    static const enum framing framings[] = {FRAMING_SHORTEST, FRAMING_PARTIAL_512,
                                            FRAMING_INDETERMINATE};
    static const size_t steps[] = {1, 13, 64, 1000, 65536};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(8, 3000);

    (void)state;
    /* The second half repeats the first: something to compress. */
    memcpy(content + 1500, content, 1500);
    for (size_t i = 0; i < 4 * ELEMENTS_OF(framings) * ELEMENTS_OF(steps); i++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        struct error err = ERROR_INIT;

        build_compressed(&packet, framings[i / 4 % ELEMENTS_OF(framings)], (unsigned)(i % 4),
                         content, 3000);
        assert_succeeds(
            decompress(&packet, &plenty, steps[i / 4 / ELEMENTS_OF(framings)], &got, &err));
        assert_int_equal(got.size, 3000);
        assert_memory_equal(got.data, content, 3000);
    }
}

static void nothing_compressed_is_nothing(void **state)
{
    (void)state;
    for (unsigned algorithm = 0; algorithm < 4; algorithm++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        struct error err = ERROR_INIT;

        build_compressed(&packet, FRAMING_SHORTEST, algorithm, NULL, 0);
        assert_succeeds(decompress(&packet, &plenty, 100, &got, &err));
        assert_int_equal(got.size, 0);
    }
}

static void a_stream_cut_anywhere_is_damage(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(9, 200);

    (void)state;
    for (unsigned algorithm = 1; algorithm < 4; algorithm++) {
        CLEANUP(octets_clear) struct octets deflated = {0};

        octets_add_u8(&deflated, algorithm);
        if (algorithm == 3)
            build_bzip2(&deflated, content, 200);
        else
            build_deflate(&deflated, algorithm == 2, content, 200);
        for (size_t size = 1; size < deflated.size; size++) {
            CLEANUP(octets_clear) struct octets packet = {0};
            CLEANUP(octets_clear) struct octets got = {0};
            struct error err = ERROR_INIT;

            build_packet(&packet, 8, FRAMING_SHORTEST, deflated.data, size);
            assert_fails(ERROR_CORRUPT, decompress(&packet, &plenty, 64, &got, &err));
            assert_string_equal(err.message, DAMAGED_MESSAGE);
        }
    }
}

static void a_packet_without_an_algorithm_is_damage(void **state)
{
    CLEANUP(octets_clear) struct octets packet = {0};
    CLEANUP(octets_clear) struct octets got = {0};
    struct error err = ERROR_INIT;

    (void)state;
    build_packet(&packet, 8, FRAMING_SHORTEST, NULL, 0);
    assert_fails(ERROR_CORRUPT, decompress(&packet, &plenty, 64, &got, &err));
}

/* A body of `algorithm` whose stream and algorithm octet together have 113 bytes: stored blocks of
 * the highest compression of random bytes are of a known size. */
static void build_padded(struct octets *out, unsigned algorithm, size_t padding)
{
    CLEANUP(octets_clear) struct octets body = {0};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(11, 113);
    const size_t overhead = algorithm == 2 ? 1 + 5 + 6 : 1 + 5;

    octets_add_u8(&body, algorithm);
    build_deflate(&body, algorithm == 2, content, 113 - overhead);
    assert_int_equal(body.size, 113);
    octets_add_run(&body, 0x99, padding);
    build_packet(out, 8, FRAMING_SHORTEST, body.data, body.size);
}

/* sq 0.27 pads 113 bytes to 120. */
static void raw_deflate_may_be_padded_to_a_padme_length(void **state)
{
    (void)state;
    for (size_t padding = 0; padding < 40; padding++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        struct error err = ERROR_INIT;

        build_padded(&packet, 1, padding);
        if (padding == 0 || padding == 7) {
            assert_succeeds(decompress(&packet, &plenty, 64, &got, &err));
            continue;
        }
        assert_fails(ERROR_CORRUPT, decompress(&packet, &plenty, 64, &got, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void nothing_may_follow_a_zlib_stream(void **state)
{
    (void)state;
    for (size_t padding = 1; padding < 40; padding++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        struct error err = ERROR_INIT;

        build_padded(&packet, 2, padding);
        assert_fails(ERROR_CORRUPT, decompress(&packet, &plenty, 64, &got, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void nothing_may_follow_a_bzip2_stream(void **state)
{
    (void)state;
    for (size_t padding = 0; padding < 40; padding++) {
        CLEANUP(octets_clear) struct octets body = {0};
        CLEANUP(octets_clear) struct octets packet = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        struct error err = ERROR_INIT;

        octets_add_u8(&body, 3);
        build_bzip2(&body, "content", 7);
        octets_add_run(&body, 0x99, padding);
        build_packet(&packet, 8, FRAMING_SHORTEST, body.data, body.size);
        if (padding == 0)
            assert_succeeds(decompress(&packet, &plenty, 64, &got, &err));
        else
            assert_fails(ERROR_CORRUPT, decompress(&packet, &plenty, 64, &got, &err));
    }
}

/* Every flipped bit changes the CRC of a block, or what the decoder thinks of the stream. */
static void no_flipped_bit_of_a_bzip2_stream_goes_unseen(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(14, 60);
    CLEANUP(octets_clear) struct octets body = {0};
    unsigned seen = 0;

    (void)state;
    octets_add_u8(&body, 3);
    build_bzip2(&body, content, 60);
    for (size_t bit = 8; bit < 8 * body.size; bit++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        struct error err = ERROR_INIT;

        body.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        build_packet(&packet, 8, FRAMING_SHORTEST, body.data, body.size);
        if (decompress(&packet, &plenty, 64, &got, &err) < 0) {
            assert_int_equal(err.kind, ERROR_CORRUPT);
            seen++;
        } else {
            /* Bits without a meaning: the block size, table entries that no symbol uses. */
            assert_int_equal(got.size, 60);
            assert_memory_equal(got.data, content, 60);
        }
        body.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_in_range(seen, 6 * body.size, 8 * body.size);
}

/* Blocks of the largest size: their state is made when the stream says so, and may not fit then. */
static void bzip2_says_so_when_locked_memory_is_used_up(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(15, 3000000);
    CLEANUP(octets_clear) struct octets packet = {0};
    CLEANUP(octets_clear) struct octets all = {0};
    struct error err = ERROR_INIT;
    struct bed_hoard hoard;

    (void)state;
    build_compressed(&packet, FRAMING_PARTIAL_512, 3, content, 3000000);
    for (size_t left = 0; left < 3 * MIB; left += MIB) {
        CLEANUP(octets_clear) struct octets got = {0};
        int result;

        bed_hoard_memory(&hoard, left);
        result = decompress(&packet, &plenty, 4096, &got, &err);
        bed_give_back(&hoard);
        assert_int_equal(result, -1);
        assert_int_equal(err.kind, ERROR_EXHAUSTED);
    }
    assert_succeeds(decompress(&packet, &plenty, 100000, &all, &err));
    assert_int_equal(all.size, 3000000);
    assert_memory_equal(all.data, content, 3000000);
}

static void bzip2_expands_as_far_as_the_ratio_allows(void **state)
{
    CLEANUP(memory_free) uint8_t *zeros = calloc(1, 4 * MIB);
    CLEANUP(octets_clear) struct octets packet = {0};
    CLEANUP(octets_clear) struct octets got = {0};
    const uint64_t too_few = 4 * MIB / LIMIT_EXPANSION_RATIO / 2;
    struct error err = ERROR_INIT;

    (void)state;
    assert_non_null(zeros);
    build_compressed(&packet, FRAMING_SHORTEST, 3, zeros, 4 * MIB);
    assert_fails(ERROR_TOO_LARGE, decompress(&packet, &too_few, 65536, &got, &err));
}

static void a_stream_that_is_none_is_damage(void **state)
{
    static const struct {
        const char *body;
        size_t size;
    } bodies[] = {
        {"\x02\x78\x9d\x00", 4},                     /* the header's check is wrong */
        {"\x01\x07\x00\x00", 4},                     /* block type 3 */
        {"\x02\x78\xbb\x00\x00\x00\x01\x00", 8},     /* wants a preset dictionary */
        {"\x02\x78\x9c\x03\x00\x00\x00\x00\x02", 9}, /* the Adler-32 is wrong */
        {"\x03ZZh9", 5},                             /* not BZip2's magic */
        {"\x03"
         "BZh0",
         5}, /* blocks of no size */
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(bodies); i++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        struct error err = ERROR_INIT;

        build_packet(&packet, 8, FRAMING_SHORTEST, bodies[i].body, bodies[i].size);
        assert_fails(ERROR_CORRUPT, decompress(&packet, &plenty, 64, &got, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void names_algorithms_it_does_not_support(void **state)
{
    static const struct {
        unsigned algorithm;
        const char *text;
    } algorithms[] = {{4, "algorithm 4"}, {110, "algorithm 110"}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(algorithms); i++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        struct error err = ERROR_INIT;

        build_compressed(&packet, FRAMING_SHORTEST, algorithms[i].algorithm, "x", 1);
        assert_fails(ERROR_UNSUPPORTED, decompress(&packet, &plenty, 64, &got, &err));
        assert_message_has(algorithms[i].text);
    }
}

static void expands_as_far_as_the_ratio_allows(void **state)
{
    CLEANUP(memory_free) uint8_t *zeros = calloc(1, 4 * MIB);
    CLEANUP(octets_clear) struct octets packet = {0};
    const uint64_t enough = 4 * MIB / LIMIT_EXPANSION_RATIO;
    const uint64_t too_few = enough / 2;
    struct error err = ERROR_INIT;

    (void)state;
    assert_non_null(zeros);
    build_compressed(&packet, FRAMING_SHORTEST, 2, zeros, 4 * MIB);
    for (size_t step = 1000; step < 200000; step *= 10) {
        CLEANUP(octets_clear) struct octets got = {0};
        CLEANUP(octets_clear) struct octets refused = {0};

        assert_succeeds(decompress(&packet, &enough, step, &got, &err));
        assert_int_equal(got.size, 4 * MIB);
        assert_fails(ERROR_TOO_LARGE, decompress(&packet, &too_few, step, &refused, &err));
        assert_in_range(refused.size, LIMIT_EXPANSION_FREE_BYTES, 2 * MIB + step);
    }
}

static void small_output_is_not_judged(void **state)
{
    CLEANUP(memory_free) uint8_t *zeros = calloc(1, MIB);
    CLEANUP(octets_clear) struct octets packet = {0};
    CLEANUP(octets_clear) struct octets got = {0};
    const uint64_t none = 0;
    struct error err = ERROR_INIT;

    (void)state;
    assert_non_null(zeros);
    build_compressed(&packet, FRAMING_SHORTEST, 1, zeros, MIB);
    assert_succeeds(decompress(&packet, &none, 65536, &got, &err));
    assert_int_equal(got.size, MIB);
}

static void says_so_when_locked_memory_is_used_up(void **state)
{
    CLEANUP(octets_clear) struct octets packet = {0};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(10, 100000);
    struct error err = ERROR_INIT;
    struct bed_hoard hoard;

    (void)state;
    build_compressed(&packet, FRAMING_SHORTEST, 2, content, 100000);
    for (size_t left = 0; left <= 32768; left += 16384) {
        CLEANUP(octets_clear) struct octets got = {0};
        int result;

        bed_hoard_memory(&hoard, left);
        result = decompress(&packet, &plenty, 4096, &got, &err);
        bed_give_back(&hoard);
        assert_int_equal(result, -1);
        assert_int_equal(err.kind, ERROR_EXHAUSTED);
    }
}

static void tells_its_algorithm(void **state)
{
    (void)state;
    for (unsigned algorithm = 0; algorithm < 4; algorithm++) {
        CLEANUP(compressed_free) struct compressed *compressed = NULL;
        CLEANUP(octets_clear) struct octets packet = {0};
        struct packet_fixture fixture;
        struct error err = ERROR_INIT;

        build_compressed(&packet, FRAMING_SHORTEST, algorithm, "x", 1);
        packet_fixture_start(&fixture, &packet, NULL);
        assert_succeeds(
            compressed_new(&fixture.body, bed_arena(), &plenty, NULL, &compressed, &err));
        assert_int_equal(compressed_algorithm(compressed), algorithm);
        packet_fixture_stop(&fixture);
    }
    compressed_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(decompresses_every_algorithm_framing_and_step),
        bed_test(nothing_compressed_is_nothing),
        bed_test(a_stream_cut_anywhere_is_damage),
        bed_test(a_packet_without_an_algorithm_is_damage),
        bed_test(raw_deflate_may_be_padded_to_a_padme_length),
        bed_test(nothing_may_follow_a_zlib_stream),
        bed_test(nothing_may_follow_a_bzip2_stream),
        bed_test(no_flipped_bit_of_a_bzip2_stream_goes_unseen),
        bed_test(bzip2_says_so_when_locked_memory_is_used_up),
        bed_test(bzip2_expands_as_far_as_the_ratio_allows),
        bed_test(a_stream_that_is_none_is_damage),
        bed_test(names_algorithms_it_does_not_support),
        bed_test(expands_as_far_as_the_ratio_allows),
        bed_test(small_output_is_not_judged),
        bed_test(says_so_when_locked_memory_is_used_up),
        bed_test(tells_its_algorithm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
