/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/s2k.h"

#include "base/clock.h"
#include "codec_bed.h"

static const uint8_t salt[S2K_SALT_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};

static const enum hash_algorithm hashes[] = {HASH_MD5,    HASH_SHA1,     HASH_RIPEMD160,
                                             HASH_SHA224, HASH_SHA256,   HASH_SHA384,
                                             HASH_SHA512, HASH_SHA3_256, HASH_SHA3_512};

/* Derives as the plan says and compares with the builder's slow computation. */
static void compare_with_the_obvious_way(const struct skesk_plan *plan, size_t key_size)
{
    CLEANUP(secure_buffer_free)
    struct secure_buffer *passphrase = bed_passphrase(plan->passphrase);
    struct s2k s2k = {.type = plan->s2k_type, .hash = plan->hash};
    uint8_t expected[CIPHER_MAXIMUM_KEY_BYTES], key[CIPHER_MAXIMUM_KEY_BYTES];
    struct error err = ERROR_INIT;

    if (plan->s2k_type != S2K_SIMPLE)
        memcpy(s2k.salt, salt, sizeof salt);
    if (plan->s2k_type == S2K_ITERATED_AND_SALTED)
        s2k.count = s2k_decode_count((uint8_t)plan->coded_count);
    build_s2k(plan, expected, key_size);
    assert_succeeds(
        s2k_derive(&s2k, bed_arena(), passphrase, UINT64_MAX, NULL, key, key_size, &err));
    assert_memory_equal(key, expected, key_size);
}

static void derives_with_every_type_hash_and_key_size(void **state)
{
    static const unsigned types[] = {S2K_SIMPLE, S2K_SALTED, S2K_ITERATED_AND_SALTED};
    static const size_t key_sizes[] = {16, 24, 32};

    (void)state;
    for (size_t type = 0; type < ELEMENTS_OF(types); type++)
        for (size_t hash = 0; hash < ELEMENTS_OF(hashes); hash++)
            for (size_t size = 0; size < ELEMENTS_OF(key_sizes); size++)
                compare_with_the_obvious_way(&(struct skesk_plan){.passphrase = "correct horse",
                                                                  .hash = hashes[hash],
                                                                  .s2k_type = types[type],
                                                                  .coded_count = 0x10},
                                             key_sizes[size]);
}

static void counts_need_not_be_whole_copies_of_the_passphrase(void **state)
{
    static const unsigned counts[] = {0x00, 0x01, 0x0f, 0x23, 0x60, 0x6b, 0x70};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(counts); i++)
        compare_with_the_obvious_way(&(struct skesk_plan){.passphrase = "seven!!",
                                                          .hash = HASH_SHA1,
                                                          .s2k_type = S2K_ITERATED_AND_SALTED,
                                                          .coded_count = counts[i]},
                                     32);
}

static void a_long_passphrase_is_hashed_at_least_once(void **state)
{
    char passphrase[3000];

    (void)state;
    memset(passphrase, 'x', sizeof passphrase);
    passphrase[sizeof passphrase - 1] = '\0';
    compare_with_the_obvious_way(&(struct skesk_plan){.passphrase = passphrase,
                                                      .hash = HASH_SHA256,
                                                      .s2k_type = S2K_ITERATED_AND_SALTED,
                                                      .coded_count = 0},
                                 32);
}

static void decodes_the_counts_of_rfc_9580(void **state)
{
    (void)state;
    assert_int_equal(s2k_decode_count(0), 1024);
    assert_int_equal(s2k_decode_count(0x60), 65536);
    assert_int_equal(s2k_decode_count(S2K_CODED_COUNT_MAXIMUM), 65011712);
}

