/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that are broken somewhere: refused with the uniform error, in bounded time, and with no
 * process left. gpgme by itself takes several of them for sound. */
#include "gpgme_bed.h"

#include <stdlib.h>

#define PASSPHRASE "correct horse"

static int setup(void **state)
{
    static struct gpgme_bed bed;

    gpgme_bed_open(&bed);
    gpgme_bed_open_codec(&bed, CODEC_ENGINE_GPGME, NULL);
    *state = &bed;
    return 0;
}

static int teardown(void **state)
{
    gpgme_bed_close(*state);
    return secure_arena_used(bed_arena()) == 0 ? 0 : -1;
}

static void assert_uniform(const struct gpgme_bed *bed, const void *message, size_t size)
{
    const struct memory_source_options forward = {.is_forward_only = true};
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(byte_source_free)
    struct byte_source *source = memory_source_new(message, size, &forward);
    CLEANUP(secure_buffer_free) struct secure_buffer *secret = bed_passphrase(PASSPHRASE);
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&record, NULL);
    struct error err = ERROR_INIT;

    assert_fails(ERROR_CORRUPT,
                 codec_decrypt(bed->codec, bed_arena(), source, secret, sink, NULL, NULL, &err));
    assert_string_equal(err.message, DAMAGED_MESSAGE);
    assert_int_equal(record.commits, 0);
    assert_int_equal(record.aborts, 1);
}

/* A message around `packets` with a right MDC. */
static void assert_content_refused(const struct gpgme_bed *bed, const struct octets *packets)
{
    CLEANUP(octets_clear) struct octets message = {0};

    build_message_around(&message, PASSPHRASE, packets->data, packets->size);
    assert_uniform(bed, message.data, message.size);
}

static void a_flipped_bit_anywhere(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(1, 100000);

    build_message(&message, PASSPHRASE, content, 100000);
    /* Behind the parameters of the SKESK and the header, whose flips may be told by name. */
    for (size_t i = 24; i < message.size; i += i < 60 ? 5 : 20011) {
        message.data[i] ^= 0x10;
        assert_uniform(bed, message.data, message.size);
        message.data[i] ^= 0x10;
    }
    message.data[message.size - 1] ^= 1;
    assert_uniform(bed, message.data, message.size);
}

static void a_cut_anywhere(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(1, 300000);

    build_message(&message, PASSPHRASE, content, 300000);
    for (size_t cut = 1; cut < message.size - 40; cut += cut < 30 ? 7 : 67001)
        assert_uniform(bed, message.data, message.size - cut);
}

static void something_behind_it(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(octets_clear) struct octets message = {0};

    build_message(&message, PASSPHRASE, "content", 7);
    octets_add_run(&message, 0, 1);
    assert_uniform(bed, message.data, message.size);
    message.size--;
    build_literal(&message, FRAMING_SHORTEST, "more", 4);
    assert_uniform(bed, message.data, message.size);
}

static void a_wrong_mdc(void **state)
{
    static const enum mdc_plan plans[] = {MDC_MISSING,       MDC_WRONG_DIGEST,   MDC_WRONG_HEADER,
                                          MDC_LEGACY_HEADER, MDC_WITHOUT_PREFIX, MDC_FIRST};
    const struct gpgme_bed *bed = *state;
    CLEANUP(octets_clear) struct octets literal = {0};

    build_literal(&literal, FRAMING_SHORTEST, "content", 7);
    for (size_t i = 0; i < ELEMENTS_OF(plans); i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        const struct skesk_plan skesk = usual_skesk(PASSPHRASE);
        const struct seipd_plan seipd = {.mdc = plans[i]};
        uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
        enum cipher_algorithm cipher;

        build_skesk(&message, &skesk, key, &cipher);
        build_seipd(&message, &seipd, cipher, key, literal.data, literal.size);
        assert_uniform(bed, message.data, message.size);
    }
}

static void two_literals_and_none(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(octets_clear) struct octets packets = {0};

    assert_content_refused(bed, &packets);
    build_packet(&packets, 10, FRAMING_SHORTEST, "PGP", 3);
    assert_content_refused(bed, &packets);
    build_literal(&packets, FRAMING_SHORTEST, "one", 3);
    build_literal(&packets, FRAMING_SHORTEST, "two", 3);
    assert_content_refused(bed, &packets);
}

static void a_literal_that_ends_outside(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(octets_clear) struct octets packets = {0};

    build_literal(&packets, FRAMING_FIVE_OCTETS, "content", 7);
    packets.data[5]++;
    assert_content_refused(bed, &packets);
    packets.data[5] = 0xff;
    assert_content_refused(bed, &packets);
}

static void a_cut_compressed_packet(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(octets_clear) struct octets literal = {0};

    build_literal(&literal, FRAMING_SHORTEST, "content of some length", 22);
    /* gpg stops when the literal is complete: it does not miss a checksum behind it. */
    for (size_t cut = 7; cut < 20; cut += 6) {
        CLEANUP(octets_clear) struct octets deflated = {0};
        CLEANUP(octets_clear) struct octets packets = {0};

        build_deflate(&deflated, true, literal.data, literal.size);
        build_compressed(&packets, FRAMING_SHORTEST, 102, deflated.data, deflated.size - cut);
        packets.data[2] = 2;
        assert_content_refused(bed, &packets);
    }
}

/* gpg takes the end of cut data for the end of a literal that does not say how long it is. */
static void a_cut_compressed_literal_of_unknown_length(void **state)
{
    static const enum framing framings[] = {FRAMING_PARTIAL_512, FRAMING_INDETERMINATE};
    static const size_t cuts[] = {1, 3, 8, 700};
    const struct gpgme_bed *bed = *state;
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(3, 3000);

    for (size_t i = 0; i < ELEMENTS_OF(framings) * ELEMENTS_OF(cuts); i++) {
        CLEANUP(octets_clear) struct octets literal = {0};
        CLEANUP(octets_clear) struct octets deflated = {0};
        CLEANUP(octets_clear) struct octets body = {0};
        CLEANUP(octets_clear) struct octets packets = {0};

        build_literal(&literal, framings[i / ELEMENTS_OF(cuts)], content, 3000);
        build_deflate(&deflated, true, literal.data, literal.size);
        octets_add_u8(&body, 2);
        octets_add(&body, deflated.data, deflated.size - cuts[i % ELEMENTS_OF(cuts)]);
        build_packet(&packets, 8, FRAMING_SHORTEST, body.data, body.size);
        assert_content_refused(bed, &packets);
    }
}

#define damage_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        damage_test(a_flipped_bit_anywhere),
        damage_test(a_cut_anywhere),
        damage_test(something_behind_it),
        damage_test(a_wrong_mdc),
        damage_test(two_literals_and_none),
        damage_test(a_literal_that_ends_outside),
        damage_test(a_cut_compressed_packet),
        damage_test(a_cut_compressed_literal_of_unknown_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
