/* SPDX-License-Identifier: Apache-2.0 */
/* What of a message gpg gets to see. */
#include "codec/gpgme/outer_message.h"

#include "codec_bed.h"
#include "glancefs/limits.h"

#include <stdlib.h>

#define PASSPHRASE "correct horse"
#define CHUNK 65536

enum packet { PKESK = 1, SIGNATURE = 2, SKESK = 3, SED = 9, MARKER = 10, LITERAL = 11, SEIPD = 18 };

static struct byte_source *source_of(const struct octets *message)
{
    const struct memory_source_options forward = {.is_forward_only = true};

    return memory_source_new(message->data, message->size, &forward);
}

/* Reads all that gpg would see behind the packets of `index`. */
static int pass(const struct octets *message, size_t index, struct octets *seen, struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *source = source_of(message);
    CLEANUP(outer_message_free) struct outer_message *outer = NULL;
    const uint8_t *bytes;
    size_t size;

    if (outer_message_new(source, NULL, &outer, err) < 0 ||
        outer_message_begin(outer, index, err) < 0)
        return -1;
    do {
        if (outer_message_next(outer, NULL, &bytes, &size, err) < 0)
            return -1;
        /* In small steps, as a full pipe takes it. */
        size = size < 1000 ? size : 1000;
        octets_add(seen, bytes, size);
        outer_message_skip(outer, size);
    } while (size > 0);
    return 0;
}

/* An SEIPD packet with `size` octets of a body of version 1. */
static void add_seipd(struct octets *out, enum framing framing, size_t size)
{
    CLEANUP(memory_free) uint8_t *body = pseudo_random_bytes(7, size);

    body[0] = 1;
    build_packet(out, SEIPD, framing, body, size);
}

static void add_skesk(struct octets *out, const char *passphrase)
{
    const struct skesk_plan plan = usual_skesk(passphrase);
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;

    build_skesk(out, &plan, key, &cipher);
}

/* What add_seipd's packet looks like to gpg. */
static void add_chunks(struct octets *out, size_t size)
{
    CLEANUP(memory_free) uint8_t *body = pseudo_random_bytes(7, size);
    size_t done = 0;

    body[0] = 1;
    octets_add_u8(out, 0xc0 | SEIPD);
    for (; size - done >= CHUNK; done += CHUNK) {
        octets_add_u8(out, 0xf0);
        octets_add(out, body + done, CHUNK);
    }
    octets_add_u8(out, 0xff);
    for (unsigned shift = 32; shift > 0; shift -= 8)
        octets_add_u8(out, (size - done) >> (shift - 8) & 0xff);
    octets_add(out, body + done, size - done);
}

static void assert_seen(const struct octets *message, size_t index, const struct octets *expected)
{
    CLEANUP(octets_clear) struct octets seen = {0};
    struct error err = ERROR_INIT;

    assert_succeeds(pass(message, index, &seen, &err));
    assert_int_equal(seen.size, expected->size);
    assert_memory_equal(seen.data, expected->data, seen.size);
}

/* The usual SKESK as gpg sees it: with the header that packet_header_write makes. */
static void add_seen_skesk(struct octets *out, const char *passphrase)
{
    CLEANUP(octets_clear) struct octets packet = {0};

    add_skesk(&packet, passphrase);
    build_packet(out, SKESK, FRAMING_FIVE_OCTETS, packet.data + 2, packet.size - 2);
}

static void every_framing_becomes_chunks_of_ours(void **state)
{
    static const enum framing framings[] = {FRAMING_SHORTEST, FRAMING_FIVE_OCTETS,
                                            FRAMING_PARTIAL_512};
    static const size_t sizes[] = {41, 512, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 300001};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(framings) * ELEMENTS_OF(sizes); i++) {
        const enum framing framing = framings[i / ELEMENTS_OF(sizes)];
        const size_t size = sizes[i % ELEMENTS_OF(sizes)];
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(octets_clear) struct octets expected = {0};

        add_skesk(&message, PASSPHRASE);
        add_seipd(&message, framing, size);
        add_seen_skesk(&expected, PASSPHRASE);
        add_chunks(&expected, size);
        assert_seen(&message, 0, &expected);
    }
}