static void parses_each_specifier(void **state)
{
    static const uint8_t simple[] = {0, 8};
    static const uint8_t salted[] = {1, 2, 1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t iterated[] = {3, 10, 1, 2, 3, 4, 5, 6, 7, 8, 0x60};
    struct byte_cursor cursor = byte_cursor_over(simple, sizeof simple);
    struct error err = ERROR_INIT;
    struct s2k s2k;

    (void)state;
    assert_succeeds(s2k_parse(&cursor, &s2k, &err));
    assert_int_equal(s2k.type, S2K_SIMPLE);
    assert_int_equal(s2k.hash, HASH_SHA256);
    cursor = byte_cursor_over(salted, sizeof salted);
    assert_succeeds(s2k_parse(&cursor, &s2k, &err));
    assert_int_equal(s2k.type, S2K_SALTED);
    assert_memory_equal(s2k.salt, salt, sizeof salt);
    cursor = byte_cursor_over(iterated, sizeof iterated);
    assert_succeeds(s2k_parse(&cursor, &s2k, &err));
    assert_int_equal(s2k.hash, HASH_SHA512);
    assert_int_equal(s2k.count, 65536);
}

static void a_specifier_that_is_cut_off_is_damage(void **state)
{
    static const uint8_t iterated[] = {3, 10, 1, 2, 3, 4, 5, 6, 7, 8, 0x60};
    struct error err = ERROR_INIT;
    struct s2k s2k;

    (void)state;
    for (size_t size = 0; size < sizeof iterated; size++) {
        struct byte_cursor cursor = byte_cursor_over(iterated, size);

        assert_fails(ERROR_CORRUPT, s2k_parse(&cursor, &s2k, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void names_what_it_does_not_support(void **state)
{
    static const struct {
        uint8_t octets[2];
        const char *text;
    } specifiers[] = {
        {{4, 8}, "Argon2"},           {{2, 8}, "S2K type 2"},           {{101, 8}, "S2K type 101"},
        {{3, 4}, "hash algorithm 4"}, {{3, 110}, "hash algorithm 110"},
    };
    struct error err = ERROR_INIT;
    struct s2k s2k;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(specifiers); i++) {
        struct byte_cursor cursor = byte_cursor_over(specifiers[i].octets, 2);

        assert_fails(ERROR_UNSUPPORTED, s2k_parse(&cursor, &s2k, &err));
        assert_message_has(specifiers[i].text);
    }
}

static const struct s2k strongest = {
    .type = S2K_ITERATED_AND_SALTED, .hash = HASH_SHA256, .count = 65011712};

static void gives_up_when_its_time_is_used_up(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase("x");
    struct error err = ERROR_INIT;
    uint8_t key[32];

    (void)state;
    assert_fails(ERROR_TOO_LARGE, s2k_derive(&strongest, bed_arena(), passphrase,
                                             clock_thread_cpu_ns() + 1000000, NULL, key, 32, &err));
    assert_message_has("CPU");
}

static void ends_when_cancelled(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase("x");
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;
    uint8_t key[32];

    (void)state;
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, s2k_derive(&strongest, bed_arena(), passphrase, UINT64_MAX,
                                             cancel, key, 32, &err));
}

static void says_so_when_locked_memory_is_used_up(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase("x");
    struct error err = ERROR_INIT;
    struct bed_hoard hoard;
    uint8_t key[32];
    int result;

    (void)state;
    bed_hoard_memory(&hoard, 4096);
    result = s2k_derive(&strongest, bed_arena(), passphrase, UINT64_MAX, NULL, key, 32, &err);
    bed_give_back(&hoard);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERROR_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(derives_with_every_type_hash_and_key_size),
        bed_test(counts_need_not_be_whole_copies_of_the_passphrase),
        bed_test(a_long_passphrase_is_hashed_at_least_once),
        bed_test(decodes_the_counts_of_rfc_9580),
        bed_test(parses_each_specifier),
        bed_test(a_specifier_that_is_cut_off_is_damage),
        bed_test(names_what_it_does_not_support),
        bed_test(gives_up_when_its_time_is_used_up),
        bed_test(ends_when_cancelled),
        bed_test(says_so_when_locked_memory_is_used_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
