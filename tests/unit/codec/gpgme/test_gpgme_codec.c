/* SPDX-License-Identifier: Apache-2.0 */
/* The second engine from outside: what it opens, writes, reads again and refuses. */
#include "base/clock.h"
#include "glancefs/limits.h"
#include "gpgme_bed.h"

#include <errno.h>
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

static int decrypt(const struct gpgme_bed *bed, const struct octets *message,
                   const char *passphrase, struct memory_sink_record *record,
                   struct codec_message **ret, struct error *err)
{
    const struct memory_source_options forward = {.is_forward_only = true};
    CLEANUP(byte_source_free)
    struct byte_source *source = memory_source_new(message->data, message->size, &forward);
    CLEANUP(secure_buffer_free) struct secure_buffer *secret = bed_passphrase(passphrase);
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(record, NULL);

    return codec_decrypt(bed->codec, bed_arena(), source, secret, sink, NULL, ret, err);
}

static int encrypt(const struct codec *codec, const uint8_t *content, size_t size,
                   uint64_t declared_size, struct memory_sink_record *record, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *secret = bed_passphrase(PASSPHRASE);
    CLEANUP(byte_sink_free) struct byte_sink *ciphertext = memory_sink_new(record, NULL);
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;

    if (codec_open_sink(codec, bed_arena(), secret, declared_size, ciphertext, &sink, err) < 0 ||
        byte_sink_write(sink, content, size, NULL, err) < 0)
        return -1;
    return byte_sink_commit(sink, NULL, err);
}

static struct octets octets_of(const struct memory_sink_record *record)
{
    return (struct octets){.data = record->bytes, .size = record->size};
}

static void reads_what_the_native_engine_writes_and_reads_it_again(void **state)
{
    static const size_t sizes[] = {0, 1, 4096, 262144, 1234567};
    const struct gpgme_bed *bed = *state;
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(1, 1234567);
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
        CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};
        CLEANUP(codec_message_unref) struct codec_message *message = NULL;
        CLEANUP(byte_source_free) struct byte_source *source = NULL;
        CLEANUP(memory_free) uint8_t *again = malloc(sizes[i] + 1);
        struct octets octets;
        size_t got;

        assert_succeeds(
            encrypt(test_gpg_codec(), content, sizes[i], BYTE_SOURCE_SIZE_UNKNOWN, &stored, &err));
        octets = octets_of(&stored);
        assert_succeeds(decrypt(bed, &octets, PASSPHRASE, &plain, &message, &err));
        assert_int_equal(plain.commits, 1);
        assert_int_equal(plain.size, sizes[i]);
        assert_int_equal(codec_message_plaintext_size(message), sizes[i]);
        assert_succeeds(codec_message_open(
            message, memory_source_new(stored.bytes, stored.size, NULL), NULL, &source, &err));
        assert_true(byte_source_is_forward_only(source));
        assert_succeeds(byte_source_pread(source, again, sizes[i] + 1, 0, NULL, &got, &err));
        assert_int_equal(got, sizes[i]);
        if (got > 0) {
            assert_memory_equal(plain.bytes, content, got);
            assert_memory_equal(again, content, got);
        }
    }
}

static void the_native_engine_reads_what_it_writes(void **state)
{
    static const size_t sizes[] = {0, 5, 1000000};
    const struct gpgme_bed *bed = *state;
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(2, 1000000);
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(sizes) * 2; i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
        const size_t size = sizes[i / 2];

        assert_succeeds(encrypt(bed->codec, content, size,
                                i % 2 == 0 ? size : BYTE_SOURCE_SIZE_UNKNOWN, &stored, &err));
        assert_int_equal(stored.commits, 1);
        /* SKESK version 4, AES-256, iterated and salted SHA-256 at the highest count. */
        assert_memory_equal(stored.bytes, "\x8c\x0d\x04\x09\x03\x08", 6);
        assert_int_equal(stored.bytes[14], 0xff);
        assert_opens(stored.bytes, stored.size, PASSPHRASE, content, size);
    }
}

static void a_wrong_number_of_bytes_is_refused(void **state)
{
    const struct gpgme_bed *bed = *state;
    struct error err = ERROR_INIT;

    for (uint64_t declared = 4; declared <= 6; declared += 2) {
        CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};

        assert_fails(ERROR_INVALID,
                     encrypt(bed->codec, (const uint8_t *)"12345", 5, declared, &stored, &err));
        assert_int_equal(stored.commits, 0);
        assert_int_equal(stored.aborts, 1);
    }
}

