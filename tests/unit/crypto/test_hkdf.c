/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hkdf.h"

#include "crypto/encoding.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#define MAXIMUM_BYTES 96

/* Everything as hexadecimal digits. */
struct example {
    enum hash_algorithm hash;
    const char *key;
    const char *salt;
    const char *info;
    const char *derived;
};

static const struct example examples[] = {
    /* RFC 5869 appendix A.1 to A.4 */
    {HASH_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
     "f0f1f2f3f4f5f6f7f8f9",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
    {HASH_SHA256,
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2"
     "e"
     "2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
     "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8"
     "e"
     "8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
     "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcddd"
     "e"
     "dfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590"
     "e"
     "09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
    {HASH_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    {HASH_SHA1, "0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
     "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2c22e422478d305f3f896"},
    /* RFC 9580 appendix A.9.2 and A.9.4 */
    {HASH_SHA256, "154967e590aa1f923e1c0ac64c88f23d", "", "c3060701",
     "2fce331f39dd955cc41e95d870c72139"},
    {HASH_SHA256, "3881bafe985412459b86c36f98cb9a5e",
     "9ff90e3b321964f3a42913c8dcc6619325015227efb7eaeaa49f04c2e674175d", "d202070106",
     "b50422ac1c26be9ddd831d5bbb36b64f78b833f2e94a60c0"},
};

static size_t from_hex(const char *digits, uint8_t *out)
{
    assert_true(strlen(digits) / 2 <= MAXIMUM_BYTES);
    assert_true(decode_hex(digits, strlen(digits) / 2, out));
    return strlen(digits) / 2;
}

static void keys_are_those_of_the_published_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        uint8_t key[MAXIMUM_BYTES], salt[MAXIMUM_BYTES], info[MAXIMUM_BYTES];
        uint8_t expected[MAXIMUM_BYTES], derived[MAXIMUM_BYTES];
        const size_t key_size = from_hex(examples[i].key, key);
        const size_t salt_size = from_hex(examples[i].salt, salt);
        const size_t info_size = from_hex(examples[i].info, info);
        const size_t size = from_hex(examples[i].derived, expected);
        struct error err = ERROR_INIT;

        assert_succeeds(hkdf_derive(examples[i].hash, key, key_size, salt_size == 0 ? NULL : salt,
                                    salt_size, info_size == 0 ? NULL : info, info_size, derived,
                                    size, &err));
        assert_memory_equal(derived, expected, size);
    }
}

static void every_input_counts(void **state)
{
    uint8_t a[16], b[16];
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(hkdf_derive(HASH_SHA256, "key", 3, "salt", 4, "info", 4, a, sizeof a, &err));
    assert_succeeds(hkdf_derive(HASH_SHA256, "keY", 3, "salt", 4, "info", 4, b, sizeof b, &err));
    assert_memory_not_equal(a, b, sizeof a);
    assert_succeeds(hkdf_derive(HASH_SHA256, "key", 3, "salT", 4, "info", 4, b, sizeof b, &err));
    assert_memory_not_equal(a, b, sizeof a);
    assert_succeeds(hkdf_derive(HASH_SHA256, "key", 3, "salt", 4, "infO", 4, b, sizeof b, &err));
    assert_memory_not_equal(a, b, sizeof a);
    assert_succeeds(hkdf_derive(HASH_SHA512, "key", 3, "salt", 4, "info", 4, b, sizeof b, &err));
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_the_published_examples),
        cmocka_unit_test(every_input_counts),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
