/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/aead_cipher.h"

#include "crypto/encoding.h"
#include "support/crypto_arena.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <stdlib.h>

#define MAXIMUM_BYTES 128

/* Everything as hexadecimal digits; the ciphertext ends with the tag. */
struct example {
    enum aead_algorithm algorithm;
    enum cipher_algorithm cipher;
    const char *key;
    const char *nonce;
    const char *data;
    const char *plaintext;
    const char *ciphertext;
};

#define GCM_KEY "feffe9928665731c6d6a8f9467308308"
#define GCM_NONCE "cafebabefacedbaddecaf888"
#define GCM_DATA "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define GCM_PLAINTEXT                                                                              \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e24"     \
    "49a6b525b16aedf5aa0de657ba637b39"

/* A literal data packet that says "Hello, world!" and the header of the padding packet behind it. */
#define RFC9580_PLAINTEXT "cb1362000000000048656c6c6f2c20776f726c6421d50e"

#define COUNTED_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define COUNTED_NONCE "a0a1a2a3a4a5a6a7a8a9aaabacadae"
#define COUNTED_PLAINTEXT                                                                          \
    "030a11181f262d343b424950575e656c737a81888f969da4abb2b9c0c7ced5dce3eaf1f8ff060d141b22293037"

static const struct example examples[] = {
    /* The paper "The EAX mode of operation", appendix G */
    {AEAD_ALGORITHM_EAX, CIPHER_AES128, "233952dee4d5ed5f9b9c6d6ff80ff478",
     "62ec67f9c3a4a407fcb2a8c49031a8b3", "6bfb914fd07eae6b", "",
     "e037830e8389f27b025a2d6527e79d01"},
    {AEAD_ALGORITHM_EAX, CIPHER_AES128, "91945d3f4dcbee0bf45ef52255f095a4",
     "becaf043b0a23d843194ba972c66debd", "fa3bfd4806eb53fa", "f7fb",
     "19dd5c4c9331049d0bdab0277408f67967e5"},
    {AEAD_ALGORITHM_EAX, CIPHER_AES128, "8395fcf1e95bebd697bd010bc766aac3",
     "22e7add93cfc6393c57ec0b3c17d6b44", "126735fcc320d25a",
     "ca40d7446e545ffaed3bd12a740a659ffbbb3ceab7",
     "cb8920f87a6c75cff39627b56e3ed197c552d295a7cfc46afc253b4652b1af3795b124ab6e"},
    /* McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 1, 4, 16 */
    {AEAD_ALGORITHM_GCM, CIPHER_AES128, "00000000000000000000000000000000",
     "000000000000000000000000", "", "", "58e2fccefa7e3061367f1d57a4e7455a"},
    {AEAD_ALGORITHM_GCM, CIPHER_AES128, GCM_KEY, GCM_NONCE, GCM_DATA, GCM_PLAINTEXT,
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5a"
     "ac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47"},
    {AEAD_ALGORITHM_GCM, CIPHER_AES256, GCM_KEY GCM_KEY, GCM_NONCE, GCM_DATA, GCM_PLAINTEXT,
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10"
     "56828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"},
    /* RFC 9580 appendices A.9 to A.11: the session keys */
    {AEAD_ALGORITHM_EAX, CIPHER_AES128, "2fce331f39dd955cc41e95d870c72139",
     "69224f919993b3506fa3b59a6a73cff8", "c3060701", "3881bafe985412459b86c36f98cb9a5e",
     "c5efc5f41c57fb54e1c226815d7828f5f92c454eb65ebe00ab5986c68e6e7c55"},
    {AEAD_ALGORITHM_OCB, CIPHER_AES128, "38a9b345b5680bb61bb65d73eec7ecd9",
     "cfcc5c11664edb9db42590d7dc46b0", "c3060702", "28e79ab82397d3c63de24ac217d7b791",
     "7241b612c3812cfffbea00f2347b25641123f887ae60d4fd614e0837d819d36c"},
    {AEAD_ALGORITHM_GCM, CIPHER_AES128, "7a6f9ab7f99f7ef8dbef841c650800f5",
     "b42e7c483ef4884457cb3726", "c3060703", "1936fc8568980274bb900d8319360c77",
     "b9b3db9ff776e5f4d9a40952e2447298851abfff7526df2dd554417579a7799f"},
    /* The same appendices: the first chunks of the data (A.9.4, A.10.4, A.11.4) */
    {AEAD_ALGORITHM_EAX, CIPHER_AES128, "b50422ac1c26be9ddd831d5bbb36b64f",
     "78b833f2e94a60c00000000000000000", "d202070106",
     RFC9580_PLAINTEXT "ae5bf0cd6705500355816cb0c8ff",
     "4a3d226ed6afcb9ca9ac122c1470e11c63d4c0ab241c6a938ad48bf99a5a99b90bba8325de61047540258ab7959a9"
     "5ad051dda96eb"},
    {AEAD_ALGORITHM_OCB, CIPHER_AES128, "71662a11ee5b4e08144e6de883a00999",
     "ebde12bb570dcf0000000000000000", "d202070206",
     RFC9580_PLAINTEXT "ae6aa1649b56aa835b2613902bd2",
     "ff9fd38562758035bc49754ce1bf3fffa7dad0a3b8104f5133cf42a4100a83eef4ca1b4801a8846bf42bcda7c8ce9"
     "d65e212f301cb"},
    {AEAD_ALGORITHM_GCM, CIPHER_AES128, "ea1438803cb8a47740ce9b54c338778d",
     "4d2bdc2b0000000000000000", "d202070306", RFC9580_PLAINTEXT "1ce2269a9eddef81032172b7ed7c",
     "fc6fc6d65bbfd24dcd0790966e6d1e85a30053784cb1d8b6a0699ef12155a7b2ad6258531b57651fd7777912fa95e"
     "35d9b40216f69"},
    /* The RFC of OCB has examples with shorter nonces only. By another library: OpenSSL's. */
    {AEAD_ALGORITHM_OCB, CIPHER_AES128, COUNTED_KEY, COUNTED_NONCE, "686561646572", "",
     "d4edfa404a97de4cdbe9ea0e64107ef6"},
    {AEAD_ALGORITHM_OCB, CIPHER_AES192, COUNTED_KEY, COUNTED_NONCE, "686561646572",
     "030a11181f262d343b424950575e656c",
     "e9c7654402792d07279fa5d91eb2bc1f0e794857c1066b172c699437bf7b8971"},
    {AEAD_ALGORITHM_OCB, CIPHER_AES256, COUNTED_KEY, COUNTED_NONCE, "686561646572",
     COUNTED_PLAINTEXT,
     "50826abc488dc1aab09d0d48371701683ed846cec81ec4d58fc42c88e722d4f9ca256432191015477e79b74d"
     "16c8bf9d146419239dcf5ce776ba8311cf"},
};

