/* SPDX-License-Identifier: Apache-2.0 */
/* Whole messages, sound and hostile, through codec_decrypt and a second read. */
#include "codec/openpgp/openpgp_decrypt.h"

#include "codec/openpgp/literal_message.h"
#include "codec_bed.h"
#include "glancefs/limits.h"

#include <stdlib.h>

#define PASSPHRASE "correct horse"
#define TYPE_SEIPD 18

static void opens_messages_of_every_cipher_and_size(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 191, 192, 8383, 8384, 65536, 300000};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(20, 300000);

    (void)state;
    for (size_t i = 0; i < 10 * ELEMENTS_OF(sizes); i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(octets_clear) struct octets packets = {0};
        struct skesk_plan plan = usual_skesk(PASSPHRASE);
        uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
        enum cipher_algorithm cipher;

        plan.cipher = i % 10;
        build_skesk(&message, &plan, key, &cipher);
        build_literal(&packets, FRAMING_SHORTEST, content, sizes[i / 10]);
        build_seipd(&message, NULL, cipher, key, packets.data, packets.size);
        assert_opens(message.data, message.size, PASSPHRASE, content, sizes[i / 10]);
    }
}

static void opens_messages_in_every_framing_and_compression(void **state)
{
    static const enum framing inner[] = {FRAMING_SHORTEST, FRAMING_LEGACY, FRAMING_INDETERMINATE,
                                         FRAMING_PARTIAL_512};
    static const enum framing outer[] = {FRAMING_SHORTEST, FRAMING_FIVE_OCTETS,
                                         FRAMING_PARTIAL_512};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(21, 2000);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(inner) * ELEMENTS_OF(outer) * 4; i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(octets_clear) struct octets packets = {0};
        CLEANUP(octets_clear) struct octets compressed = {0};
        const struct seipd_plan seipd = {.framing = outer[i / 4 % ELEMENTS_OF(outer)]};
        const struct skesk_plan skesk = usual_skesk(PASSPHRASE);
        uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
        enum cipher_algorithm cipher;

        build_skesk(&message, &skesk, key, &cipher);
        build_literal(&packets, inner[i / 4 / ELEMENTS_OF(outer)], content, 2000);
        if (i % 4 == 3) /* not compressed at all */
            octets_add(&compressed, packets.data, packets.size);
        else
            build_compressed(&compressed, inner[i / 4 / ELEMENTS_OF(outer)], (unsigned)(i % 4),
                             packets.data, packets.size);
        build_seipd(&message, &seipd, cipher, key, compressed.data, compressed.size);
        assert_opens(message.data, message.size, PASSPHRASE, content, 2000);
    }
}

static void every_wrong_mdc_is_refused(void **state)
{
    static const enum mdc_plan plans[] = {MDC_MISSING,       MDC_WRONG_DIGEST,   MDC_WRONG_HEADER,
                                          MDC_LEGACY_HEADER, MDC_WITHOUT_PREFIX, MDC_FIRST};
    CLEANUP(octets_clear) struct octets packets = {0};

    (void)state;
    build_literal(&packets, FRAMING_SHORTEST, "content", 7);
    for (size_t i = 0; i < ELEMENTS_OF(plans); i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        const struct seipd_plan seipd = {.mdc = plans[i]};
        const struct skesk_plan skesk = usual_skesk(PASSPHRASE);
        uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
        enum cipher_algorithm cipher;

        build_skesk(&message, &skesk, key, &cipher);
        build_seipd(&message, &seipd, cipher, key, packets.data, packets.size);
        assert_damaged(message.data, message.size, PASSPHRASE);
    }
}

static void a_broken_quick_check_is_refused_like_a_wrong_passphrase(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets packets = {0};
    const struct seipd_plan seipd = {.breaks_quick_check = true};
    const struct skesk_plan skesk = usual_skesk(PASSPHRASE);
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;

    (void)state;
    build_literal(&packets, FRAMING_SHORTEST, "content", 7);
    build_skesk(&message, &skesk, key, &cipher);
    build_seipd(&message, &seipd, cipher, key, packets.data, packets.size);
    assert_damaged(message.data, message.size, PASSPHRASE);
    octets_clear(&message);
    build_message(&message, PASSPHRASE, "content", 7);
    assert_damaged(message.data, message.size, "another passphrase");
    assert_damaged(message.data, message.size, PASSPHRASE "\n");
}

