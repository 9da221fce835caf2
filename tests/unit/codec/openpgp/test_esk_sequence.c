/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/esk_sequence.h"

#include "codec/openpgp/ciphertext_stream.h"
#include "codec/openpgp/packet_type.h"
#include "codec_bed.h"

#include <stdlib.h>

#define LOOKAHEAD_BYTES (16 * KIB)

static int read_front(const struct octets *octets, struct esk_sequence **ret, uint64_t *ret_offset,
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
    CLEANUP(esk_sequence_free) struct esk_sequence *sequence = NULL;
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
    CLEANUP(esk_sequence_free) struct esk_sequence *sequence = NULL;
    struct packet_header header;
    struct error err = ERROR_INIT;
    uint64_t offset;
    size_t front_size;

    (void)state;
    build_packet(&front, PACKET_MARKER, FRAMING_SHORTEST, "PGP", 3);
    build_packet(&front, PACKET_PKESK, FRAMING_LEGACY, "\3whatever\1", 10);
    add_skesk(&front, "first");
    build_packet(&front, PACKET_PADDING, FRAMING_SHORTEST, "junk", 4);
    build_packet(&front, PACKET_SKESK, FRAMING_SHORTEST, "\7x", 2);
    build_packet(&front, 45, FRAMING_SHORTEST, "unknown", 7);
    add_skesk(&front, "second");
    front_size = front.size;
    build_packet(&front, PACKET_SEIPD, FRAMING_SHORTEST, "\1body", 5);
    assert_succeeds(read_front(&front, &sequence, &offset, &header, &err));
    assert_int_equal(sequence->count, 2);
    assert_int_equal(sequence->skesk_packets, 3);
    assert_int_equal(sequence->unusable.kind, ERROR_UNSUPPORTED);
    assert_int_equal(sequence->pkesk_v3.size, 6 + 10);
    assert_memory_equal(sequence->pkesk_v3.bytes, "\xc1\xff\0\0\0\x0a\3whatever\1", 16);
    assert_int_equal(sequence->pkesk_v6.size, 0);
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
        {"-----BEGIN PGP MESSAGE-----\n", ERROR_CORRUPT, "not an OpenPGP message"},
        {"\xcb\x01x", ERROR_CORRUPT, "is not encrypted"},
        {"\xa3x", ERROR_CORRUPT, "is not encrypted"},
        {"\xc4\x01x", ERROR_CORRUPT, "is not encrypted"},
        {"\x88\x01x", ERROR_CORRUPT, "is not encrypted"},
        {"\xc9\x01x", ERROR_CORRUPT, "no integrity protection"},
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
        {PACKET_SIGNATURE, ERROR_CORRUPT, "is not encrypted"},
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

static void the_data_of_librepgp_is_encrypted_data(void **state)
{
    CLEANUP(octets_clear) struct octets front = {0};
    CLEANUP(esk_sequence_free) struct esk_sequence *sequence = NULL;
    struct packet_header header;
    struct error err = ERROR_INIT;
    uint64_t offset;

    (void)state;
    add_skesk(&front, "secret");
    build_packet(&front, PACKET_AEAD_ENCRYPTED_DATA, FRAMING_SHORTEST, "\1body", 5);
    assert_succeeds(read_front(&front, &sequence, &offset, &header, &err));
    assert_int_equal(header.type, PACKET_AEAD_ENCRYPTED_DATA);
}

/* Argon2 with 2 GiB, as RFC 9580 appendix A.12 has it: another packet may serve. */
static void a_derivation_over_the_memory_limit_is_stepped_over(void **state)
{
    static const char argon2[] = "\4\7\4sixteen octets..\1\4\25";
    CLEANUP(octets_clear) struct octets front = {0};
    CLEANUP(esk_sequence_free) struct esk_sequence *sequence = NULL;
    struct packet_header header;
    struct error err = ERROR_INIT;
    uint64_t offset;

    (void)state;
    build_packet(&front, PACKET_SKESK, FRAMING_SHORTEST, argon2, sizeof argon2 - 1);
    add_skesk(&front, "secret");
    build_packet(&front, PACKET_SEIPD, FRAMING_SHORTEST, "\1body", 5);
    assert_succeeds(read_front(&front, &sequence, &offset, &header, &err));
    assert_int_equal(sequence->count, 1);
    assert_int_equal(sequence->unusable.kind, ERROR_TOO_LARGE);
}

static void pkesks_are_kept_by_version_up_to_a_limit(void **state)
{
    static const uint8_t body[8 * KIB] = {PKESK_VERSION_FINGERPRINT, 1, 2, 3};
    CLEANUP(octets_clear) struct octets front = {0};
    CLEANUP(esk_sequence_free) struct esk_sequence *sequence = NULL;
    struct packet_header header;
    struct error err = ERROR_INIT;
    uint64_t offset;

    (void)state;
    build_packet(&front, PACKET_PKESK, FRAMING_SHORTEST, "\2ignored", 8);
    for (size_t i = 0; i < LIMIT_PKESK_BYTES / sizeof body; i++)
        build_packet(&front, PACKET_PKESK, FRAMING_SHORTEST, body, sizeof body);
    build_packet(&front, PACKET_SEIPD, FRAMING_SHORTEST, "\2body", 5);
    assert_succeeds(read_front(&front, &sequence, &offset, &header, &err));
    assert_true(sequence->pkesk_v6.is_cut);
    assert_int_equal(sequence->pkesk_v6.size % (6 + sizeof body), 0);
    assert_in_range(sequence->pkesk_v6.size, LIMIT_PKESK_BYTES - 2 * sizeof body,
                    LIMIT_PKESK_BYTES);
    assert_int_equal(sequence->pkesk_v3.size, 0);
    assert_false(sequence->pkesk_v3.is_cut);
    assert_ptr_equal(esk_sequence_pkesks(sequence, ENCRYPTED_DATA_SEIPD_V1), &sequence->pkesk_v3);
    assert_ptr_equal(esk_sequence_pkesks(sequence, ENCRYPTED_DATA_SEIPD_V2), &sequence->pkesk_v6);
}

static void a_front_that_is_cut_off_is_damage(void **state)
{
    CLEANUP(octets_clear) struct octets front = {0};

    (void)state;
    add_skesk(&front, "secret");
    build_packet(&front, PACKET_PKESK, FRAMING_SHORTEST, "\3whatever\1", 10);
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
        {"\xc1\x00", 2},         /* a PKESK without a version */
        {"\xc1\x04\3key", 6},    /* one that ends in the key ID */
        {"\xc1\x02\6\x21", 4},   /* one that ends in the fingerprint */
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
    CLEANUP(esk_sequence_free) struct esk_sequence *sequence = NULL;
    struct packet_header header;
    struct error err = ERROR_INIT;
    uint64_t offset;

    (void)state;
    for (int i = 0; i < LIMIT_SKESK_PACKETS; i++)
        add_skesk(&many, "secret");
    build_packet(&many, PACKET_SEIPD, FRAMING_SHORTEST, "\1body", 5);
    assert_succeeds(read_front(&many, &sequence, &offset, &header, &err));
    assert_int_equal(sequence->count, LIMIT_SKESK_PACKETS);
    many.size = (size_t)offset;
    add_skesk(&many, "secret");
    assert_front_fails(&many, ERROR_TOO_LARGE, "session key packets");
    build_packet(&large, PACKET_SKESK, FRAMING_SHORTEST, body, sizeof body);
    assert_front_fails(&large, ERROR_TOO_LARGE, "bytes");
}

static void a_large_packet_of_another_kind_is_stepped_over(void **state)
{
    CLEANUP(memory_free) uint8_t *body = calloc(1, 100 * KIB);
    CLEANUP(octets_clear) struct octets front = {0};
    CLEANUP(esk_sequence_free) struct esk_sequence *sequence = NULL;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(collects_session_key_packets_up_to_the_encrypted_data),
        bed_test(says_what_stands_there_instead_of_a_message),
        bed_test(the_kind_of_data_is_judged_behind_session_keys_too),
        bed_test(the_data_of_librepgp_is_encrypted_data),
        bed_test(a_derivation_over_the_memory_limit_is_stepped_over),
        bed_test(pkesks_are_kept_by_version_up_to_a_limit),
        bed_test(a_front_that_is_cut_off_is_damage),
        bed_test(malformed_session_key_packets_are_damage),
        bed_test(caps_the_number_and_size_of_session_key_packets),
        bed_test(a_large_packet_of_another_kind_is_stepped_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
