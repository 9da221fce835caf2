/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/cfb_cipher.h"

#include "crypto/encoding.h"
#include "support/crypto_arena.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <stdlib.h>

#define MAXIMUM_BYTES 64

/* Everything as hexadecimal digits. */
struct example {
    enum cipher_algorithm algorithm;
    const char *key;
    const char *iv; /* NULL for none */
    const char *plaintext;
    const char *ciphertext;
};

#define NIST_IV "000102030405060708090a0b0c0d0e0f"
#define NIST_PLAINTEXT                                                                             \
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"                             \
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"

/* 45 bytes, so that the last block is a part of one. */
#define COUNTED_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define COUNTED_IV_16 "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
#define COUNTED_IV_8 "a0a1a2a3a4a5a6a7"
#define COUNTED_PLAINTEXT                                                                          \
    "030a11181f262d343b424950575e656c737a81888f969da4abb2b9c0c7ced5dc"                             \
    "e3eaf1f8ff060d141b22293037"

static const struct example examples[] = {
    /* NIST SP 800-38A F.3.13, F.3.15, F.3.17 */
    {CIPHER_AES128, "2b7e151628aed2a6abf7158809cf4f3c", NIST_IV, NIST_PLAINTEXT,
     "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"
     "26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6"},
    {CIPHER_AES192, "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", NIST_IV, NIST_PLAINTEXT,
     "cdc80d6fddf18cab34c25909c99a417467ce7f7f81173621961a2b70171d3d7a"
     "2e1e8a1dd59b88b1c8e60fed1efac4c9c05f9f9ca9834fa042ae8fba584b09ff"},
    {CIPHER_AES256, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", NIST_IV,
     NIST_PLAINTEXT,
     "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b"
     "df10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471"},
    /* The same by another library: OpenSSL's `enc` */
    {CIPHER_CAMELLIA128, COUNTED_KEY, COUNTED_IV_16, COUNTED_PLAINTEXT,
     "96d013a6d63c6d539941c0c621951fee0a480991cad2c1e6dd6a24e7b7565217"
     "8f0a48a5f12b3432d8a0afb3a1"},
    {CIPHER_CAMELLIA192, COUNTED_KEY, COUNTED_IV_16, COUNTED_PLAINTEXT,
     "e69170fb4af1ad992912a3ace0b6173a63651b7cd8faba7105be0c62945a1b6d"
     "60508cf4fa5945ddf02fa8ce33"},
    {CIPHER_CAMELLIA256, COUNTED_KEY, COUNTED_IV_16, COUNTED_PLAINTEXT,
     "fb6eb6498c0bff6700b50cfda1ee03f938ae571a09101f13583729119042f73a"
     "d52f3f77383817e117d0b11173"},
    {CIPHER_TRIPLE_DES, COUNTED_KEY, COUNTED_IV_8, COUNTED_PLAINTEXT,
     "da25d656716d1c39a413e5bcae57743a89c659b3b04da8677f62f3e53ebb2bb6"
     "7c4c1273cf3302cd463892a8ea"},
    {CIPHER_BLOWFISH, COUNTED_KEY, COUNTED_IV_8, COUNTED_PLAINTEXT,
     "e833160682e7076dce21d4e03ee229efa21f33b6ecf7734037c0b49838a73e58"
     "90706c2239e9f144a4cce77a1b"},
    {CIPHER_CAST5, COUNTED_KEY, COUNTED_IV_8, COUNTED_PLAINTEXT,
     "4e247b65bf1eba0cc8f2f73e0ceb36acf2122eaf6f490780ad273080bff489fa"
     "69facaaecb040353a6cd7633f5"},
    /* Twofish's own ECB vector: of zeros from an IV of zeros, the first block is the cipher itself */
    {CIPHER_TWOFISH, "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff", NULL,
     "00000000000000000000000000000000", "37527be0052334b89f0cfccae87cfa20"},
};