/* One example as bytes. */
struct case_bytes {
    uint8_t nonce[AEAD_MAXIMUM_NONCE_BYTES];
    uint8_t data[MAXIMUM_BYTES];
    uint8_t plaintext[MAXIMUM_BYTES];
    uint8_t ciphertext[MAXIMUM_BYTES + AEAD_TAG_BYTES];
    size_t data_size;
    size_t size;
};

static size_t from_hex(const char *digits, uint8_t *out)
{
    assert_true(decode_hex(digits, strlen(digits) / 2, out));
    return strlen(digits) / 2;
}

static struct case_bytes bytes_of(const struct example *example)
{
    struct case_bytes bytes;

    assert_int_equal(from_hex(example->nonce, bytes.nonce), aead_nonce_size(example->algorithm));
    bytes.data_size = from_hex(example->data, bytes.data);
    bytes.size = from_hex(example->plaintext, bytes.plaintext);
    assert_int_equal(from_hex(example->ciphertext, bytes.ciphertext), bytes.size + AEAD_TAG_BYTES);
    return bytes;
}

static struct aead_cipher *cipher_of(const struct example *example)
{
    struct aead_cipher *cipher = NULL;
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    struct error err = ERROR_INIT;

    assert_true(decode_hex(example->key, cipher_key_size(example->cipher), key));
    assert_succeeds(aead_cipher_new(example->algorithm, example->cipher, key, &cipher, &err));
    return cipher;
}

