/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/session_key.h"

#include "codec_bed.h"

/* The start of the encrypted data of a sound message around `packets`. */
static void make_sample(struct octets *message, const struct seipd_plan *plan,
                        const struct session_key *key, const void *packets, size_t size,
                        const uint8_t **ret_sample, size_t *ret_size)
{
    /* Type, one-octet length and version stand before it. */
    const size_t before = 3;

    build_seipd(message, plan, key->algorithm, key->key, packets, size);
    *ret_sample = message->data + before;
    *ret_size = message->size - before;
    if (*ret_size > SESSION_KEY_SAMPLE_BYTES)
        *ret_size = SESSION_KEY_SAMPLE_BYTES;
}

static struct session_key *some_key(enum cipher_algorithm algorithm, int fill)
{
    struct session_key *key = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(session_key_new(bed_arena(), &key, &err));
    key->algorithm = algorithm;
    key->size = cipher_key_size(algorithm);
    memset(key->key, fill, sizeof key->key);
    return key;
}

static bool fits(enum cipher_algorithm algorithm, const struct seipd_plan *plan,
                 const void *packets, size_t size)
{
    CLEANUP(session_key_free) struct session_key *key = some_key(algorithm, 3);
    CLEANUP(octets_clear) struct octets message = {0};
    struct error err = ERROR_INIT;
    const uint8_t *sample;
    size_t sample_size;
    bool result = false;

    make_sample(&message, plan, key, packets, size, &sample, &sample_size);
    assert_succeeds(session_key_fits(key, sample, sample_size, &result, &err));
    return result;
}

static void the_right_key_fits_with_every_cipher(void **state)
{
    CLEANUP(octets_clear) struct octets literal = {0};

    (void)state;
    build_literal(&literal, FRAMING_SHORTEST, "", 0);
    for (unsigned cipher = CIPHER_TRIPLE_DES; cipher <= CIPHER_CAMELLIA256; cipher++)
        assert_true(fits(cipher, NULL, literal.data, literal.size));
}

static void the_quick_check_must_repeat_two_octets(void **state)
{
    const struct seipd_plan plan = {.breaks_quick_check = true};
    CLEANUP(octets_clear) struct octets literal = {0};

    (void)state;
    build_literal(&literal, FRAMING_SHORTEST, "", 0);
    assert_false(fits(CIPHER_AES256, &plan, literal.data, literal.size));
    assert_false(fits(CIPHER_CAST5, &plan, literal.data, literal.size));
}

struct start {
    const char *octets;
    size_t size;
};

static void every_packet_that_may_stand_first_fits(void **state)
{
    static const struct start starts[] = {
        {"\xcb\x06"
         "b\0\0\0\0\0",
         8},
        {"\xac\x06"
         "t\0\0\0\0\0",
         8},
        {"\xaf"
         "u\0\0\0\0\0",
         7},
        {"\xcb\x06"
         "m\0\0\0\0\0",
         8},
        {"\xa3\x01\x00\x00", 4},     /* ZIP */
        {"\xc8\x08\x02\x78\x9c", 5}, /* ZLIB */
        {"\xc8\x08\x02\x58\x85", 5}, /* ZLIB with a smaller window, as gpg writes it */
        {"\xc8\x08\x00\xcb\x06", 5}, /* uncompressed */
        {"\xc8\x08\x03"
         "BZh",
         6},
        {"\xca\x03PGP", 5},  /* marker */
        {"\xd5\x00", 2},     /* padding */
        {"\xe8\x00", 2},     /* unknown, not critical */
        {"\x90\x0d\x03", 3}, /* one-pass signature */
        {"\xc4\x0d\x06", 3},
        {"\xc2\x0d\x04", 3}, /* signature */
        {"\xc3\x0d\x05", 3}, /* SKESK */
        {"\x84\x0d\x03", 3}, /* PKESK */
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(starts); i++)
        if (!fits(CIPHER_AES128, NULL, starts[i].octets, starts[i].size))
            fail_msg("start number %zu does not fit", i);
}

static void only_packets_that_are_ignored_make_a_key_doubtful(void **state)
{
    static const struct {
        struct start start;
        bool is_doubtful;
    } starts[] = {
        {{"\xcb\x06"
          "b\0\0\0\0\0",
          8},
         false},
        {{"\xa3\x01\x00\x00", 4}, false},
        {{"\xca\x03PGP", 5}, false},
        {{"\xd5\x00", 2}, true},
        {{"\xff\x00", 2}, true},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(starts); i++) {
        CLEANUP(session_key_free) struct session_key *key = some_key(CIPHER_AES256, 3);
        CLEANUP(octets_clear) struct octets message = {0};
        struct error err = ERROR_INIT;
        const uint8_t *sample;
        size_t size;
        bool result;

        make_sample(&message, NULL, key, starts[i].start.octets, starts[i].start.size, &sample,
                    &size);
        assert_succeeds(session_key_fits(key, sample, size, &result, &err));
        assert_true(result);
        assert_int_equal(key->is_doubtful, starts[i].is_doubtful);
    }
}