static const struct {
    enum cipher_algorithm algorithm;
    size_t key_size;
    size_t block_size;
} sizes[] = {
    {CIPHER_TRIPLE_DES, 24, 8},   {CIPHER_CAST5, 16, 8},        {CIPHER_BLOWFISH, 16, 8},
    {CIPHER_AES128, 16, 16},      {CIPHER_AES192, 24, 16},      {CIPHER_AES256, 32, 16},
    {CIPHER_TWOFISH, 32, 16},     {CIPHER_CAMELLIA128, 16, 16}, {CIPHER_CAMELLIA192, 24, 16},
    {CIPHER_CAMELLIA256, 32, 16},
};

static void from_hex(const char *digits, size_t size, uint8_t *out)
{
    assert_true(decode_hex(digits, size, out));
}

static struct cfb_cipher *cipher_of(const struct example *example)
{
    struct cfb_cipher *cipher = NULL;
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES], iv[CIPHER_MAXIMUM_BLOCK_BYTES];
    struct error err = ERROR_INIT;

    from_hex(example->key, cipher_key_size(example->algorithm), key);
    if (example->iv != NULL)
        from_hex(example->iv, cipher_block_size(example->algorithm), iv);
    assert_succeeds(
        cfb_cipher_new(example->algorithm, key, example->iv == NULL ? NULL : iv, &cipher, &err));
    return cipher;
}

static void key_and_block_sizes_are_those_of_the_ciphers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        assert_int_equal(cipher_key_size(sizes[i].algorithm), sizes[i].key_size);
        assert_int_equal(cipher_block_size(sizes[i].algorithm), sizes[i].block_size);
        assert_true(sizes[i].key_size <= CIPHER_MAXIMUM_KEY_BYTES);
        assert_true(sizes[i].block_size <= CIPHER_MAXIMUM_BLOCK_BYTES);
    }
}

static void streams_are_those_of_the_published_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        CLEANUP(cfb_cipher_free) struct cfb_cipher *encryptor = cipher_of(&examples[i]);
        CLEANUP(cfb_cipher_free) struct cfb_cipher *decryptor = cipher_of(&examples[i]);
        const size_t size = strlen(examples[i].plaintext) / 2;
        uint8_t plaintext[MAXIMUM_BYTES], ciphertext[MAXIMUM_BYTES], out[MAXIMUM_BYTES];

        from_hex(examples[i].plaintext, size, plaintext);
        from_hex(examples[i].ciphertext, size, ciphertext);
        cfb_cipher_encrypt(encryptor, out, plaintext, size);
        assert_memory_equal(out, ciphertext, size);
        cfb_cipher_decrypt(decryptor, out, ciphertext, size);
        assert_memory_equal(out, plaintext, size);
    }
}

static void bytes_may_be_changed_in_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        CLEANUP(cfb_cipher_free) struct cfb_cipher *cipher = cipher_of(&examples[i]);
        const size_t size = strlen(examples[i].plaintext) / 2;
        uint8_t expected[MAXIMUM_BYTES], bytes[MAXIMUM_BYTES];

        from_hex(examples[i].plaintext, size, bytes);
        from_hex(examples[i].ciphertext, size, expected);
        cfb_cipher_encrypt(cipher, bytes, bytes, size);
        assert_memory_equal(bytes, expected, size);
    }
}

/* Property: cut anywhere, the stream is the same. */
static void any_pieces_make_the_same_stream(void **state)
{
    struct pseudo_random random = {.state = 11};
    uint8_t *plaintext = pseudo_random_bytes(12, 5000);
    uint8_t *whole = malloc(5000);
    uint8_t *pieces = malloc(5000);

    (void)state;
    assert_true(whole != NULL && pieces != NULL);
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        CLEANUP(cfb_cipher_free) struct cfb_cipher *one = cipher_of(&examples[i]);
        CLEANUP(cfb_cipher_free) struct cfb_cipher *other = cipher_of(&examples[i]);
        CLEANUP(cfb_cipher_free) struct cfb_cipher *back = cipher_of(&examples[i]);
        size_t done, piece;

        cfb_cipher_encrypt(one, whole, plaintext, 5000);
        for (done = 0; done < 5000; done += piece) {
            piece = pseudo_random_below(&random, 40);
            piece = piece < 5000 - done ? piece : 5000 - done;
            cfb_cipher_encrypt(other, pieces + done, plaintext + done, piece);
        }
        assert_memory_equal(whole, pieces, 5000);
        for (done = 0; done < 5000; done += piece) {
            piece = pseudo_random_below(&random, 40);
            piece = piece < 5000 - done ? piece : 5000 - done;
            cfb_cipher_decrypt(back, pieces + done, pieces + done, piece);
        }
        assert_memory_equal(plaintext, pieces, 5000);
    }
    free(plaintext);
    free(whole);
    free(pieces);
}

