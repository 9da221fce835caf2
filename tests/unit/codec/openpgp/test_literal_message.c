/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar inside the encryption, on packets that are not encrypted. */
#include "codec/openpgp/literal_message.h"

#include "codec/openpgp/ciphertext_stream.h"
#include "codec/openpgp/packet_type.h"
#include "codec_bed.h"
#include "glancefs/limits.h"

#include <stdlib.h>

static const uint64_t plenty = UINT64_MAX / 2;

/* Reads the content of `packets` to its end. */
static int read_message(const struct octets *packets, struct octets *ret, bool *ret_compressed,
                        struct error *err)
{
    CLEANUP(byte_source_free)
    struct byte_source *source = memory_source_new(packets->data, packets->size, NULL);
    CLEANUP(literal_message_free) struct literal_message *message = NULL;
    struct ciphertext_stream below;
    uint8_t buffer[1000];
    size_t got;

    ciphertext_stream_init(&below, source, 0);
    if (literal_message_new(&below.stream, &plenty, bed_arena(), NULL, &message, err) < 0)
        return -1;
    do {
        if (byte_stream_read(literal_message_content(message), buffer, sizeof buffer, NULL, &got,
                             err) < 0)
            return -1;
        octets_add(ret, buffer, got);
    } while (got > 0);
    *ret_compressed = literal_message_is_compressed(message);
    return literal_message_finish(message, NULL, err);
}

static void assert_content(const struct octets *packets, const char *content, bool is_compressed)
{
    CLEANUP(octets_clear) struct octets got = {0};
    struct error err = ERROR_INIT;
    bool compressed = !is_compressed;

    assert_succeeds(read_message(packets, &got, &compressed, &err));
    assert_int_equal(got.size, strlen(content));
    if (got.size > 0)
        assert_memory_equal(got.data, content, got.size);
    assert_int_equal(compressed, is_compressed);
}

static void assert_message_fails(const struct octets *packets, enum error_kind kind,
                                 const char *text)
{
    CLEANUP(octets_clear) struct octets got = {0};
    struct error err = ERROR_INIT;
    bool compressed;

    assert_int_equal(read_message(packets, &got, &compressed, &err), -1);
    if (err.kind != kind || strstr(err.message, text) == NULL)
        fail_msg("failed as %s (\"%s\"), not as %s (\"%s\")", error_kind_name(err.kind),
                 err.message, error_kind_name(kind), text);
}

static const enum framing framings[] = {FRAMING_SHORTEST, FRAMING_FIVE_OCTETS, FRAMING_LEGACY,
                                        FRAMING_INDETERMINATE};

static void takes_one_literal_in_every_framing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(framings); i++) {
        CLEANUP(octets_clear) struct octets packets = {0};

        build_literal(&packets, framings[i], "content", 7);
        assert_content(&packets, "content", false);
    }
}

static void takes_an_empty_literal(void **state)
{
    CLEANUP(octets_clear) struct octets packets = {0};

    (void)state;
    build_literal(&packets, FRAMING_SHORTEST, NULL, 0);
    assert_content(&packets, "", false);
}

static void takes_a_literal_in_a_compressed_packet_of_every_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3 * ELEMENTS_OF(framings) * ELEMENTS_OF(framings); i++) {
        CLEANUP(octets_clear) struct octets literal = {0};
        CLEANUP(octets_clear) struct octets packets = {0};

        build_literal(&literal, framings[i / 3 % ELEMENTS_OF(framings)], "content", 7);
        build_compressed(&packets, framings[i / 3 / ELEMENTS_OF(framings)], (unsigned)(i % 3),
                         literal.data, literal.size);
        assert_content(&packets, "content", i % 3 != 0);
    }
}