static void an_aborted_sink_leaves_no_gpg(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
    CLEANUP(secure_buffer_free) struct secure_buffer *secret = bed_passphrase(PASSPHRASE);
    CLEANUP(byte_sink_free) struct byte_sink *ciphertext = memory_sink_new(&stored, NULL);
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(5, 2000000);
    struct byte_sink *sink = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(codec_open_sink(bed->codec, bed_arena(), secret, BYTE_SOURCE_SIZE_UNKNOWN,
                                    ciphertext, &sink, &err));
    /* More than fits the pipes: gpg has its passphrase. */
    assert_succeeds(byte_sink_write(sink, content, 2000000, NULL, &err));
    byte_sink_free(sink);
    assert_int_equal(stored.aborts, 1);
    assert_true(gpg_leaves(bed->runtime));
}

static void a_wrong_passphrase_is_the_uniform_error_each_time(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(octets_clear) struct octets message = {0};
    struct error err = ERROR_INIT;

    build_message(&message, PASSPHRASE, "content", 7);
    for (unsigned i = 0; i < 4; i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};

        if (i % 2 == 0) {
            assert_succeeds(decrypt(bed, &message, PASSPHRASE, &plain, NULL, &err));
            continue;
        }
        /* Nothing between us and gpg has kept the right one. */
        assert_fails(ERROR_CORRUPT, decrypt(bed, &message, "wrong", &plain, NULL, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
        assert_int_equal(plain.size, 0);
        assert_int_equal(plain.aborts, 1);
    }
}

static void any_of_several_passphrases_opens(void **state)
{
    static const char *const passphrases[] = {"first", "second", "third"};
    const struct gpgme_bed *bed = *state;
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets literal = {0};
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES] = {0};
    enum cipher_algorithm cipher = CIPHER_AES256;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(passphrases); i++) {
        struct skesk_plan plan = usual_skesk(passphrases[i]);

        plan.has_encrypted_key = true;
        plan.session_cipher = CIPHER_AES256;
        memset(plan.session_key, 0x5a, sizeof plan.session_key);
        build_skesk(&message, &plan, key, &cipher);
    }
    build_literal(&literal, FRAMING_SHORTEST, "content", 7);
    build_seipd(&message, NULL, cipher, key, literal.data, literal.size);
    for (size_t i = 0; i < ELEMENTS_OF(passphrases); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};

        assert_succeeds(decrypt(bed, &message, passphrases[i], &plain, NULL, &err));
        assert_int_equal(plain.size, 7);
    }
    {
        CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};

        assert_fails(ERROR_CORRUPT, decrypt(bed, &message, "fourth", &plain, NULL, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

/* Two packets that both open: `first` says how the first one is special. */
static void assert_second_opens(const struct gpgme_bed *bed, struct skesk_plan first)
{
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets literal = {0};
    CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};
    struct skesk_plan second = usual_skesk(PASSPHRASE);
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;
    struct error err = ERROR_INIT;

    first.has_encrypted_key = second.has_encrypted_key = true;
    first.session_cipher = second.session_cipher = CIPHER_AES256;
    build_skesk(&message, &first, key, &cipher);
    build_skesk(&message, &second, key, &cipher);
    build_literal(&literal, FRAMING_SHORTEST, "content", 7);
    build_seipd(&message, NULL, cipher, key, literal.data, literal.size);
    assert_succeeds(decrypt(bed, &message, PASSPHRASE, &plain, NULL, &err));
    assert_int_equal(plain.size, 7);
}

static void a_packet_that_gpg_cannot_begin_with_stops_no_other(void **state)
{
    const struct gpgme_bed *bed = *state;
    struct skesk_plan first = usual_skesk("somebody else's");

    first.hash = HASH_SHA3_256;
    assert_second_opens(bed, first);
    first = usual_skesk("somebody else's");
    first.s2k_type = 0;
    assert_second_opens(bed, first);
}

static void content_that_is_refused_is_told_of_sound_messages_only(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets packets = {0};
    struct error err = ERROR_INIT;

    build_packet(&packets, 4, FRAMING_SHORTEST, "\3a one-pass signature", 21);
    build_literal(&packets, FRAMING_SHORTEST, "content", 7);
    build_message_around(&message, PASSPHRASE, packets.data, packets.size);
    for (unsigned i = 0; i < 2; i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};

        assert_fails(i == 0 ? ERROR_UNSUPPORTED : ERROR_CORRUPT,
                     decrypt(bed, &message, PASSPHRASE, &plain, NULL, &err));
        assert_string_equal(err.message,
                            i == 0 ? "signed messages are not supported" : DAMAGED_MESSAGE);
        assert_int_equal(plain.aborts, 1);
        message.data[message.size - 1] ^= 1;
    }
}