/* What makes random access possible: the block before a position is its IV. */
static void decryption_may_start_at_any_block(void **state)
{
    uint8_t *plaintext = pseudo_random_bytes(13, 1000);
    uint8_t ciphertext[1000], out[1000];

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        CLEANUP(cfb_cipher_free) struct cfb_cipher *cipher = cipher_of(&examples[i]);
        const size_t block = cipher_block_size(examples[i].algorithm);

        cfb_cipher_encrypt(cipher, ciphertext, plaintext, sizeof ciphertext);
        for (size_t start = block; start + block <= sizeof ciphertext; start += 5 * block) {
            const size_t size = sizeof ciphertext - start;

            cfb_cipher_restart(cipher, ciphertext + start - block);
            cfb_cipher_decrypt(cipher, out, ciphertext + start, size);
            assert_memory_equal(out, plaintext + start, size);
        }
    }
    free(plaintext);
}

static void restarting_in_the_middle_of_a_block_forgets_the_rest(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        CLEANUP(cfb_cipher_free) struct cfb_cipher *cipher = cipher_of(&examples[i]);
        const size_t size = strlen(examples[i].plaintext) / 2;
        uint8_t plaintext[MAXIMUM_BYTES], ciphertext[MAXIMUM_BYTES], out[MAXIMUM_BYTES];
        uint8_t iv[CIPHER_MAXIMUM_BLOCK_BYTES];

        from_hex(examples[i].plaintext, size, plaintext);
        from_hex(examples[i].ciphertext, size, ciphertext);
        if (examples[i].iv != NULL)
            from_hex(examples[i].iv, cipher_block_size(examples[i].algorithm), iv);
        cfb_cipher_encrypt(cipher, out, plaintext, 5);
        cfb_cipher_restart(cipher, examples[i].iv == NULL ? NULL : iv);
        cfb_cipher_encrypt(cipher, out, plaintext, size);
        assert_memory_equal(out, ciphertext, size);
    }
}

static void no_iv_is_an_iv_of_zeros(void **state)
{
    static const uint8_t zeros[CIPHER_MAXIMUM_BLOCK_BYTES];
    static const uint8_t key[CIPHER_MAXIMUM_KEY_BYTES] = "a key that is nobody's weak key";

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        CLEANUP(cfb_cipher_free) struct cfb_cipher *with = NULL;
        CLEANUP(cfb_cipher_free) struct cfb_cipher *without = NULL;
        struct error err = ERROR_INIT;
        uint8_t a[40] = {0}, b[40] = {0};

        assert_succeeds(cfb_cipher_new(sizes[i].algorithm, key, zeros, &with, &err));
        assert_succeeds(cfb_cipher_new(sizes[i].algorithm, key, NULL, &without, &err));
        cfb_cipher_encrypt(with, a, a, sizeof a);
        cfb_cipher_encrypt(without, b, b, sizeof b);
        assert_memory_equal(a, b, sizeof a);
    }
}