static void no_other_start_fits(void **state)
{
    static const struct start starts[] = {
        {"", 0},                     /* the MDC packet itself */
        {"QFI\xfb", 4},              /* no packet */
        {"\xcb\x06z\0\0\0\0\0", 8},  /* a literal of unknown mode */
        {"\xc8\x08\x04\x00", 4},     /* compression algorithm 4 */
        {"\xc8\x08\x02\x78\x9d", 5}, /* a ZLIB check that is wrong */
        {"\xc8\x08\x02\x79\x00", 5}, /* a ZLIB method that is none */
        {"\xa3\x01\x06\x00", 4},     /* DEFLATE block type 3 */
        {"\xc8\x08\x00\x00\x00", 5}, /* uncompressed, but no packet in it */
        {"\xc8\x08\x03"
         "ZZh",
         6},
        {"\xd2\x20\x01", 3}, /* encrypted data without a session key packet */
        {"\xcc\x20\x01", 3}, /* trust */
        {"\xc3\xe9\x01", 3}, /* an SKESK of partial length */
        {"\xc4\x0d\x07", 3}, /* a one-pass signature of unknown version */
        {"\xca\x03XGP", 5},  /* a marker that does not say PGP */
        {"\xca\x04PGP", 5},  /* one that is too long */
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(starts); i++)
        if (fits(CIPHER_AES128, NULL, starts[i].octets, starts[i].size))
            fail_msg("start number %zu fits", i);
}

static void a_sample_too_short_for_a_message_does_not_fit(void **state)
{
    CLEANUP(session_key_free) struct session_key *key = some_key(CIPHER_AES256, 3);
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets literal = {0};
    struct error err = ERROR_INIT;
    const uint8_t *sample;
    size_t size;
    bool result;

    (void)state;
    build_literal(&literal, FRAMING_SHORTEST, "", 0);
    make_sample(&message, NULL, key, literal.data, literal.size, &sample, &size);
    for (size_t cut = 0; cut < 40; cut++) {
        assert_succeeds(session_key_fits(key, sample, cut, &result, &err));
        assert_false(result);
    }
    assert_succeeds(session_key_fits(key, sample, 40, &result, &err));
    assert_true(result);
}

static void wrong_keys_hardly_ever_fit(void **state)
{
    CLEANUP(session_key_free) struct session_key *key = some_key(CIPHER_AES256, 3);
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets literal = {0};
    struct pseudo_random random = {.state = 99};
    struct error err = ERROR_INIT;
    const uint8_t *sample;
    size_t size;
    bool result;

    (void)state;
    build_literal(&literal, FRAMING_SHORTEST, "content", 7);
    make_sample(&message, NULL, key, literal.data, literal.size, &sample, &size);
    for (int i = 0; i < 5000; i++) {
        pseudo_random_fill(&random, key->key, sizeof key->key);
        assert_succeeds(session_key_fits(key, sample, size, &result, &err));
        assert_false(result);
    }
}

static void says_so_when_locked_memory_is_used_up(void **state)
{
    static const uint8_t sample[SESSION_KEY_SAMPLE_BYTES];
    struct session_key *key = NULL;
    struct error err = ERROR_INIT;
    struct bed_hoard hoard;
    bool result;

    (void)state;
    bed_hoard_memory(&hoard, 0);
    assert_fails(ERROR_EXHAUSTED, session_key_new(bed_arena(), &key, &err));
    bed_give_back(&hoard);
    key = some_key(CIPHER_AES256, 1);
    bed_hoard_memory(&hoard, 0);
    assert_fails(ERROR_EXHAUSTED, session_key_fits(key, sample, sizeof sample, &result, &err));
    bed_give_back(&hoard);
    session_key_free(key);
    session_key_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(the_right_key_fits_with_every_cipher),
        bed_test(the_quick_check_must_repeat_two_octets),
        bed_test(every_packet_that_may_stand_first_fits),
        bed_test(only_packets_that_are_ignored_make_a_key_doubtful),
        bed_test(no_other_start_fits),
        bed_test(a_sample_too_short_for_a_message_does_not_fit),
        bed_test(wrong_keys_hardly_ever_fit),
        bed_test(says_so_when_locked_memory_is_used_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