static void anything_after_the_message_is_refused(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets literal = {0};
    size_t size;

    (void)state;
    build_message(&message, PASSPHRASE, "content", 7);
    build_literal(&literal, FRAMING_SHORTEST, "more", 4);
    size = message.size;
    octets_add_u8(&message, 0);
    assert_damaged(message.data, message.size, PASSPHRASE);
    message.size = size;
    octets_add(&message, literal.data, literal.size);
    assert_damaged(message.data, message.size, PASSPHRASE);
    message.size = size;
    build_packet(&message, 10, FRAMING_SHORTEST, "PGP", 3);
    assert_damaged(message.data, message.size, PASSPHRASE);
    message.size = size;
    build_message(&message, PASSPHRASE, "content", 7);
    assert_damaged(message.data, message.size, PASSPHRASE);
}

static void packet_tags_cannot_be_exchanged(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};
    const uint8_t seipd = 0xc0 | TYPE_SEIPD;
    uint8_t *tag;

    (void)state;
    build_message(&message, PASSPHRASE, "content", 7);
    tag = memchr(message.data, seipd, message.size);
    assert_non_null(tag);
    *tag = 0xc0 | 20;
    assert_refused(message.data, message.size, PASSPHRASE, ERROR_UNSUPPORTED, "AEAD");
    *tag = 0xc0 | 9;
    assert_refused(message.data, message.size, PASSPHRASE, ERROR_CORRUPT,
                   "no integrity protection");
    *tag = 0xc0 | 11;
    assert_refused(message.data, message.size, PASSPHRASE, ERROR_CORRUPT, "not encrypted");
}

static void other_versions_of_encrypted_data_are_unsupported(void **state)
{
    static const unsigned versions[] = {3, 255};
    CLEANUP(octets_clear) struct octets packets = {0};

    (void)state;
    build_literal(&packets, FRAMING_SHORTEST, "content", 7);
    for (size_t i = 0; i < ELEMENTS_OF(versions); i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        const struct seipd_plan seipd = {.version = versions[i]};
        const struct skesk_plan skesk = usual_skesk(PASSPHRASE);
        uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
        enum cipher_algorithm cipher;

        build_skesk(&message, &skesk, key, &cipher);
        build_seipd(&message, &seipd, cipher, key, packets.data, packets.size);
        assert_refused(message.data, message.size, PASSPHRASE, ERROR_UNSUPPORTED, "version");
    }
}

