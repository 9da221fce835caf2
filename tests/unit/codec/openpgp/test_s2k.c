/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/s2k.h"

#include "codec_bed.h"
#include "glancefs/limits.h"
#include "support/delay.h"

#include <pthread.h>

static const uint8_t salt[S2K_ARGON2_SALT_BYTES] = {1, 2,  3,  4,  5,  6,  7,  8,
                                                    9, 10, 11, 12, 13, 14, 15, 16};

static const enum hash_algorithm hashes[] = {HASH_MD5,    HASH_SHA1,     HASH_RIPEMD160,
                                             HASH_SHA224, HASH_SHA256,   HASH_SHA384,
                                             HASH_SHA512, HASH_SHA3_256, HASH_SHA3_512};

/* Derives as the plan says and compares with the builder's slow computation. */
static void compare_with_the_obvious_way(const struct skesk_plan *plan, size_t key_size)
{
    CLEANUP(secure_buffer_free)
    struct secure_buffer *passphrase = bed_passphrase(plan->passphrase);
    struct s2k s2k = {.type = plan->s2k_type, .hash = plan->hash};
    struct s2k_allowance allowance = {.cpu_ns = UINT64_MAX};
    uint8_t expected[CIPHER_MAXIMUM_KEY_BYTES], key[CIPHER_MAXIMUM_KEY_BYTES];
    struct error err = ERROR_INIT;

    if (plan->s2k_type != S2K_SIMPLE)
        memcpy(s2k.salt, salt,
               plan->s2k_type == S2K_ARGON2 ? S2K_ARGON2_SALT_BYTES : S2K_SALT_BYTES);
    if (plan->s2k_type == S2K_ARGON2)
        s2k.argon2 = (struct argon2_cost){2, 2, UINT32_C(1) << plan->coded_count};
    if (plan->s2k_type == S2K_ITERATED_AND_SALTED)
        s2k.count = s2k_decode_count((uint8_t)plan->coded_count);
    build_s2k(plan, expected, key_size);
    assert_succeeds(
        s2k_derive(&s2k, bed_arena(), passphrase, &allowance, NULL, key, key_size, &err));
    assert_memory_equal(key, expected, key_size);
    assert_true(allowance.cpu_ns < UINT64_MAX);
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

/* From some length on, the two hashes of a long key are computed by two threads. */
static void a_long_count_gives_the_same_key_by_two_threads(void **state)
{
    (void)state;
    compare_with_the_obvious_way(&(struct skesk_plan){.passphrase = "a passphrase",
                                                      .hash = HASH_SHA1,
                                                      .s2k_type = S2K_ITERATED_AND_SALTED,
                                                      .coded_count = 0x90},
                                 32);
}

static void derives_by_argon2(void **state)
{
    (void)state;
    for (unsigned exponent = 4; exponent < 12; exponent++)
        compare_with_the_obvious_way(&(struct skesk_plan){.passphrase = "a passphrase",
                                                          .s2k_type = S2K_ARGON2,
                                                          .coded_count = exponent},
                                     exponent % 2 == 0 ? 32 : 16);
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
    assert_memory_equal(s2k.salt, salt, S2K_SALT_BYTES);
    cursor = byte_cursor_over(iterated, sizeof iterated);
    assert_succeeds(s2k_parse(&cursor, &s2k, &err));
    assert_int_equal(s2k.hash, HASH_SHA512);
    assert_int_equal(s2k.count, 65536);
}

#define ARGON2_SPECIFIER_BYTES 20

/* Type 4, salt, passes, lanes and exponent of the memory. */
static void make_argon2(uint8_t out[ARGON2_SPECIFIER_BYTES], uint8_t passes, uint8_t lanes,
                        uint8_t exponent)
{
    out[0] = S2K_ARGON2;
    memcpy(out + 1, salt, sizeof salt);
    out[17] = passes;
    out[18] = lanes;
    out[19] = exponent;
}

static void parses_argon2_up_to_the_memory_limit(void **state)
{
    uint8_t octets[ARGON2_SPECIFIER_BYTES] = {0};
    struct byte_cursor cursor = byte_cursor_over(octets, sizeof octets);
    struct error err = ERROR_INIT;
    struct s2k s2k;

    (void)state;
    make_argon2(octets, 3, 4, 17);
    assert_succeeds(s2k_parse(&cursor, &s2k, &err));
    assert_int_equal(s2k.type, S2K_ARGON2);
    assert_memory_equal(s2k.salt, salt, sizeof salt);
    assert_int_equal(s2k.argon2.passes, 3);
    assert_int_equal(s2k.argon2.lanes, 4);
    assert_int_equal(s2k.argon2.memory_kib * KIB, LIMIT_ARGON2_BYTES);
    for (uint8_t exponent = 18; exponent <= 31; exponent++) {
        make_argon2(octets, 3, 4, exponent);
        cursor = byte_cursor_over(octets, sizeof octets);
        assert_fails(ERROR_TOO_LARGE, s2k_parse(&cursor, &s2k, &err));
        assert_message_has("the limit is 128 MiB");
    }
}

static void argon2_without_passes_lanes_or_memory_is_damage(void **state)
{
    static const uint8_t parameters[][3] = {
        {0, 4, 16}, {3, 0, 16}, {1, 1, 2}, {1, 4, 4}, {1, 5, 5}, {1, 255, 10}, {1, 1, 32},
    };
    uint8_t octets[ARGON2_SPECIFIER_BYTES] = {0};
    struct error err = ERROR_INIT;
    struct s2k s2k;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(parameters); i++) {
        struct byte_cursor cursor = byte_cursor_over(octets, sizeof octets);

        make_argon2(octets, parameters[i][0], parameters[i][1], parameters[i][2]);
        assert_fails(ERROR_CORRUPT, s2k_parse(&cursor, &s2k, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void assert_cut_is_damage(const uint8_t *octets, size_t size)
{
    struct error err = ERROR_INIT;
    struct s2k s2k;

    for (size_t cut = 0; cut < size; cut++) {
        struct byte_cursor cursor = byte_cursor_over(octets, cut);

        assert_fails(ERROR_CORRUPT, s2k_parse(&cursor, &s2k, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void a_specifier_that_is_cut_off_is_damage(void **state)
{
    static const uint8_t iterated[] = {3, 10, 1, 2, 3, 4, 5, 6, 7, 8, 0x60};
    uint8_t argon2[ARGON2_SPECIFIER_BYTES];

    (void)state;
    assert_cut_is_damage(iterated, sizeof iterated);
    make_argon2(argon2, 1, 1, 10);
    assert_cut_is_damage(argon2, sizeof argon2);
}

static void names_what_it_does_not_support(void **state)
{
    static const struct {
        uint8_t octets[2];
        const char *text;
    } specifiers[] = {
        {{2, 8}, "S2K type 2"},
        {{101, 8}, "S2K type 101"},
        {{3, 4}, "hash algorithm 4"},
        {{3, 110}, "hash algorithm 110"},
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

/* One of each way to derive: by one hash, by two at once, by Argon2. */
static const struct s2k strongest[] = {
    {.type = S2K_ITERATED_AND_SALTED, .hash = HASH_SHA256, .count = 65011712},
    {.type = S2K_ITERATED_AND_SALTED, .hash = HASH_SHA1, .count = 65011712},
    {.type = S2K_ARGON2, .argon2 = {200, 4, 64 * 1024}},
};

static void gives_up_when_its_time_is_used_up(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase("x");
    struct error err = ERROR_INIT;
    uint8_t key[32];

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(strongest); i++) {
        struct s2k_allowance allowance = {.cpu_ns = 1000000};

        assert_fails(ERROR_TOO_LARGE, s2k_derive(&strongest[i], bed_arena(), passphrase, &allowance,
                                                 NULL, key, 32, &err));
        assert_message_has("CPU");
        assert_int_equal(allowance.cpu_ns, 0);
    }
}

/* Cancels a token after a while, from a thread of its own. */
static void *cancel_soon(void *cancel)
{
    struct error err = ERROR_INIT;

    (void)delay(10, NULL, &err);
    cancel_request(cancel);
    return NULL;
}

static void ends_soon_after_it_is_cancelled(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase("x");
    struct s2k_allowance allowance = {.cpu_ns = UINT64_MAX};
    struct s2k endless = strongest[1];
    struct error err = ERROR_INIT;
    uint8_t key[32];

    (void)state;
    endless.count = UINT64_MAX;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(cancel_unref) struct cancel *cancel = NULL;
        pthread_t thread;

        endless.hash = i == 0 ? HASH_SHA1 : HASH_SHA512;
        assert_succeeds(cancel_new(&cancel, &err));
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, cancel), 0);
        assert_fails(ERROR_CANCELLED, s2k_derive(&endless, bed_arena(), passphrase, &allowance,
                                                 cancel, key, 32, &err));
        (void)pthread_join(thread, NULL);
    }
}

static void ends_when_cancelled(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase("x");
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct s2k_allowance allowance = {.cpu_ns = UINT64_MAX};
    struct error err = ERROR_INIT;
    uint8_t key[32];

    (void)state;
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    for (size_t i = 0; i < ELEMENTS_OF(strongest); i++)
        assert_fails(ERROR_CANCELLED, s2k_derive(&strongest[i], bed_arena(), passphrase, &allowance,
                                                 cancel, key, 32, &err));
}

static void says_so_when_locked_memory_is_used_up(void **state)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = bed_passphrase("x");
    struct s2k_allowance allowance = {.cpu_ns = UINT64_MAX};
    struct error err = ERROR_INIT;
    struct bed_hoard hoard;
    uint8_t key[32];
    int result;

    (void)state;
    bed_hoard_memory(&hoard, 4096);
    result = s2k_derive(&strongest[0], bed_arena(), passphrase, &allowance, NULL, key, 32, &err);
    bed_give_back(&hoard);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERROR_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(derives_with_every_type_hash_and_key_size),
        bed_test(counts_need_not_be_whole_copies_of_the_passphrase),
        bed_test(a_long_count_gives_the_same_key_by_two_threads),
        bed_test(derives_by_argon2),
        bed_test(a_long_passphrase_is_hashed_at_least_once),
        bed_test(decodes_the_counts_of_rfc_9580),
        bed_test(parses_each_specifier),
        bed_test(parses_argon2_up_to_the_memory_limit),
        bed_test(argon2_without_passes_lanes_or_memory_is_damage),
        bed_test(a_specifier_that_is_cut_off_is_damage),
        bed_test(names_what_it_does_not_support),
        bed_test(gives_up_when_its_time_is_used_up),
        bed_test(ends_when_cancelled),
        bed_test(ends_soon_after_it_is_cancelled),
        bed_test(says_so_when_locked_memory_is_used_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