static void only_the_chosen_session_key_packet_is_seen(void **state)
{
    static const uint8_t pkesk[] = {3, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 8, 0xff};
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets second = {0};
    CLEANUP(octets_clear) struct octets public_keys = {0};

    (void)state;
    build_packet(&message, PKESK, FRAMING_SHORTEST, pkesk, sizeof pkesk);
    add_skesk(&message, "first");
    build_packet(&message, MARKER, FRAMING_SHORTEST, "PGP", 3);
    build_packet(&message, PKESK, FRAMING_LEGACY, pkesk, sizeof pkesk - 1);
    add_skesk(&message, "second");
    build_packet(&message, 60, FRAMING_SHORTEST, "what is this", 12);
    add_seipd(&message, FRAMING_SHORTEST, 100);

    add_seen_skesk(&second, "second");
    add_chunks(&second, 100);
    assert_seen(&message, 1, &second);
    build_packet(&public_keys, PKESK, FRAMING_FIVE_OCTETS, pkesk, sizeof pkesk);
    build_packet(&public_keys, PKESK, FRAMING_FIVE_OCTETS, pkesk, sizeof pkesk - 1);
    add_chunks(&public_keys, 100);
    assert_seen(&message, OUTER_MESSAGE_PUBLIC_KEYS, &public_keys);
}

static void packets_that_gpg_does_not_know_are_not_counted(void **state)
{
    static const uint8_t version_6[] = {6, 1, 2, 3};
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    CLEANUP(outer_message_free) struct outer_message *outer = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    build_packet(&message, PKESK, FRAMING_SHORTEST, version_6, sizeof version_6);
    add_skesk(&message, PASSPHRASE);
    add_seipd(&message, FRAMING_SHORTEST, 100);
    source = source_of(&message);
    assert_succeeds(outer_message_new(source, NULL, &outer, &err));
    assert_int_equal(outer_message_passphrase_packets(outer), 1);
    assert_false(outer_message_has_public_key_packets(outer));
}

static void an_excerpt_is_a_small_message(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets expected = {0};
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    CLEANUP(outer_message_free) struct outer_message *outer = NULL;
    CLEANUP(memory_free) uint8_t *body = pseudo_random_bytes(7, 300000);
    CLEANUP(memory_free) uint8_t *excerpt = NULL;
    struct error err = ERROR_INIT;
    size_t size;

    (void)state;
    body[0] = 1;
    add_skesk(&message, PASSPHRASE);
    add_seipd(&message, FRAMING_PARTIAL_512, 300000);
    add_seen_skesk(&expected, PASSPHRASE);
    build_packet(&expected, SEIPD, FRAMING_FIVE_OCTETS, body, OUTER_MESSAGE_SAMPLE_BYTES);
    source = source_of(&message);
    assert_succeeds(outer_message_new(source, NULL, &outer, &err));
    assert_succeeds(outer_message_excerpt(outer, 0, NULL, &excerpt, &size, &err));
    assert_int_equal(size, expected.size);
    assert_memory_equal(excerpt, expected.data, size);
}