/* What cannot be served is named, but only once the MDC has proved that the owner wrote it. */
static void unsupported_content_is_named_only_in_authentic_messages(void **state)
{
    static const struct {
        unsigned type;
        const char *body;
        size_t size;
        const char *text;
    } contents[] = {
        {8, "\0\xc4\x0d\3\0\x08\x01........\1", 16, "signed"},
        {4, "\3\0\x08\x01........\1", 13, "signed"},
        {3, "\4\x09\0\x08", 4, "inside"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(contents); i++) {
        CLEANUP(octets_clear) struct octets packets = {0};
        CLEANUP(octets_clear) struct octets message = {0};

        build_packet(&packets, contents[i].type, FRAMING_SHORTEST, contents[i].body,
                     contents[i].size);
        octets_add_run(&packets, 0x55, 600000);
        build_message_around(&message, PASSPHRASE, packets.data, packets.size);
        assert_refused(message.data, message.size, PASSPHRASE, ERROR_UNSUPPORTED, contents[i].text);
        message.data[message.size - 1] ^= 1;
        assert_damaged(message.data, message.size, PASSPHRASE);
        message.data[message.size - 1] ^= 1;
        octets_add_u8(&message, 0);
        assert_damaged(message.data, message.size, PASSPHRASE);
    }
}

static void limits_are_named_only_in_authentic_messages(void **state)
{
    CLEANUP(octets_clear) struct octets packets = {0};
    CLEANUP(octets_clear) struct octets message = {0};

    (void)state;
    build_literal(&packets, FRAMING_SHORTEST, "content", 7);
    for (int i = 0; i < LIMIT_PACKET_NESTING; i++) {
        struct octets wrapped = {0};

        build_compressed(&wrapped, FRAMING_SHORTEST, 1, packets.data, packets.size);
        octets_clear(&packets);
        packets = wrapped;
    }
    build_message_around(&message, PASSPHRASE, packets.data, packets.size);
    assert_refused(message.data, message.size, PASSPHRASE, ERROR_TOO_LARGE, "nested");
    message.data[message.size - 1] ^= 1;
    assert_damaged(message.data, message.size, PASSPHRASE);
}

/* 64 MiB of zeros, deflated twice: under 1 KiB. */
static void a_bomb_is_refused_long_before_it_has_expanded(void **state)
{
    const size_t size = 64 * MIB;
    CLEANUP(memory_free) uint8_t *zeros = calloc(1, size);
    CLEANUP(memory_sink_record) struct memory_sink_record plaintext = {0};
    CLEANUP(octets_clear) struct octets literal = {0};
    CLEANUP(octets_clear) struct octets once = {0};
    CLEANUP(octets_clear) struct octets twice = {0};
    CLEANUP(octets_clear) struct octets message = {0};
    struct error err = ERROR_INIT;

    (void)state;
    assert_non_null(zeros);
    build_literal(&literal, FRAMING_SHORTEST, zeros, size);
    build_compressed(&once, FRAMING_SHORTEST, 2, literal.data, literal.size);
    build_compressed(&twice, FRAMING_SHORTEST, 2, once.data, once.size);
    build_message_around(&message, PASSPHRASE, twice.data, twice.size);
    assert_in_range(message.size, 0, 4096);
    assert_fails(ERROR_TOO_LARGE,
                 bed_decrypt(message.data, message.size, PASSPHRASE, &plaintext, NULL, &err));
    assert_message_has("expands");
    assert_in_range(plaintext.size, 0, 8 * MIB);
}

static void an_empty_disk_that_is_compressed_once_opens(void **state)
{
    const size_t size = 8 * MIB;
    CLEANUP(memory_free) uint8_t *zeros = calloc(1, size);
    CLEANUP(octets_clear) struct octets literal = {0};
    CLEANUP(octets_clear) struct octets compressed = {0};
    CLEANUP(octets_clear) struct octets message = {0};

    (void)state;
    assert_non_null(zeros);
    build_literal(&literal, FRAMING_SHORTEST, zeros, size);
    build_compressed(&compressed, FRAMING_SHORTEST, 1, literal.data, literal.size);
    build_message_around(&message, PASSPHRASE, compressed.data, compressed.size);
    assert_opens(message.data, message.size, PASSPHRASE, zeros, size);
}

static void any_one_of_several_passphrases_opens(void **state)
{
    static const char *const passphrases[] = {"one", "two", "three"};
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets packets = {0};
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher = CIPHER_AES128;

    (void)state;
    build_packet(&message, 3, FRAMING_SHORTEST, "\6unknown version", 16);
    for (size_t i = 0; i < ELEMENTS_OF(passphrases); i++) {
        struct skesk_plan plan = usual_skesk(passphrases[i]);

        plan.has_encrypted_key = true;
        plan.session_cipher = CIPHER_AES128;
        build_skesk(&message, &plan, key, &cipher);
        build_packet(&message, 1, FRAMING_SHORTEST, "\3a public key's", 15);
    }
    build_literal(&packets, FRAMING_SHORTEST, "content", 7);
    build_seipd(&message, NULL, cipher, key, packets.data, packets.size);
    for (size_t i = 0; i < ELEMENTS_OF(passphrases); i++)
        assert_opens(message.data, message.size, passphrases[i], "content", 7);
    assert_damaged(message.data, message.size, "four");
}

/* Whether `key` passes the two-octet quick check of the encrypted data of `message`. */
static bool passes_quick_check(const uint8_t *encrypted, const uint8_t *key)
{
    CLEANUP(cfb_cipher_free) struct cfb_cipher *cipher = NULL;
    struct error err = ERROR_INIT;
    uint8_t plain[18];

    assert_succeeds(cfb_cipher_new(CIPHER_AES128, key, NULL, &cipher, &err));
    cfb_cipher_decrypt(cipher, plain, encrypted, sizeof plain);
    return plain[14] == plain[16] && plain[15] == plain[17];
}

/* A first SKESK whose session key is wrong and yet passes the quick check, as one of 65,536 does:
 * the second, right one must still be tried. */
static void a_wrong_key_that_passes_the_quick_check_is_not_the_last_word(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets packets = {0};
    CLEANUP(octets_clear) struct octets data = {0};
    struct skesk_plan right = usual_skesk(PASSPHRASE);
    struct skesk_plan wrong = usual_skesk(PASSPHRASE);
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;
    struct pseudo_random random = {.state = 5};

    (void)state;
    right.has_encrypted_key = wrong.has_encrypted_key = true;
    right.session_cipher = wrong.session_cipher = CIPHER_AES128;
    build_literal(&packets, FRAMING_SHORTEST, "content", 7);
    build_seipd(&data, NULL, CIPHER_AES128, right.session_key, packets.data, packets.size);
    do {
        pseudo_random_fill(&random, wrong.session_key, 16);
    } while (!passes_quick_check(data.data + 3, wrong.session_key));
    build_skesk(&message, &wrong, key, &cipher);
    build_skesk(&message, &right, key, &cipher);
    octets_add(&message, data.data, data.size);
    assert_opens(message.data, message.size, PASSPHRASE, "content", 7);
}

static void an_empty_or_overlong_passphrase_is_rejected_before_anything_is_read(void **state)
{
    CLEANUP(memory_free) char *overlong = malloc(LIMIT_SECRET_BYTES + 2);
    CLEANUP(octets_clear) struct octets message = {0};

    (void)state;
    assert_non_null(overlong);
    memset(overlong, 'x', LIMIT_SECRET_BYTES + 1);
    overlong[LIMIT_SECRET_BYTES + 1] = '\0';
    build_message(&message, PASSPHRASE, "content", 7);
    assert_refused(message.data, message.size, "", ERROR_KEY_REJECTED, "empty");
    assert_refused(message.data, message.size, overlong, ERROR_KEY_REJECTED, "bytes");
    overlong[LIMIT_SECRET_BYTES] = '\0';
    assert_damaged(message.data, message.size, overlong);
}

static int decrypt_from(struct byte_source *source, struct byte_sink *sink, struct cancel *cancel,
                        struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase(PASSPHRASE);

    return openpgp_decrypt(test_gpg_codec(), bed_arena(), source, passphrase, sink, cancel, NULL,
                           err);
}

/* Every offset: an error of the source is its own, never taken for damage. */
static void a_failing_source_is_told_as_it_is(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};

    (void)state;
    build_message(&message, PASSPHRASE, "content", 7);
    for (size_t fail_at = 0; fail_at <= message.size; fail_at++) {
        const struct memory_source_options options = {
            .fails = true, .fail_at = fail_at, .fail_kind = ERROR_TIMEOUT};
        CLEANUP(byte_source_free)
        struct byte_source *source = memory_source_new(message.data, message.size, &options);
        struct error err = ERROR_INIT;

        assert_fails(ERROR_TIMEOUT, decrypt_from(source, NULL, NULL, &err));
        assert_string_equal(err.message, "the memory source fails here");
    }
}

