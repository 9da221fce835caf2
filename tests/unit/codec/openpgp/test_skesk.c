/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/skesk.h"

#include "codec_bed.h"

/* The body of the packet that the builder makes: it has a one-octet length. */
static struct byte_cursor body_of(const struct octets *packet)
{
    return byte_cursor_over(packet->data + 2, packet->size - 2);
}

static void assert_gives(const struct skesk_plan *plan, const uint8_t *key,
                         enum cipher_algorithm cipher, const struct octets *packet)
{
    CLEANUP(secure_buffer_free)
    struct secure_buffer *passphrase = bed_passphrase(plan->passphrase);
    CLEANUP(session_key_free) struct session_key *got = NULL;
    struct s2k_allowance allowance = {.cpu_ns = UINT64_MAX};
    struct byte_cursor cursor = body_of(packet);
    struct error err = ERROR_INIT;
    struct skesk skesk;

    assert_succeeds(skesk_parse(&cursor, &skesk, &err));
    assert_succeeds(
        skesk_session_key(&skesk, bed_arena(), passphrase, &allowance, NULL, &got, &err));
    assert_non_null(got);
    if (skesk.version == SKESK_VERSION)
        assert_int_equal(got->algorithm, cipher);
    assert_int_equal(got->size, cipher_key_size(cipher));
    assert_memory_equal(got->key, key, cipher_key_size(cipher));
    assert_true(secure_arena_contains(bed_arena(), got));
}

static void every_cipher_and_type_gives_the_key_directly(void **state)
{
    (void)state;
    for (unsigned cipher = CIPHER_TRIPLE_DES; cipher <= CIPHER_CAMELLIA256; cipher++) {
        for (unsigned type = 0; type <= 3; type++) {
            CLEANUP(octets_clear) struct octets packet = {0};
            struct skesk_plan plan = usual_skesk("secret");
            uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
            enum cipher_algorithm session_cipher;

            plan.cipher = cipher;
            plan.s2k_type = type;
            if (type == 2)
                continue;
            build_skesk(&packet, &plan, key, &session_cipher);
            assert_gives(&plan, key, cipher, &packet);
        }
    }
}

static void every_cipher_encrypts_a_session_key_of_every_other(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        struct skesk_plan plan = usual_skesk("secret");
        uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
        enum cipher_algorithm session_cipher;

        plan.cipher = i / 10;
        plan.session_cipher = i % 10;
        plan.has_encrypted_key = true;
        memset(plan.session_key, (int)i + 1, sizeof plan.session_key);
        build_skesk(&packet, &plan, key, &session_cipher);
        assert_gives(&plan, plan.session_key, plan.session_cipher, &packet);
    }
}

static void a_wrong_passphrase_gives_no_session_key_out_of_an_encrypted_one(void **state)
{
    CLEANUP(octets_clear) struct octets packet = {0};
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase("wrong");
    struct skesk_plan plan = usual_skesk("secret");
    struct s2k_allowance allowance = {.cpu_ns = UINT64_MAX};
    struct session_key *got = NULL;
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;
    struct byte_cursor cursor;
    struct error err = ERROR_INIT;
    struct skesk skesk;

    (void)state;
    plan.has_encrypted_key = true;
    plan.session_cipher = CIPHER_AES256;
    build_skesk(&packet, &plan, key, &cipher);
    cursor = body_of(&packet);
    assert_succeeds(skesk_parse(&cursor, &skesk, &err));
    assert_succeeds(
        skesk_session_key(&skesk, bed_arena(), passphrase, &allowance, NULL, &got, &err));
    assert_null(got);
}