static void passphrases_that_gpg_would_cut_are_rejected(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(octets_clear) struct octets message = {0};
    static const char lf[] = "a\nb", nul[] = {'a', 0, 'b'}, end[] = "a\4b";
    char longest[257];
    const struct {
        const char *bytes;
        size_t size;
    } rejected[] = {{lf, 3}, {nul, 3}, {end, 3}, {longest, 256}, {"", 0}};
    struct error err = ERROR_INIT;

    memset(longest, 'x', sizeof longest);
    build_message(&message, PASSPHRASE, "content", 7);
    for (size_t i = 0; i < ELEMENTS_OF(rejected); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
        CLEANUP(secure_buffer_free) struct secure_buffer *secret = NULL;
        CLEANUP(byte_source_free)
        struct byte_source *source = memory_source_new(message.data, message.size, NULL);
        CLEANUP(byte_sink_free) struct byte_sink *ciphertext = memory_sink_new(&record, NULL);
        struct byte_sink *sink = NULL;

        assert_succeeds(
            secure_buffer_copy_of(bed_arena(), rejected[i].bytes, rejected[i].size, &secret, &err));
        assert_fails(ERROR_KEY_REJECTED, codec_decrypt(bed->codec, bed_arena(), source, secret,
                                                       NULL, NULL, NULL, &err));
        assert_int_equal(memory_source_reads(source), 0);
        assert_fails(ERROR_KEY_REJECTED,
                     codec_open_sink(bed->codec, bed_arena(), secret, 0, ciphertext, &sink, &err));
    }
    assert_int_equal(processes_with(bed->runtime, NULL), 0);
}

static void the_longest_and_the_strangest_passphrases_work(void **state)
{
    const struct gpgme_bed *bed = *state;
    char longest[256] = "";
    const char *const passphrases[] = {longest,
                                       " \t ",
                                       "\xff\xfe\x80",
                                       "Gr\xc3\xbc\xc3\x9f"
                                       "e",
                                       "%0A%25",
                                       "\r"};
    struct error err = ERROR_INIT;

    memset(longest, 'x', sizeof longest - 1);
    for (size_t i = 0; i < ELEMENTS_OF(passphrases); i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};

        build_message(&message, passphrases[i], "content", 7);
        assert_succeeds(decrypt(bed, &message, passphrases[i], &plain, NULL, &err));
        assert_int_equal(plain.size, 7);
    }
}

static void a_source_reads_forward_and_keeps_what_a_cancelled_read_got(void **state)
{
    const struct gpgme_bed *bed = *state;
    const size_t size = 2000000;
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(3, size);
    CLEANUP(memory_free) uint8_t *buffer = malloc(size);
    CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
    CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};
    CLEANUP(codec_message_unref) struct codec_message *message = NULL;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;
    struct octets octets;
    size_t got;

    assert_succeeds(
        encrypt(test_gpg_codec(), content, size, BYTE_SOURCE_SIZE_UNKNOWN, &stored, &err));
    octets = octets_of(&stored);
    assert_succeeds(decrypt(bed, &octets, PASSPHRASE, &plain, &message, &err));
    assert_succeeds(codec_message_open(message, memory_source_new(stored.bytes, stored.size, NULL),
                                       NULL, &source, &err));
    assert_int_equal(byte_source_size(source), size);
    assert_fails(ERROR_SYSTEM, byte_source_pread(source, buffer, 1, 1, NULL, &got, &err));
    assert_int_equal(err.errnum, ESPIPE);
    assert_succeeds(byte_source_pread(source, buffer, 777, 0, NULL, &got, &err));
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED,
                 byte_source_pread(source, buffer + 777, size, 777, cancel, &got, &err));
    assert_succeeds(byte_source_pread(source, buffer + 777, 100, 777, NULL, &got, &err));
    assert_succeeds(byte_source_pread(source, buffer + 877, size, 877, NULL, &got, &err));
    assert_int_equal(got, size - 877);
    assert_memory_equal(buffer, content, size);
}

/* A source that is cancelled from inside, when gpg has plaintext to give already. */
struct cancelling_source {
    struct byte_source source;
    struct byte_source *inner;
    struct cancel *cancel;
    uint64_t at;
};

static int cancelling_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                            struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct cancelling_source *self = (struct cancelling_source *)source;

    if (offset >= self->at)
        cancel_request(self->cancel);
    if (cancel_check(cancel, err) < 0)
        return -1;
    return byte_source_pread(self->inner, buffer, size, offset, cancel, ret_size, err);
}

static uint64_t cancelling_size(struct byte_source *source)
{
    return byte_source_size(((struct cancelling_source *)source)->inner);
}

static void cancelling_free(struct byte_source *source)
{
    byte_source_free(((struct cancelling_source *)source)->inner);
}