static void a_failing_sink_is_told_as_it_is(void **state)
{
    static const struct memory_sink_options options[] = {
        {.fails = true, .fail_at = 0},
        {.fails = true, .fail_at = 6},
        {.fails = true, .fail_at = 0, .fail_kind = ERROR_UNSUPPORTED},
        {.fails_commit = true},
    };
    CLEANUP(octets_clear) struct octets message = {0};

    (void)state;
    build_message(&message, PASSPHRASE, "content", 7);
    for (size_t i = 0; i < ELEMENTS_OF(options); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
        CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&record, &options[i]);
        CLEANUP(byte_source_free)
        struct byte_source *source = memory_source_new(message.data, message.size, NULL);
        struct error err = ERROR_INIT;

        assert_fails(options[i].fail_kind == ERROR_NONE ? ERROR_NO_SPACE : options[i].fail_kind,
                     decrypt_from(source, sink, NULL, &err));
        assert_int_equal(record.aborts, 1);
    }
}

static void a_cancelled_decryption_ends(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    build_message(&message, PASSPHRASE, "content", 7);
    source = memory_source_new(message.data, message.size, NULL);
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, decrypt_from(source, NULL, cancel, &err));
}

/* From no locked memory at all up to enough: each shortage is told, none is taken for anything
 * else, and with enough the message opens. */
static void every_shortage_of_locked_memory_is_told(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets literal = {0};
    CLEANUP(octets_clear) struct octets packets = {0};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(22, 100000);
    size_t shortages = 0, left = 16 * KIB;
    int result = -1;

    (void)state;
    build_literal(&literal, FRAMING_SHORTEST, content, 100000);
    build_compressed(&packets, FRAMING_SHORTEST, 2, literal.data, literal.size);
    build_message_around(&message, PASSPHRASE, packets.data, packets.size);
    while (result < 0) {
        struct error err = ERROR_INIT;
        struct bed_hoard hoard;

        bed_hoard_memory(&hoard, left);
        result = bed_decrypt(message.data, message.size, PASSPHRASE, NULL, NULL, &err);
        bed_give_back(&hoard);
        if (result < 0 && err.kind != ERROR_EXHAUSTED)
            fail_msg("with %zu bytes left: %s", left, err.message);
        shortages += result < 0 ? 1 : 0;
        left += 12 * KIB;
    }
    assert_in_range(shortages, 10, 200);
    assert_in_range(left, 0, 2 * MIB);
}