static void nothing_may_follow(void **state)
{
    static const uint8_t junk[] = {0};
    struct error err = ERROR_INIT;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(octets_clear) struct octets seen = {0};

        add_skesk(&message, PASSPHRASE);
        add_seipd(&message, i == 0 ? FRAMING_PARTIAL_512 : FRAMING_SHORTEST, CHUNK);
        if (i < 2)
            octets_add(&message, junk, sizeof junk);
        else
            build_literal(&message, FRAMING_SHORTEST, "more", 4);
        assert_fails(ERROR_CORRUPT, pass(&message, 0, &seen, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
        /* gpg must not have seen an end that it could call a success. */
        assert_in_range(seen.size, 0, message.size - 1);
    }
}

static void an_early_end_is_never_passed_on(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};
    struct error err = ERROR_INIT;
    const size_t steps[] = {1, 4999};

    (void)state;
    add_skesk(&message, PASSPHRASE);
    add_seipd(&message, FRAMING_PARTIAL_512, 200000);
    for (size_t size = 1; size < message.size; size += steps[size < 100 ? 0 : 1]) {
        CLEANUP(octets_clear) struct octets seen = {0};
        const struct octets cut = {.data = message.data, .size = size};

        assert_fails(ERROR_CORRUPT, pass(&cut, 0, &seen, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

struct refusal {
    enum packet type;
    uint8_t first; /* octet of the body */
    enum error_kind kind;
    const char *text;
};

static void other_data_never_reach_gpg(void **state)
{
    static const struct refusal refusals[] = {
        {SED, 1, ERROR_CORRUPT, "integrity"},
        {20, 1, ERROR_UNSUPPORTED, "packet type 20"},
        {SEIPD, 2, ERROR_UNSUPPORTED, "version 2"},
        {LITERAL, 'b', ERROR_CORRUPT, "not encrypted"},
        {SIGNATURE, 4, ERROR_CORRUPT, "not encrypted"},
        {8, 1, ERROR_CORRUPT, "not encrypted"},
        {6, 4, ERROR_CORRUPT, "packet type 6"},
    };
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(refusals); i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(octets_clear) struct octets seen = {0};
        uint8_t body[100] = {refusals[i].first};

        add_skesk(&message, PASSPHRASE);
        build_packet(&message, refusals[i].type, FRAMING_SHORTEST, body, sizeof body);
        assert_fails(refusals[i].kind, pass(&message, 0, &seen, &err));
        assert_message_has(refusals[i].text);
        assert_int_equal(seen.size, 0);
    }
}

static void what_is_no_message_is_told(void **state)
{
    static const struct {
        const char *bytes;
        enum error_kind kind;
        const char *text;
    } starts[] = {{"", ERROR_CORRUPT, "empty"},
                  {"LUKS\xba\xbe", ERROR_CORRUPT, "not an OpenPGP message"}};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(starts); i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(octets_clear) struct octets seen = {0};

        octets_add(&message, starts[i].bytes, strlen(starts[i].bytes));
        assert_fails(starts[i].kind, pass(&message, 0, &seen, &err));
        assert_message_has(starts[i].text);
    }
}

static void too_many_session_key_packets_are_refused(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets seen = {0};
    struct error err = ERROR_INIT;

    (void)state;
    for (unsigned n = 0; n <= LIMIT_SKESK_PACKETS; n++)
        add_skesk(&message, PASSPHRASE);
    add_seipd(&message, FRAMING_SHORTEST, 100);
    assert_fails(ERROR_TOO_LARGE, pass(&message, 0, &seen, &err));
}

static void only_so_many_packets_to_public_keys_are_seen(void **state)
{
    static const uint8_t pkesk[] = {3, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0};
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets expected = {0};

    (void)state;
    for (unsigned n = 0; n <= LIMIT_PKESK_PACKETS; n++) {
        build_packet(&message, PKESK, FRAMING_SHORTEST, pkesk, sizeof pkesk);
        if (n < LIMIT_PKESK_PACKETS)
            build_packet(&expected, PKESK, FRAMING_FIVE_OCTETS, pkesk, sizeof pkesk);
    }
    add_seipd(&message, FRAMING_SHORTEST, 100);
    add_chunks(&expected, 100);
    assert_seen(&message, OUTER_MESSAGE_PUBLIC_KEYS, &expected);
}

/* As the native engine does: one for a passphrase may stand beside it. */
static void an_overlong_packet_to_a_public_key_is_stepped_over(void **state)
{
    CLEANUP(memory_free) uint8_t *body = pseudo_random_bytes(3, LIMIT_SMALL_PACKET_BYTES + 1);
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets alone = {0};
    CLEANUP(octets_clear) struct octets expected = {0};
    CLEANUP(octets_clear) struct octets seen = {0};
    struct error err = ERROR_INIT;

    (void)state;
    body[0] = 3;
    build_packet(&message, PKESK, FRAMING_SHORTEST, body, LIMIT_SMALL_PACKET_BYTES + 1);
    octets_add(&alone, message.data, message.size);
    add_skesk(&message, PASSPHRASE);
    add_seipd(&message, FRAMING_SHORTEST, 100);
    add_seen_skesk(&expected, PASSPHRASE);
    add_chunks(&expected, 100);
    assert_seen(&message, 0, &expected);
    add_seipd(&alone, FRAMING_SHORTEST, 100);
    assert_fails(ERROR_TOO_LARGE, pass(&alone, 0, &seen, &err));
}

static void hashes_that_gpg_does_not_know_are_not_counted(void **state)
{
    static const enum hash_algorithm unknown[] = {HASH_SHA3_256, HASH_SHA3_512};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(unknown); i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(octets_clear) struct octets seen = {0};
        struct skesk_plan plan = usual_skesk(PASSPHRASE);
        uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
        enum cipher_algorithm cipher;

        plan.hash = unknown[i];
        build_skesk(&message, &plan, key, &cipher);
        add_seipd(&message, FRAMING_SHORTEST, 100);
        assert_fails(ERROR_UNSUPPORTED, pass(&message, 0, &seen, &err));
        assert_message_has("SHA-3");
    }
}

static void a_session_key_packet_is_needed(void **state)
{
    static const uint8_t unknown[] = {9, 9, 9, 9, 9};
    struct error err = ERROR_INIT;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(octets_clear) struct octets seen = {0};

        if (i == 1)
            build_packet(&message, SKESK, FRAMING_SHORTEST, unknown, sizeof unknown);
        add_seipd(&message, FRAMING_SHORTEST, 100);
        assert_fails(i == 0 ? ERROR_CORRUPT : ERROR_UNSUPPORTED, pass(&message, 0, &seen, &err));
    }
}