static void bytes_before_a_cancellation_come_with_the_next_read(void **state)
{
    static const struct byte_source_ops ops = {
        .pread = cancelling_pread, .size = cancelling_size, .free = cancelling_free};
    const struct gpgme_bed *bed = *state;
    const size_t size = 3000000;
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(4, size);
    CLEANUP(memory_free) uint8_t *buffer = malloc(size);
    CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
    CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};
    CLEANUP(codec_message_unref) struct codec_message *message = NULL;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct cancelling_source slow = {.source = {.ops = &ops}, .at = 2000000};
    struct error err = ERROR_INIT;
    struct octets octets;
    size_t got;

    assert_succeeds(
        encrypt(test_gpg_codec(), content, size, BYTE_SOURCE_SIZE_UNKNOWN, &stored, &err));
    octets = octets_of(&stored);
    assert_succeeds(decrypt(bed, &octets, PASSPHRASE, &plain, &message, &err));
    assert_succeeds(cancel_new(&cancel, &err));
    slow.cancel = cancel;
    slow.inner = memory_source_new(stored.bytes, stored.size, NULL);
    assert_succeeds(codec_message_open(message, &slow.source, NULL, &source, &err));
    assert_fails(ERROR_CANCELLED, byte_source_pread(source, buffer, size, 0, cancel, &got, &err));
    assert_succeeds(byte_source_pread(source, buffer, 1000, 0, NULL, &got, &err));
    assert_succeeds(byte_source_pread(source, buffer + 1000, size, 1000, NULL, &got, &err));
    assert_memory_equal(buffer, content, size);
}

static void a_message_that_stopped_being_one_fails_when_read(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};
    CLEANUP(codec_message_unref) struct codec_message *opened = NULL;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct error err = ERROR_INIT;
    uint8_t buffer[16];
    size_t got;

    build_message(&message, PASSPHRASE, "content", 7);
    assert_succeeds(decrypt(bed, &message, PASSPHRASE, &plain, &opened, &err));
    assert_succeeds(codec_message_open(
        opened, memory_source_new(message.data, message.size - 30, NULL), NULL, &source, &err));
    assert_fails(ERROR_CORRUPT,
                 byte_source_pread(source, buffer, sizeof buffer, 0, NULL, &got, &err));
}

static void what_the_engine_cannot_is_said_at_once(void **state)
{
    const struct gpgme_bed *bed = *state;
    struct codecs_options options = {
        .engine = CODEC_ENGINE_GPGME, .runtime = bed->runtime, .aead = AEAD_OCB};
    struct codecs *codecs = NULL;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_UNSUPPORTED, codecs_new(&options, &codecs, &err));
    options.aead = AEAD_NONE;
    options.keyring = "nowhere";
    assert_fails(ERROR_INVALID, codecs_new(&options, &codecs, &err));
}

static void little_locked_memory_is_needed_and_its_lack_is_said(void **state)
{
    const struct gpgme_bed *bed = *state;
    CLEANUP(octets_clear) struct octets message = {0};
    struct bed_hoard hoard;
    struct error err = ERROR_INIT;
    size_t left = 0;
    int result = -1;

    build_message(&message, PASSPHRASE, "content", 7);
    for (; result < 0; left += 64 * KIB) {
        CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};

        assert_in_range(left, 0, 640 * KIB);
        bed_hoard_memory(&hoard, left + 4096);
        err = (struct error)ERROR_INIT;
        result = decrypt(bed, &message, PASSPHRASE, &plain, NULL, &err);
        bed_give_back(&hoard);
        if (result < 0)
            assert_int_equal(err.kind, ERROR_EXHAUSTED);
    }
}

#define codec_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        codec_test(reads_what_the_native_engine_writes_and_reads_it_again),
        codec_test(the_native_engine_reads_what_it_writes),
        codec_test(a_wrong_number_of_bytes_is_refused),
        codec_test(an_aborted_sink_leaves_no_gpg),
        codec_test(a_wrong_passphrase_is_the_uniform_error_each_time),
        codec_test(any_of_several_passphrases_opens),
        codec_test(a_packet_that_gpg_cannot_begin_with_stops_no_other),
        codec_test(content_that_is_refused_is_told_of_sound_messages_only),
        codec_test(passphrases_that_gpg_would_cut_are_rejected),
        codec_test(the_longest_and_the_strangest_passphrases_work),
        codec_test(a_source_reads_forward_and_keeps_what_a_cancelled_read_got),
        codec_test(bytes_before_a_cancellation_come_with_the_next_read),
        codec_test(a_message_that_stopped_being_one_fails_when_read),
        codec_test(what_the_engine_cannot_is_said_at_once),
        codec_test(little_locked_memory_is_needed_and_its_lack_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