static void begin(struct aead_cipher *cipher, const struct case_bytes *bytes)
{
    aead_cipher_begin(cipher, bytes->nonce, bytes->data, bytes->data_size);
}

static void chunks_are_those_of_the_published_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        CLEANUP(aead_cipher_free) struct aead_cipher *cipher = cipher_of(&examples[i]);
        const struct case_bytes bytes = bytes_of(&examples[i]);
        uint8_t out[MAXIMUM_BYTES], tag[AEAD_TAG_BYTES];

        begin(cipher, &bytes);
        aead_cipher_encrypt(cipher, out, bytes.plaintext, bytes.size, true);
        aead_cipher_tag(cipher, tag);
        assert_memory_equal(out, bytes.ciphertext, bytes.size);
        assert_memory_equal(tag, bytes.ciphertext + bytes.size, sizeof tag);
        begin(cipher, &bytes);
        aead_cipher_decrypt(cipher, out, bytes.ciphertext, bytes.size, true);
        assert_true(aead_cipher_check_tag(cipher, bytes.ciphertext + bytes.size));
        assert_memory_equal(out, bytes.plaintext, bytes.size);
    }
}

/* Decrypts an example with one bit of something changed. */
static bool is_authentic(const struct example *example, const struct case_bytes *bytes)
{
    CLEANUP(aead_cipher_free) struct aead_cipher *cipher = cipher_of(example);
    uint8_t out[MAXIMUM_BYTES];

    begin(cipher, bytes);
    aead_cipher_decrypt(cipher, out, bytes->ciphertext, bytes->size, true);
    return aead_cipher_check_tag(cipher, bytes->ciphertext + bytes->size);
}

static void any_changed_octet_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        struct case_bytes bytes = bytes_of(&examples[i]);

        assert_true(is_authentic(&examples[i], &bytes));
        for (size_t place = 0; place < bytes.size + AEAD_TAG_BYTES; place++) {
            bytes.ciphertext[place] ^= 0x20;
            assert_false(is_authentic(&examples[i], &bytes));
            bytes.ciphertext[place] ^= 0x20;
        }
        for (size_t place = 0; place < bytes.data_size; place++) {
            bytes.data[place] ^= 1;
            assert_false(is_authentic(&examples[i], &bytes));
            bytes.data[place] ^= 1;
        }
        for (size_t place = 0; place < aead_nonce_size(examples[i].algorithm); place++) {
            bytes.nonce[place] ^= 1;
            assert_false(is_authentic(&examples[i], &bytes));
            bytes.nonce[place] ^= 1;
        }
    }
}

static void a_cipher_serves_chunk_after_chunk_even_after_a_wrong_tag(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        CLEANUP(aead_cipher_free) struct aead_cipher *cipher = cipher_of(&examples[i]);
        const struct case_bytes bytes = bytes_of(&examples[i]);
        uint8_t out[MAXIMUM_BYTES];

        for (unsigned round = 0; round < 6; round++) {
            const uint8_t *tag = round % 2 == 0 ? bytes.ciphertext + bytes.size : bytes.nonce;

            begin(cipher, &bytes);
            aead_cipher_decrypt(cipher, out, bytes.ciphertext, bytes.size, true);
            assert_int_equal(aead_cipher_check_tag(cipher, tag), round % 2 == 0);
        }
    }
}

static size_t next_piece(struct pseudo_random *random, size_t rest, bool *ret_is_last)
{
    const size_t size = AEAD_PIECE_UNIT_BYTES * pseudo_random_below(random, 20);

    /* An empty last piece is allowed, too. */
    *ret_is_last = rest == 0 || (size > rest);
    return size < rest ? size : rest;
}

