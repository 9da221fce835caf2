/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/esk_sequence.h"

#include "codec/openpgp/ciphertext_stream.h"
#include "codec/openpgp/packet_type.h"
#include "codec_bed.h"

#include <stdlib.h>

#define LOOKAHEAD_BYTES (16 * KIB)

static int read_front(const struct octets *octets, struct esk_sequence *ret, uint64_t *ret_offset,
                      struct packet_header *ret_header, struct error *err)
{
    CLEANUP(byte_source_free)
    struct byte_source *source = memory_source_new(octets->data, octets->size, NULL);
    CLEANUP(lookahead_free) struct lookahead *packets = NULL;
    struct ciphertext_stream ciphertext;

    ciphertext_stream_init(&ciphertext, source, 0);
    if (lookahead_new(&ciphertext.stream, NULL, LOOKAHEAD_BYTES, &packets, err) < 0)
        return -1;
    return esk_sequence_read(packets, NULL, ret, ret_offset, ret_header, err);
}

static void assert_front_fails(const struct octets *octets, enum error_kind kind, const char *text)
{
    struct esk_sequence sequence;
    struct packet_header header;
    struct error err = ERROR_INIT;
    uint64_t offset;

    assert_int_equal(read_front(octets, &sequence, &offset, &header, &err), -1);
    if (err.kind != kind || strstr(err.message, text) == NULL)
        fail_msg("failed as %s (\"%s\"), not as %s (\"%s\")", error_kind_name(err.kind),
                 err.message, error_kind_name(kind), text);
}

static void add_skesk(struct octets *out, const char *passphrase)
{
    const struct skesk_plan plan = usual_skesk(passphrase);
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;

    build_skesk(out, &plan, key, &cipher);
}

static void collects_session_key_packets_up_to_the_encrypted_data(void **state)
{
    CLEANUP(octets_clear) struct octets front = {0};
    struct esk_sequence sequence;
    struct packet_header header;
    struct error err = ERROR_INIT;
    uint64_t offset;
    size_t front_size;

    (void)state;
    build_packet(&front, PACKET_MARKER, FRAMING_SHORTEST, "PGP", 3);
    build_packet(&front, PACKET_PKESK, FRAMING_LEGACY, "\3whatever", 9);
    add_skesk(&front, "first");
    build_packet(&front, PACKET_PADDING, FRAMING_SHORTEST, "junk", 4);
    build_packet(&front, PACKET_SKESK, FRAMING_SHORTEST, "\6x", 2);
    build_packet(&front, 45, FRAMING_SHORTEST, "unknown", 7);
    add_skesk(&front, "second");
    front_size = front.size;
    build_packet(&front, PACKET_SEIPD, FRAMING_SHORTEST, "\1body", 5);
    assert_succeeds(read_front(&front, &sequence, &offset, &header, &err));
    assert_int_equal(sequence.count, 2);
    assert_int_equal(sequence.skesk_packets, 3);
    assert_true(sequence.has_pkesk);
    assert_int_equal(sequence.unsupported.kind, ERROR_UNSUPPORTED);
    assert_int_equal(offset, front_size);
    assert_int_equal(header.type, PACKET_SEIPD);
    assert_int_equal(header.length, 5);
}