/* What openpgp_stream.h promises, for the dearest content of each kind: long enough for a lane, in as
 * many containers as there may be, of which one may be BZip2. */
static void locked_memory_is_bounded(void **state)
{
    static const struct {
        unsigned outer, inner; /* compression algorithms */
        int levels;
        size_t most;
    } cases[] = {
        {.levels = 0, .most = 784 * KIB},
        {.outer = 1, .inner = 2, .levels = LIMIT_PACKET_NESTING - 1, .most = 3 * MIB / 2},
        {.outer = 1, .inner = 3, .levels = LIMIT_PACKET_NESTING - 1, .most = 5 * MIB},
    };
    const size_t size = 2 * MIB;
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(24, size);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        CLEANUP(octets_clear) struct octets packets = {0};
        CLEANUP(octets_clear) struct octets message = {0};
        struct error err = ERROR_INIT;
        struct bed_hoard hoard;
        int result;

        build_literal(&packets, FRAMING_SHORTEST, content, size);
        for (int level = 0; level < cases[i].levels; level++) {
            struct octets wrapped = {0};

            build_compressed(&wrapped, FRAMING_SHORTEST,
                             level == 0 ? cases[i].inner : cases[i].outer, packets.data,
                             packets.size);
            octets_clear(&packets);
            packets = wrapped;
        }
        build_message_around(&message, PASSPHRASE, packets.data, packets.size);
        bed_hoard_memory(&hoard, cases[i].most + LITERAL_MESSAGE_PIECE_BYTES);
        result = bed_decrypt(message.data, message.size, PASSPHRASE, NULL, NULL, &err);
        bed_give_back(&hoard);
        if (result < 0)
            fail_msg("case number %zu: %s", i, err.message);
    }
}

static void tells_size_and_compression(void **state)
{
    (void)state;
    for (unsigned algorithm = 0; algorithm < 3; algorithm++) {
        CLEANUP(codec_message_unref) struct codec_message *opened = NULL;
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(octets_clear) struct octets literal = {0};
        CLEANUP(octets_clear) struct octets packets = {0};
        struct error err = ERROR_INIT;

        build_literal(&literal, FRAMING_SHORTEST, "content", 7);
        build_compressed(&packets, FRAMING_SHORTEST, algorithm, literal.data, literal.size);
        build_message_around(&message, PASSPHRASE, packets.data, packets.size);
        assert_succeeds(bed_decrypt(message.data, message.size, PASSPHRASE, NULL, &opened, &err));
        assert_int_equal(codec_message_plaintext_size(opened), 7);
        assert_int_equal(codec_message_is_compressed(opened), algorithm != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(opens_messages_of_every_cipher_and_size),
        bed_test(opens_messages_in_every_framing_and_compression),
        bed_test(every_wrong_mdc_is_refused),
        bed_test(a_broken_quick_check_is_refused_like_a_wrong_passphrase),
        bed_test(anything_after_the_message_is_refused),
        bed_test(packet_tags_cannot_be_exchanged),
        bed_test(other_versions_of_encrypted_data_are_unsupported),
        bed_test(unsupported_content_is_named_only_in_authentic_messages),
        bed_test(limits_are_named_only_in_authentic_messages),
        bed_test(a_bomb_is_refused_long_before_it_has_expanded),
        bed_test(an_empty_disk_that_is_compressed_once_opens),
        bed_test(any_one_of_several_passphrases_opens),
        bed_test(a_wrong_key_that_passes_the_quick_check_is_not_the_last_word),
        bed_test(an_empty_or_overlong_passphrase_is_rejected_before_anything_is_read),
        bed_test(a_failing_source_is_told_as_it_is),
        bed_test(a_failing_sink_is_told_as_it_is),
        bed_test(a_cancelled_decryption_ends),
        bed_test(every_shortage_of_locked_memory_is_told),
        bed_test(locked_memory_is_bounded),
        bed_test(tells_size_and_compression),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