/* Property: cut at multiples of the unit, the chunk is the same; and it may be changed in place. */
static void any_pieces_make_the_same_chunk(void **state)
{
    struct pseudo_random random = {.state = 21};
    uint8_t *plaintext = pseudo_random_bytes(22, 3001);
    uint8_t whole[3001], pieces[3001];

    (void)state;
    for (size_t i = 0; i < 60; i++) {
        const struct example *example = &examples[i % ELEMENTS_OF(examples)];
        CLEANUP(aead_cipher_free) struct aead_cipher *cipher = cipher_of(example);
        const struct case_bytes bytes = bytes_of(example);
        const size_t size = pseudo_random_below(&random, sizeof whole + 1);
        uint8_t tag[AEAD_TAG_BYTES], tag_of_pieces[AEAD_TAG_BYTES];
        bool is_last = false;

        begin(cipher, &bytes);
        aead_cipher_encrypt(cipher, whole, plaintext, size, true);
        aead_cipher_tag(cipher, tag);
        memcpy(pieces, plaintext, size);
        begin(cipher, &bytes);
        for (size_t done = 0, piece; !is_last; done += piece) {
            piece = next_piece(&random, size - done, &is_last);
            aead_cipher_encrypt(cipher, pieces + done, pieces + done, piece, is_last);
        }
        aead_cipher_tag(cipher, tag_of_pieces);
        assert_memory_equal(pieces, whole, size);
        assert_memory_equal(tag_of_pieces, tag, sizeof tag);
        begin(cipher, &bytes);
        is_last = false;
        for (size_t done = 0, piece; !is_last; done += piece) {
            piece = next_piece(&random, size - done, &is_last);
            aead_cipher_decrypt(cipher, pieces + done, pieces + done, piece, is_last);
        }
        assert_true(aead_cipher_check_tag(cipher, tag));
        assert_memory_equal(pieces, plaintext, size);
    }
    free(plaintext);
}

static void only_ciphers_with_blocks_of_sixteen_octets_are_taken(void **state)
{
    (void)state;
    assert_true(aead_takes_cipher(CIPHER_AES128));
    assert_true(aead_takes_cipher(CIPHER_AES256));
    assert_true(aead_takes_cipher(CIPHER_TWOFISH));
    assert_true(aead_takes_cipher(CIPHER_CAMELLIA192));
    assert_false(aead_takes_cipher(CIPHER_TRIPLE_DES));
    assert_false(aead_takes_cipher(CIPHER_CAST5));
    assert_false(aead_takes_cipher(CIPHER_BLOWFISH));
}

static void key_schedules_live_in_the_arena_and_leave_it(void **state)
{
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        const size_t before = secure_arena_used(*state);
        struct aead_cipher *cipher = cipher_of(&examples[i]);

        assert_true(secure_arena_used(*state) > before);
        aead_cipher_free(cipher);
        assert_int_equal(secure_arena_used(*state), before);
    }
    aead_cipher_free(NULL);
}

static void a_full_arena_is_exhausted_and_not_an_abort(void **state)
{
    static const uint8_t key[CIPHER_MAXIMUM_KEY_BYTES] = "key";
    struct aead_cipher *cipher = NULL;
    struct error err = ERROR_INIT;
    enum error_kind kinds[3];
    void *pages[4096];
    size_t count = 0;

    while (count < ELEMENTS_OF(pages) && (pages[count] = secure_arena_allocate(*state, 1)) != NULL)
        count++;
    assert_true(count < ELEMENTS_OF(pages));
    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++) {
        err = (struct error)ERROR_INIT;
        (void)aead_cipher_new((enum aead_algorithm)i, CIPHER_AES256, key, &cipher, &err);
        kinds[i] = err.kind;
    }
    while (count > 0)
        secure_arena_release(*state, pages[--count]);
    assert_null(cipher);
    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
        assert_int_equal(kinds[i], ERROR_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_those_of_the_published_examples),
        cmocka_unit_test(any_changed_octet_is_found),
        cmocka_unit_test(a_cipher_serves_chunk_after_chunk_even_after_a_wrong_tag),
        cmocka_unit_test(any_pieces_make_the_same_chunk),
        cmocka_unit_test(only_ciphers_with_blocks_of_sixteen_octets_are_taken),
        cmocka_unit_test(key_schedules_live_in_the_arena_and_leave_it),
        cmocka_unit_test(a_full_arena_is_exhausted_and_not_an_abort),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