static void no_bytes_leave_the_stream_where_it_is(void **state)
{
    CLEANUP(cfb_cipher_free) struct cfb_cipher *cipher = cipher_of(&examples[0]);
    uint8_t plaintext[MAXIMUM_BYTES], ciphertext[MAXIMUM_BYTES], out[MAXIMUM_BYTES];

    (void)state;
    from_hex(examples[0].plaintext, MAXIMUM_BYTES, plaintext);
    from_hex(examples[0].ciphertext, MAXIMUM_BYTES, ciphertext);
    cfb_cipher_encrypt(cipher, NULL, NULL, 0);
    cfb_cipher_encrypt(cipher, out, plaintext, 20);
    cfb_cipher_encrypt(cipher, NULL, NULL, 0);
    cfb_cipher_decrypt(cipher, NULL, NULL, 0);
    cfb_cipher_encrypt(cipher, out + 20, plaintext + 20, MAXIMUM_BYTES - 20);
    assert_memory_equal(out, ciphertext, MAXIMUM_BYTES);
}

/* A key with identical DES parts or all zeros is the writer's choice: it must still be read. */
static void weak_keys_are_served(void **state)
{
    static const uint8_t zeros[CIPHER_MAXIMUM_KEY_BYTES];

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        CLEANUP(cfb_cipher_free) struct cfb_cipher *encryptor = NULL;
        CLEANUP(cfb_cipher_free) struct cfb_cipher *decryptor = NULL;
        struct error err = ERROR_INIT;
        uint8_t bytes[30] = "thirty bytes of some plaintext";

        assert_succeeds(cfb_cipher_new(sizes[i].algorithm, zeros, NULL, &encryptor, &err));
        assert_succeeds(cfb_cipher_new(sizes[i].algorithm, zeros, NULL, &decryptor, &err));
        cfb_cipher_encrypt(encryptor, bytes, bytes, sizeof bytes);
        assert_memory_not_equal(bytes, "thirty bytes of some plaintext", sizeof bytes);
        cfb_cipher_decrypt(decryptor, bytes, bytes, sizeof bytes);
        assert_memory_equal(bytes, "thirty bytes of some plaintext", sizeof bytes);
    }
}

static void key_schedules_live_in_the_arena_and_leave_it(void **state)
{
    const size_t before = secure_arena_used(*state);
    struct cfb_cipher *cipher = cipher_of(&examples[2]);

    assert_true(secure_arena_used(*state) > before);
    cfb_cipher_free(cipher);
    assert_int_equal(secure_arena_used(*state), before);
    cfb_cipher_free(NULL);
}

static void a_full_arena_is_exhausted_and_not_an_abort(void **state)
{
    static const uint8_t key[CIPHER_MAXIMUM_KEY_BYTES] = "key";
    struct cfb_cipher *cipher = NULL;
    struct error err = ERROR_INIT;
    enum error_kind kinds[ELEMENTS_OF(sizes)];
    void *pages[4096];
    size_t count = 0;

    while (count < ELEMENTS_OF(pages) && (pages[count] = secure_arena_allocate(*state, 1)) != NULL)
        count++;
    assert_true(count < ELEMENTS_OF(pages));
    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        err = (struct error)ERROR_INIT;
        (void)cfb_cipher_new(sizes[i].algorithm, key, NULL, &cipher, &err);
        kinds[i] = err.kind;
    }
    while (count > 0)
        secure_arena_release(*state, pages[--count]);
    assert_null(cipher);
    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++)
        assert_int_equal(kinds[i], ERROR_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_and_block_sizes_are_those_of_the_ciphers),
        cmocka_unit_test(streams_are_those_of_the_published_examples),
        cmocka_unit_test(bytes_may_be_changed_in_place),
        cmocka_unit_test(any_pieces_make_the_same_stream),
        cmocka_unit_test(decryption_may_start_at_any_block),
        cmocka_unit_test(restarting_in_the_middle_of_a_block_forgets_the_rest),
        cmocka_unit_test(no_iv_is_an_iv_of_zeros),
        cmocka_unit_test(no_bytes_leave_the_stream_where_it_is),
        cmocka_unit_test(key_schedules_live_in_the_arena_and_leave_it),
        cmocka_unit_test(a_full_arena_is_exhausted_and_not_an_abort),
        cmocka_unit_test(weak_keys_are_served),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