static void steps_over_packets_that_readers_ignore(void **state)
{
    CLEANUP(octets_clear) struct octets inner = {0};
    CLEANUP(octets_clear) struct octets packets = {0};

    (void)state;
    build_packet(&inner, PACKET_PADDING, FRAMING_SHORTEST, "padding", 7);
    build_literal(&inner, FRAMING_SHORTEST, "content", 7);
    build_packet(&packets, PACKET_MARKER, FRAMING_SHORTEST, "PGP", 3);
    build_packet(&packets, 60, FRAMING_SHORTEST, "unknown", 7);
    build_compressed(&packets, FRAMING_SHORTEST, 1, inner.data, inner.size);
    assert_content(&packets, "content", true);
}

static void steps_over_ignorable_packets_after_the_literal(void **state)
{
    CLEANUP(octets_clear) struct octets inner = {0};
    CLEANUP(octets_clear) struct octets packets = {0};
    static const uint8_t padding[5000] = {7};

    (void)state;
    build_literal(&inner, FRAMING_SHORTEST, "content", 7);
    build_packet(&inner, PACKET_PADDING, FRAMING_SHORTEST, padding, sizeof padding);
    build_packet(&inner, PACKET_PADDING, FRAMING_SHORTEST, NULL, 0);
    build_packet(&inner, PACKET_MARKER, FRAMING_SHORTEST, "PGP", 3);
    assert_content(&inner, "content", false);
    for (unsigned algorithm = 0; algorithm < 3; algorithm++) {
        octets_clear(&packets);
        build_compressed(&packets, FRAMING_SHORTEST, algorithm, inner.data, inner.size);
        assert_content(&packets, "content", algorithm != 0);
        build_packet(&packets, PACKET_PADDING, FRAMING_SHORTEST, padding, sizeof padding);
        build_packet(&packets, 60, FRAMING_SHORTEST, "unknown", 7);
        assert_content(&packets, "content", algorithm != 0);
    }
}

/* Compressed `levels` times around a literal. */
static void build_nested(struct octets *out, int levels, unsigned algorithm)
{
    build_literal(out, FRAMING_SHORTEST, "content", 7);
    for (int i = 0; i < levels; i++) {
        struct octets wrapped = {0};

        build_compressed(&wrapped, FRAMING_SHORTEST, algorithm, out->data, out->size);
        octets_clear(out);
        *out = wrapped;
    }
}

static void nests_as_deep_as_the_limit_and_no_deeper(void **state)
{
    (void)state;
    for (unsigned algorithm = 0; algorithm < 3; algorithm++) {
        CLEANUP(octets_clear) struct octets deep = {0};
        CLEANUP(octets_clear) struct octets too_deep = {0};

        build_nested(&deep, LIMIT_PACKET_NESTING - 1, algorithm);
        assert_content(&deep, "content", algorithm != 0);
        build_nested(&too_deep, LIMIT_PACKET_NESTING, algorithm);
        assert_message_fails(&too_deep, ERROR_TOO_LARGE, "nested");
    }
}

/* Each level would take 3.6 MiB of locked memory. */
static void bzip2_data_in_bzip2_data_is_too_large(void **state)
{
    CLEANUP(octets_clear) struct octets once = {0};
    CLEANUP(octets_clear) struct octets zipped = {0};
    CLEANUP(octets_clear) struct octets twice = {0};

    (void)state;
    build_nested(&once, 1, 3);
    build_compressed(&zipped, FRAMING_SHORTEST, 1, once.data, once.size);
    assert_content(&zipped, "content", true);
    build_compressed(&twice, FRAMING_SHORTEST, 3, zipped.data, zipped.size);
    assert_message_fails(&twice, ERROR_TOO_LARGE, "BZip2");
}