static void says_what_stands_there_instead_of_a_message(void **state)
{
    static const struct {
        const char *octets;
        enum error_kind kind;
        const char *text;
    } inputs[] = {
        {"", ERROR_CORRUPT, "not an OpenPGP message: it is empty"},
        {"QFI\xfb", ERROR_CORRUPT, "not an OpenPGP message"},
        {"LUKS\xba\xbe", ERROR_CORRUPT, "not an OpenPGP message"},
        {"-----BEGIN PGP MESSAGE-----\n", ERROR_UNSUPPORTED, "ASCII armor"},
        {"-----BEGIN PGP", ERROR_CORRUPT, "not an OpenPGP message"},
        {"\xcb\x01x", ERROR_CORRUPT, "is not encrypted"},
        {"\xa3x", ERROR_CORRUPT, "is not encrypted"},
        {"\xc4\x01x", ERROR_CORRUPT, "is not encrypted"},
        {"\x88\x01x", ERROR_CORRUPT, "is not encrypted"},
        {"\xc9\x01x", ERROR_CORRUPT, "no integrity protection"},
        {"\xd4\x01x", ERROR_UNSUPPORTED, "packet type 20"},
        {"\xc6\x01x", ERROR_CORRUPT, "packet type 6"},
        {"\xd3\x01x", ERROR_CORRUPT, "packet type 19"},
        {"\xe7\x01x", ERROR_CORRUPT, "packet type 39"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(inputs); i++) {
        CLEANUP(octets_clear) struct octets front = {0};

        octets_add(&front, inputs[i].octets, strlen(inputs[i].octets));
        assert_front_fails(&front, inputs[i].kind, inputs[i].text);
    }
}

static void the_kind_of_data_is_judged_behind_session_keys_too(void **state)
{
    static const struct {
        unsigned type;
        enum error_kind kind;
        const char *text;
    } packets[] = {
        {PACKET_LITERAL_DATA, ERROR_CORRUPT, "is not encrypted"},
        {PACKET_SED, ERROR_CORRUPT, "no integrity protection"},
        {PACKET_AEAD_ENCRYPTED_DATA, ERROR_UNSUPPORTED, "packet type 20"},
        {PACKET_MDC, ERROR_CORRUPT, "packet type 19"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(packets); i++) {
        CLEANUP(octets_clear) struct octets front = {0};

        add_skesk(&front, "secret");
        build_packet(&front, packets[i].type, FRAMING_SHORTEST, "\1body", 5);
        assert_front_fails(&front, packets[i].kind, packets[i].text);
    }
}

static void a_front_that_is_cut_off_is_damage(void **state)
{
    CLEANUP(octets_clear) struct octets front = {0};

    (void)state;
    add_skesk(&front, "secret");
    build_packet(&front, PACKET_PKESK, FRAMING_SHORTEST, "\3whatever", 9);
    for (size_t size = 1; size <= front.size; size++) {
        const struct octets cut = {.data = front.data, .size = size};

        assert_front_fails(&cut, ERROR_CORRUPT, DAMAGED_MESSAGE);
    }
}

static void malformed_session_key_packets_are_damage(void **state)
{
    static const struct {
        const char *octets;
        size_t size;
    } fronts[] = {
        {"\xc3\x00", 2},         /* empty */
        {"\xc3\x02\x04\x09", 4}, /* without S2K */
        {"\xc3\xe9\x04\x09", 4}, /* of partial length */
        {"\xca\x03PXP", 5},      /* a marker that is none */
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(fronts); i++) {
        CLEANUP(octets_clear) struct octets front = {0};

        octets_add(&front, fronts[i].octets, fronts[i].size);
        add_skesk(&front, "secret");
        build_packet(&front, PACKET_SEIPD, FRAMING_SHORTEST, "\1body", 5);
        assert_front_fails(&front, ERROR_CORRUPT, DAMAGED_MESSAGE);
    }
}

static void caps_the_number_and_size_of_session_key_packets(void **state)
{
    CLEANUP(octets_clear) struct octets many = {0};
    CLEANUP(octets_clear) struct octets large = {0};
    static const uint8_t body[LIMIT_SMALL_PACKET_BYTES + 1] = {4, 9, 0, 8};
    struct esk_sequence sequence;
    struct packet_header header;
    struct error err = ERROR_INIT;
    uint64_t offset;

    (void)state;
    for (int i = 0; i < LIMIT_SKESK_PACKETS; i++)
        add_skesk(&many, "secret");
    build_packet(&many, PACKET_SEIPD, FRAMING_SHORTEST, "\1body", 5);
    assert_succeeds(read_front(&many, &sequence, &offset, &header, &err));
    assert_int_equal(sequence.count, LIMIT_SKESK_PACKETS);
    many.size = offset;
    add_skesk(&many, "secret");
    assert_front_fails(&many, ERROR_TOO_LARGE, "session key packets");
    build_packet(&large, PACKET_SKESK, FRAMING_SHORTEST, body, sizeof body);
    assert_front_fails(&large, ERROR_TOO_LARGE, "bytes");
}

static void a_large_packet_of_another_kind_is_stepped_over(void **state)
{
    CLEANUP(memory_free) uint8_t *body = calloc(1, 100 * KIB);
    CLEANUP(octets_clear) struct octets front = {0};
    struct esk_sequence sequence;
    struct packet_header header;
    struct error err = ERROR_INIT;
    uint64_t offset;

    (void)state;
    assert_non_null(body);
    build_packet(&front, PACKET_PADDING, FRAMING_SHORTEST, body, 100 * KIB);
    build_packet(&front, PACKET_PKESK, FRAMING_SHORTEST, body, 100 * KIB);
    build_packet(&front, PACKET_SEIPD, FRAMING_SHORTEST, "\1body", 5);
    assert_succeeds(read_front(&front, &sequence, &offset, &header, &err));
}

/* The start of encrypted data under `key`, after its version octet. */
static void make_sample(struct octets *packet, enum cipher_algorithm cipher, const uint8_t *key,
                        const uint8_t **ret_sample)
{
    CLEANUP(octets_clear) struct octets literal = {0};

    build_literal(&literal, FRAMING_SHORTEST, "some content", 12);
    build_seipd(packet, NULL, cipher, key, literal.data, literal.size);
    *ret_sample = packet->data + 3;
}

static void plan_to_skesk(const struct skesk_plan *plan, struct esk_sequence *sequence,
                          uint8_t *ret_key, enum cipher_algorithm *ret_cipher)
{
    CLEANUP(octets_clear) struct octets packet = {0};
    struct error err = ERROR_INIT;
    struct byte_cursor cursor;

    build_skesk(&packet, plan, ret_key, ret_cipher);
    cursor = byte_cursor_over(packet.data + 2, packet.size - 2);
    assert_succeeds(skesk_parse(&cursor, &sequence->skesks[sequence->count++], &err));
}

static int find(const struct esk_sequence *sequence, const char *text, const uint8_t *sample,
                struct session_key **ret, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase(text);

    return esk_sequence_find_session_key(sequence, bed_arena(), passphrase, sample,
                                         SESSION_KEY_SAMPLE_BYTES, NULL, ret, err);
}

static void tries_every_packet_in_order(void **state)
{
    struct esk_sequence sequence = {.count = 0};
    CLEANUP(session_key_free) struct session_key *found = NULL;
    CLEANUP(octets_clear) struct octets packet = {0};
    struct skesk_plan plan = usual_skesk("first");
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;
    struct error err = ERROR_INIT;
    const uint8_t *sample;

    (void)state;
    plan_to_skesk(&plan, &sequence, key, &cipher);
    plan = usual_skesk("second");
    plan.has_encrypted_key = true;
    plan.session_cipher = CIPHER_TWOFISH;
    memset(plan.session_key, 0x77, sizeof plan.session_key);
    plan_to_skesk(&plan, &sequence, key, &cipher);
    make_sample(&packet, cipher, key, &sample);
    assert_succeeds(find(&sequence, "second", sample, &found, &err));
    assert_int_equal(found->algorithm, CIPHER_TWOFISH);
    assert_memory_equal(found->key, key, cipher_key_size(cipher));
    assert_fails(ERROR_CORRUPT, find(&sequence, "first", sample, &found, &err));
    assert_string_equal(err.message, DAMAGED_MESSAGE);
}

static void says_why_no_packet_can_be_used(void **state)
{
    static const uint8_t sample[SESSION_KEY_SAMPLE_BYTES];
    struct esk_sequence sequence = {.count = 0};
    struct session_key *found = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_fails(ERROR_CORRUPT, find(&sequence, "x", sample, &found, &err));
    assert_message_has("no session key packet");
    sequence.has_pkesk = true;
    assert_fails(ERROR_UNSUPPORTED, find(&sequence, "x", sample, &found, &err));
    assert_message_has("public keys");
    (void)error_set(&sequence.unsupported, ERROR_UNSUPPORTED, "the first reason");
    assert_fails(ERROR_UNSUPPORTED, find(&sequence, "x", sample, &found, &err));
    assert_message_has("the first reason");
}

/* Sixteen derivations of the strongest kind, over the slowest hash and with two passes each: far
 * beyond the limit on any processor. */
static void all_derivations_together_have_bounded_time(void **state)
{
    static const uint8_t sample[SESSION_KEY_SAMPLE_BYTES];
    struct esk_sequence sequence = {.count = LIMIT_SKESK_PACKETS};
    struct session_key *found = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    for (int i = 0; i < LIMIT_SKESK_PACKETS; i++)
        sequence.skesks[i] = (struct skesk){
            .cipher = CIPHER_AES256,
            .s2k = {.type = S2K_ITERATED_AND_SALTED, .hash = HASH_RIPEMD160, .count = 65011712}};
    assert_fails(ERROR_TOO_LARGE, find(&sequence, "x", sample, &found, &err));
    assert_message_has("CPU");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(collects_session_key_packets_up_to_the_encrypted_data),
        bed_test(says_what_stands_there_instead_of_a_message),
        bed_test(the_kind_of_data_is_judged_behind_session_keys_too),
        bed_test(a_front_that_is_cut_off_is_damage),
        bed_test(malformed_session_key_packets_are_damage),
        bed_test(caps_the_number_and_size_of_session_key_packets),
        bed_test(a_large_packet_of_another_kind_is_stepped_over),
        bed_test(tries_every_packet_in_order),
        bed_test(says_why_no_packet_can_be_used),
        bed_test(all_derivations_together_have_bounded_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