static void a_failed_read_loses_nothing(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets expected = {0};
    CLEANUP(octets_clear) struct octets seen = {0};
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    CLEANUP(outer_message_free) struct outer_message *outer = NULL;
    struct error err = ERROR_INIT;
    const uint8_t *bytes;
    size_t size = 1;

    (void)state;
    add_skesk(&message, PASSPHRASE);
    add_seipd(&message, FRAMING_SHORTEST, 1000000);
    add_seen_skesk(&expected, PASSPHRASE);
    add_chunks(&expected, 1000000);
    source = source_of(&message);
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_succeeds(outer_message_new(source, NULL, &outer, &err));
    assert_succeeds(outer_message_begin(outer, 0, &err));
    while (size > 0) {
        if (outer_message_next(outer, cancel, &bytes, &size, &err) < 0)
            assert_succeeds(outer_message_next(outer, NULL, &bytes, &size, &err));
        octets_add(&seen, bytes, size);
        outer_message_skip(outer, size);
    }
    assert_int_equal(seen.size, expected.size);
    assert_memory_equal(seen.data, expected.data, seen.size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(every_framing_becomes_chunks_of_ours),
        bed_test(only_the_chosen_session_key_packet_is_seen),
        bed_test(packets_that_gpg_does_not_know_are_not_counted),
        bed_test(an_excerpt_is_a_small_message),
        bed_test(nothing_may_follow),
        bed_test(an_early_end_is_never_passed_on),
        bed_test(other_data_never_reach_gpg),
        bed_test(what_is_no_message_is_told),
        bed_test(too_many_session_key_packets_are_refused),
        bed_test(only_so_many_packets_to_public_keys_are_seen),
        bed_test(an_overlong_packet_to_a_public_key_is_stepped_over),
        bed_test(hashes_that_gpg_does_not_know_are_not_counted),
        bed_test(a_session_key_packet_is_needed),
        bed_test(a_failed_read_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