static void any_packet_after_the_literal_but_ignorable_ones_is_damage(void **state)
{
    static const struct {
        const char *octets;
        size_t size;
    } trailers[] = {
        {"\xcb\x06"
         "b\0\0\0\0\0",
         8},                /* a second literal */
        {"\xca\x03PGX", 5}, /* a marker that is none */
        {"\xd5\x02p", 3},   /* padding that is cut off */
        {"\xd5", 1},        /* and without a length */
        {"\xe7\x00", 2},    /* unknown and critical */
        {"\xd3\x14", 2},    /* an MDC */
        {"\0", 1},          /* junk */
        {"\xd5\x01p"
         "\xcb\x06"
         "b\0\0\0\0\0",
         11}, /* padding, then a second literal */
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(trailers); i++) {
        CLEANUP(octets_clear) struct octets packets = {0};
        CLEANUP(octets_clear) struct octets compressed = {0};

        build_literal(&packets, FRAMING_SHORTEST, "content", 7);
        octets_add(&packets, trailers[i].octets, trailers[i].size);
        assert_message_fails(&packets, ERROR_CORRUPT, DAMAGED_MESSAGE);
        build_compressed(&compressed, FRAMING_SHORTEST, 2, packets.data, packets.size);
        assert_message_fails(&compressed, ERROR_CORRUPT, DAMAGED_MESSAGE);
        octets_clear(&packets);
        octets_clear(&compressed);
        build_literal(&packets, FRAMING_SHORTEST, "content", 7);
        build_compressed(&compressed, FRAMING_SHORTEST, 1, packets.data, packets.size);
        octets_add(&compressed, trailers[i].octets, trailers[i].size);
        assert_message_fails(&compressed, ERROR_CORRUPT, DAMAGED_MESSAGE);
    }
}

static void no_literal_is_damage(void **state)
{
    CLEANUP(octets_clear) struct octets packets = {0};
    CLEANUP(octets_clear) struct octets compressed = {0};

    (void)state;
    assert_message_fails(&packets, ERROR_CORRUPT, DAMAGED_MESSAGE);
    build_packet(&packets, PACKET_MARKER, FRAMING_SHORTEST, "PGP", 3);
    assert_message_fails(&packets, ERROR_CORRUPT, DAMAGED_MESSAGE);
    build_compressed(&compressed, FRAMING_SHORTEST, 1, packets.data, packets.size);
    assert_message_fails(&compressed, ERROR_CORRUPT, DAMAGED_MESSAGE);
}

static void a_literal_longer_or_shorter_than_its_container_is_damage(void **state)
{
    CLEANUP(octets_clear) struct octets packets = {0};

    (void)state;
    build_literal(&packets, FRAMING_SHORTEST, "content", 7);
    for (unsigned length = 0; length < 30; length++) {
        CLEANUP(octets_clear) struct octets compressed = {0};

        if (length == packets.size - 2)
            continue;
        packets.data[1] = (uint8_t)length;
        assert_message_fails(&packets, ERROR_CORRUPT, DAMAGED_MESSAGE);
        build_compressed(&compressed, FRAMING_SHORTEST, 2, packets.data, packets.size);
        assert_message_fails(&compressed, ERROR_CORRUPT, DAMAGED_MESSAGE);
    }
}

static void names_the_messages_it_does_not_support(void **state)
{
    static const struct {
        unsigned type;
        const char *text;
    } packets[] = {
        {PACKET_SIGNATURE, "signed"},
        {PACKET_ONE_PASS_SIGNATURE, "signed"},
        {PACKET_PKESK, "inside"},
        {PACKET_SKESK, "inside"},
        {PACKET_SEIPD, "inside"},
        {PACKET_SED, "inside"},
        {PACKET_AEAD_ENCRYPTED_DATA, "inside"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(packets); i++) {
        CLEANUP(octets_clear) struct octets octets = {0};

        build_packet(&octets, packets[i].type, FRAMING_SHORTEST, "body", 4);
        assert_message_fails(&octets, ERROR_UNSUPPORTED, packets[i].text);
    }
}

static void any_other_packet_is_damage(void **state)
{
    static const unsigned types[] = {5, 6, 7, 12, 13, 14, 15, 16, 17, 19, 22, 39};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(types); i++) {
        CLEANUP(octets_clear) struct octets octets = {0};

        build_packet(&octets, types[i], FRAMING_SHORTEST, "body", 4);
        build_literal(&octets, FRAMING_SHORTEST, "content", 7);
        assert_message_fails(&octets, ERROR_CORRUPT, DAMAGED_MESSAGE);
    }
}