static void a_packet_that_is_cut_off_is_damage(void **state)
{
    static const size_t parameters_size = 4 + S2K_SALT_BYTES + 1;
    CLEANUP(octets_clear) struct octets packet = {0};
    const struct skesk_plan plan = usual_skesk("secret");
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;
    struct error err = ERROR_INIT;
    struct skesk skesk;

    (void)state;
    build_skesk(&packet, &plan, key, &cipher);
    for (size_t size = 0; size < parameters_size; size++) {
        struct byte_cursor cursor = byte_cursor_over(packet.data + 2, size);

        assert_fails(ERROR_CORRUPT, skesk_parse(&cursor, &skesk, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void an_encrypted_key_longer_than_any_cipher_has_is_damage(void **state)
{
    uint8_t body[4 + SKESK_ENCRYPTED_KEY_MAXIMUM_BYTES + 1] = {SKESK_VERSION, 9, S2K_SIMPLE, 8};
    struct byte_cursor cursor = byte_cursor_over(body, sizeof body);
    struct error err = ERROR_INIT;
    struct skesk skesk;

    (void)state;
    assert_fails(ERROR_CORRUPT, skesk_parse(&cursor, &skesk, &err));
    cursor = byte_cursor_over(body, sizeof body - 1);
    assert_succeeds(skesk_parse(&cursor, &skesk, &err));
}

static void names_what_it_does_not_support(void **state)
{
    static const struct {
        uint8_t octets[4];
        const char *text;
    } packets[] = {
        {{3, 9, 0, 8}, "version 3"},
        {{10, 9, 0, 8}, "version 10"},
        {{4, 1, 0, 8}, "symmetric algorithm 1"},
        {{4, 9, 2, 8}, "S2K type 2"},
        {{5, 9, 100, 0}, "AEAD algorithm 100"},
        {{5, 3, 2, 0}, "short blocks"},
        {{6, 30, 9, 4}, "AEAD algorithm 4"},
        {{6, 30, 99, 2}, "symmetric algorithm 99"},
    };
    struct error err = ERROR_INIT;
    struct skesk skesk;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(packets); i++) {
        struct byte_cursor cursor = byte_cursor_over(packets[i].octets, 4);

        assert_fails(ERROR_UNSUPPORTED, skesk_parse(&cursor, &skesk, &err));
        assert_message_has(packets[i].text);
    }
}

static void reads_what_it_writes(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase("secret");
    CLEANUP(session_key_free) struct session_key *key = NULL;
    CLEANUP(session_key_free) struct session_key *got = NULL;
    struct s2k_allowance allowance = {.cpu_ns = UINT64_MAX};
    uint8_t packet[SKESK_WRITTEN_BYTES];
    struct byte_cursor cursor = byte_cursor_over(packet + 6, sizeof packet - 6);
    struct error err = ERROR_INIT;
    struct skesk skesk;

    (void)state;
    assert_succeeds(session_key_new(bed_arena(), &key, &err));
    key->algorithm = CIPHER_AES256;
    memset(key->key, 0x5a, sizeof key->key);
    assert_succeeds(skesk_write(key, bed_arena(), passphrase, packet, &err));
    assert_succeeds(skesk_parse(&cursor, &skesk, &err));
    assert_int_equal(skesk.s2k.count, 65011712);
    assert_succeeds(
        skesk_session_key(&skesk, bed_arena(), passphrase, &allowance, NULL, &got, &err));
    assert_non_null(got);
    assert_memory_equal(got->key, key->key, sizeof key->key);
}

/* Plans for every AEAD mode, version and kind of S2K, and ciphers of all key sizes. */
static struct skesk_plan aead_plan(unsigned number)
{
    static const enum cipher_algorithm ciphers[] = {CIPHER_AES128, CIPHER_AES192, CIPHER_AES256,
                                                    CIPHER_TWOFISH, CIPHER_CAMELLIA128};
    struct skesk_plan plan = usual_skesk("secret");

    plan.version = 5 + number % 2;
    plan.aead = number % 3;
    plan.cipher = ciphers[number % 5];
    plan.session_cipher = ciphers[number / 5 % 5];
    plan.s2k_type = number % 7 == 0 ? S2K_ARGON2 : S2K_ITERATED_AND_SALTED;
    plan.coded_count = number % 7 == 0 ? 5 : 0x10;
    memset(plan.session_key, (int)number + 1, sizeof plan.session_key);
    return plan;
}

static void aead_versions_give_the_key_with_every_mode(void **state)
{
    (void)state;
    for (unsigned number = 0; number < 60; number++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        const struct skesk_plan plan = aead_plan(number);
        uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
        enum cipher_algorithm cipher;

        build_skesk(&packet, &plan, key, &cipher);
        assert_gives(&plan, plan.session_key, plan.session_cipher, &packet);
    }
}

/* A packet in which one bit is wrong is malformed, not supported, or yields no key. */
static void no_flipped_bit_of_an_aead_version_gives_a_key(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase("secret");

    (void)state;
    for (unsigned number = 1; number < 7; number++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        const struct skesk_plan plan = aead_plan(number);
        uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
        enum cipher_algorithm cipher;

        build_skesk(&packet, &plan, key, &cipher);
        for (size_t bit = 16; bit < 8 * packet.size; bit += FEWER_UNDER_TSAN(1, 11)) {
            struct s2k_allowance allowance = {.cpu_ns = 20000000};
            struct session_key *got = NULL;
            struct byte_cursor cursor = body_of(&packet);
            struct error err = ERROR_INIT;
            struct skesk skesk;

            packet.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (skesk_parse(&cursor, &skesk, &err) == 0 && skesk.version != SKESK_VERSION &&
                skesk_session_key(&skesk, bed_arena(), passphrase, &allowance, NULL, &got, &err) ==
                    0)
                assert_null(got);
            packet.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

static void an_aead_packet_that_is_cut_off_is_no_packet_of_its_key(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase("secret");

    (void)state;
    for (unsigned number = 1; number < 7; number++) {
        CLEANUP(octets_clear) struct octets packet = {0};
        const struct skesk_plan plan = aead_plan(number);
        uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
        enum cipher_algorithm cipher;

        build_skesk(&packet, &plan, key, &cipher);
        for (size_t size = 0; size < packet.size - 2; size++) {
            struct byte_cursor cursor = byte_cursor_over(packet.data + 2, size);
            struct s2k_allowance allowance = {.cpu_ns = UINT64_MAX};
            struct session_key *got = NULL;
            struct error err = ERROR_INIT;
            struct skesk skesk;

            if (size < packet.size - 2 - cipher_key_size(plan.session_cipher)) {
                assert_fails(ERROR_CORRUPT, skesk_parse(&cursor, &skesk, &err));
                assert_string_equal(err.message, DAMAGED_MESSAGE);
            } else if (skesk_parse(&cursor, &skesk, &err) == 0) {
                assert_succeeds(skesk_session_key(&skesk, bed_arena(), passphrase, &allowance, NULL,
                                                  &got, &err));
                assert_null(got);
            }
        }
    }
}

static void version_6_counts_must_be_right(void **state)
{
    CLEANUP(octets_clear) struct octets packet = {0};
    const struct skesk_plan plan = aead_plan(1);
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;
    struct error err = ERROR_INIT;
    struct skesk skesk;

    (void)state;
    build_skesk(&packet, &plan, key, &cipher);
    for (size_t place = 3; place <= 6; place += 3) {
        const uint8_t right = packet.data[place];

        for (unsigned count = 0; count < 256; count++) {
            struct byte_cursor cursor = body_of(&packet);

            packet.data[place] = (uint8_t)count;
            if (count == right)
                assert_succeeds(skesk_parse(&cursor, &skesk, &err));
            else
                assert_fails(ERROR_CORRUPT, skesk_parse(&cursor, &skesk, &err));
        }
        packet.data[place] = right;
    }
}

static void each_kind_of_data_has_its_versions(void **state)
{
    (void)state;
    for (uint8_t version = 0; version < 12; version++) {
        assert_int_equal(skesk_version_goes_with(version, ENCRYPTED_DATA_SEIPD_V1), version == 4);
        assert_int_equal(skesk_version_goes_with(version, ENCRYPTED_DATA_SEIPD_V2), version == 6);
        assert_int_equal(skesk_version_goes_with(version, ENCRYPTED_DATA_LIBREPGP_AEAD),
                         version == 4 || version == 5);
    }
}

static void reads_the_aead_versions_it_writes(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase("secret");
    CLEANUP(session_key_free) struct session_key *key = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(session_key_new(bed_arena(), &key, &err));
    key->algorithm = CIPHER_AES256;
    key->size = 32;
    memset(key->key, 0x5a, sizeof key->key);
    for (unsigned i = 0; i < 6; i++) {
        CLEANUP(session_key_free) struct session_key *got = NULL;
        struct s2k_allowance allowance = {.cpu_ns = UINT64_MAX};
        uint8_t packet[SKESK_AEAD_WRITTEN_MAXIMUM_BYTES];
        struct byte_cursor cursor;
        struct skesk skesk;
        size_t size;

        assert_succeeds(
            skesk_write_aead(key, i % 2 == 0, i / 2, bed_arena(), passphrase, packet, &size, &err));
        assert_in_range(size, 60, sizeof packet);
        assert_int_equal(packet[5], size - 6);
        cursor = byte_cursor_over(packet + 6, size - 6);
        assert_succeeds(skesk_parse(&cursor, &skesk, &err));
        assert_int_equal(skesk.version, i % 2 == 0 ? 5 : 6);
        assert_int_equal(skesk.aead, i / 2);
        assert_succeeds(
            skesk_session_key(&skesk, bed_arena(), passphrase, &allowance, NULL, &got, &err));
        assert_non_null(got);
        assert_memory_equal(got->key, key->key, sizeof key->key);
    }
}

static void salts_each_packet_anew(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase("secret");
    CLEANUP(session_key_free) struct session_key *key = NULL;
    uint8_t first[SKESK_WRITTEN_BYTES], second[SKESK_WRITTEN_BYTES];
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(session_key_new(bed_arena(), &key, &err));
    key->algorithm = CIPHER_AES256;
    assert_succeeds(skesk_write(key, bed_arena(), passphrase, first, &err));
    assert_succeeds(skesk_write(key, bed_arena(), passphrase, second, &err));
    assert_memory_not_equal(first, second, sizeof first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(every_cipher_and_type_gives_the_key_directly),
        bed_test(every_cipher_encrypts_a_session_key_of_every_other),
        bed_test(a_wrong_passphrase_gives_no_session_key_out_of_an_encrypted_one),
        bed_test(a_packet_that_is_cut_off_is_damage),
        bed_test(an_encrypted_key_longer_than_any_cipher_has_is_damage),
        bed_test(names_what_it_does_not_support),
        bed_test(reads_what_it_writes),
        bed_test(aead_versions_give_the_key_with_every_mode),
        bed_test(no_flipped_bit_of_an_aead_version_gives_a_key),
        bed_test(an_aead_packet_that_is_cut_off_is_no_packet_of_its_key),
        bed_test(version_6_counts_must_be_right),
        bed_test(each_kind_of_data_has_its_versions),
        bed_test(reads_the_aead_versions_it_writes),
        bed_test(salts_each_packet_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