static void first_chunks_under_512_bytes_are_damage(void **state)
{
    CLEANUP(octets_clear) struct octets packets = {0};
    static const uint8_t content[600] = {1};

    (void)state;
    build_literal(&packets, FRAMING_PARTIAL_256, content, sizeof content);
    assert_message_fails(&packets, ERROR_CORRUPT, DAMAGED_MESSAGE);
}

/* From no locked memory up to enough. */
static void every_shortage_of_locked_memory_is_told(void **state)
{
    CLEANUP(octets_clear) struct octets packets = {0};
    int shortages = 0, result = -1;

    (void)state;
    build_nested(&packets, 3, 2);
    for (size_t left = 0; result < 0; left += 28 * KIB) {
        CLEANUP(octets_clear) struct octets got = {0};
        struct error err = ERROR_INIT;
        struct bed_hoard hoard;
        bool compressed;

        bed_hoard_memory(&hoard, left);
        result = read_message(&packets, &got, &compressed, &err);
        bed_give_back(&hoard);
        if (result < 0)
            assert_int_equal(err.kind, ERROR_EXHAUSTED);
        assert_in_range(++shortages, 1, 40);
    }
    assert_in_range(shortages, 10, 40);
}

/* Only of a literal that stands right in the encryption: inside of a container it lies nowhere. */
static void notes_where_a_literal_lies_that_is_in_no_container(void **state)
{
    CLEANUP(octets_clear) struct octets literal = {0};
    CLEANUP(octets_clear) struct octets stored = {0};

    (void)state;
    build_literal(&literal, FRAMING_SHORTEST, "content", 7);
    build_compressed(&stored, FRAMING_SHORTEST, 0, literal.data, literal.size);
    for (int is_stored = 0; is_stored < 2; is_stored++) {
        const struct octets *packets = is_stored ? &stored : &literal;
        CLEANUP(byte_source_free)
        struct byte_source *source = memory_source_new(packets->data, packets->size, NULL);
        CLEANUP(literal_message_free) struct literal_message *message = NULL;
        struct packet_index index = {.runs = NULL};
        struct ciphertext_stream below;
        struct error err = ERROR_INIT;

        ciphertext_stream_init(&below, source, 0);
        assert_succeeds(
            literal_message_new(&below.stream, &plenty, bed_arena(), NULL, &message, &err));
        literal_message_note(message, &index);
        assert_int_equal(literal_message_remaining(message), 7);
        assert_int_equal(index.body_size, is_stored ? 0 : 7);
        if (!is_stored)
            assert_int_equal(packet_index_position(&index, 0), literal.size - 7);
        packet_index_clear(&index);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(takes_one_literal_in_every_framing),
        bed_test(takes_an_empty_literal),
        bed_test(takes_a_literal_in_a_compressed_packet_of_every_kind),
        bed_test(steps_over_packets_that_readers_ignore),
        bed_test(steps_over_ignorable_packets_after_the_literal),
        bed_test(nests_as_deep_as_the_limit_and_no_deeper),
        bed_test(bzip2_data_in_bzip2_data_is_too_large),
        bed_test(any_packet_after_the_literal_but_ignorable_ones_is_damage),
        bed_test(no_literal_is_damage),
        bed_test(a_literal_longer_or_shorter_than_its_container_is_damage),
        bed_test(names_the_messages_it_does_not_support),
        bed_test(any_other_packet_is_damage),
        bed_test(first_chunks_under_512_bytes_are_damage),
        bed_test(notes_where_a_literal_lies_that_is_in_no_container),
        bed_test(every_shortage_of_locked_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
