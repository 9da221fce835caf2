/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hash.h"

#include "crypto/encoding.h"
#include "support/crypto_arena.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <pthread.h>
#include <stdlib.h>

/*
 * Published examples (FIPS 180-4, FIPS 202, RFC 1321, RIPEMD-160): of no byte, of "abc", of 56
 * bytes, which need a second block for the length, and of a million times "a".
 */
static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

static const struct {
    enum hash_algorithm algorithm;
    size_t size;
    const char *digests[4];
} examples[] = {
    {HASH_MD5,
     16,
     {"d41d8cd98f00b204e9800998ecf8427e", "900150983cd24fb0d6963f7d28e17f72",
      "8215ef0796a20bcaaae116d3876c664a", "7707d6ae4e027c70eea2a935c2296f21"}},
    {HASH_SHA1,
     20,
     {"da39a3ee5e6b4b0d3255bfef95601890afd80709", "a9993e364706816aba3e25717850c26c9cd0d89d",
      "84983e441c3bd26ebaae4aa1f95129e5e54670f1", "34aa973cd4c4daa4f61eeb2bdbad27316534016f"}},
    {HASH_RIPEMD160,
     20,
     {"9c1185a5c5e9fc54612808977ee8f548b2258d31", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc",
      "12a053384a9c0c88e405a06c27dcf49ada62eb2b", "52783243c1697bdbe16d37f97f68f08325dc1528"}},
    {HASH_SHA224,
     28,
     {"d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f",
      "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
      "75388b16512776cc5dba5da1fd890150b0c6455cb4f58b1952522525",
      "20794655980c91d8bbb4c1ea97618a4bf03f42581948b2ee4ee7ad67"}},
    {HASH_SHA256,
     32,
     {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}},
    {HASH_SHA384,
     48,
     {"38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da"
      "274edebfe76f65fbd51ad2f14898b95b",
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
      "8086072ba1e7cc2358baeca134c825a7",
      "3391fdddfc8dc7393707a65b1b4709397cf8b1d162af05abfe8f450de5f36bc6"
      "b0455a8520bc4e6f5fe95b1fe3c8452b",
      "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b"
      "07b8b3dc38ecc4ebae97ddd87f3d8985"}},
    {HASH_SHA512,
     64,
     {"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
      "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
      "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
      "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c335"
      "96fd15c13b1b07f9aa1d3bea57789ca031ad85c7a71dd70354ec631238ca3445",
      "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
      "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b"}},
    {HASH_SHA3_256,
     32,
     {"a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
      "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
      "41c0dba2a9d6240849100376a8235e2c82e1b9998a999e21db32dd97496d3376",
      "5c8875ae474a3634ba4fd55ec85bffd661f32aca75c6d699d0cdcb6c115891c1"}},
    {HASH_SHA3_512,
     64,
     {"a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a6"
      "15b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26",
      "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
      "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
      "04a371e84ecfb5b8b77cb48610fca8182dd457ce6f326a0fd3d7ec2f1e91636d"
      "ee691fbe0c985302ba1b0d8dc78c086346b533b49c030d99a27daf1139d6e75e",
      "3c3a876da14034ab60627c077bb98f7e120a2a5370212dffb3385a18d4f38859"
      "ed311d0a9d5141ce9cc5c66ee689b266a8aa18ace8282a0e0db596c90b0a7b87"}},
};

static struct hash *new_hash(enum hash_algorithm algorithm)
{
    struct hash *hash = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(hash_new(algorithm, &hash, &err));
    return hash;
}

/* Finishes and compares with digits; a byte past the digest must stay as it was. */
static void assert_digest(struct hash *hash, size_t size, const char *digits)
{
    uint8_t digest[HASH_MAXIMUM_BYTES + 1];
    char text[2 * HASH_MAXIMUM_BYTES + 1] = "";

    memset(digest, 0xa5, sizeof digest);
    hash_finish(hash, digest);
    encode_hex(digest, size, text);
    assert_string_equal(text, digits);
    assert_int_equal(digest[size], 0xa5);
}

static void update_in_pieces(struct hash *hash, const uint8_t *bytes, size_t size, uint64_t seed)
{
    struct pseudo_random random = {.state = seed};

    while (size > 0) {
        size_t piece = pseudo_random_below(&random, 300);

        piece = piece < size ? piece : size;
        hash_update(hash, bytes, piece);
        bytes += piece;
        size -= piece;
    }
}

static void digests_are_those_of_the_standards(void **state)
{
    uint8_t *million = malloc(1000000);

    (void)state;
    assert_non_null(million);
    memset(million, 'a', 1000000);
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        struct hash *hash = new_hash(examples[i].algorithm);

        /* One object after the other digest: finishing starts anew. */
        assert_digest(hash, examples[i].size, examples[i].digests[0]);
        hash_update(hash, "abc", 3);
        assert_digest(hash, examples[i].size, examples[i].digests[1]);
        hash_update(hash, two_blocks, strlen(two_blocks));
        assert_digest(hash, examples[i].size, examples[i].digests[2]);
        hash_update(hash, million, 1000000);
        assert_digest(hash, examples[i].size, examples[i].digests[3]);
        hash_free(hash);
    }
    free(million);
}

static void pieces_do_not_matter(void **state)
{
    uint8_t *million = malloc(1000000);

    (void)state;
    assert_non_null(million);
    memset(million, 'a', 1000000);
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        struct hash *hash = new_hash(examples[i].algorithm);

        update_in_pieces(hash, million, 1000000, i);
        assert_digest(hash, examples[i].size, examples[i].digests[3]);
        hash_free(hash);
    }
    free(million);
}

static void adding_nothing_changes_nothing(void **state)
{
    struct hash *hash = new_hash(HASH_SHA256);

    (void)state;
    hash_update(hash, NULL, 0);
    hash_update(hash, "abc", 3);
    hash_update(hash, "", 0);
    assert_digest(hash, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_free(hash);
}

static void sizes_are_those_of_the_digests(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        assert_int_equal(hash_size(examples[i].algorithm), examples[i].size);
        assert_true(examples[i].size <= HASH_MAXIMUM_BYTES);
    }
}

static void glances_names_are_known_and_no_others(void **state)
{
    static const struct {
        const char *name;
        enum hash_algorithm algorithm;
    } known[] = {{"md5", HASH_MD5},       {"sha1", HASH_SHA1},     {"sha224", HASH_SHA224},
                 {"sha256", HASH_SHA256}, {"sha384", HASH_SHA384}, {"sha512", HASH_SHA512}};
    static const char *const unknown[] = {"",        "SHA256", "sha-256",    "sha2",
                                          "sha5121", "sha51",  "sha512 ",    " sha512",
                                          "blake2b", "crc32",  "sha512/256", "sha512\n"};
    enum hash_algorithm algorithm;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(known); i++) {
        assert_true(hash_algorithm_from_name(known[i].name, &algorithm));
        assert_int_equal(algorithm, known[i].algorithm);
    }
    for (size_t i = 0; i < ELEMENTS_OF(unknown); i++)
        assert_false(hash_algorithm_from_name(unknown[i], &algorithm));
}

static void what_everybody_may_see_has_the_same_digest_and_takes_no_locked_memory(void **state)
{
    const size_t used = secure_arena_used(*state);
    struct hash *hash = NULL;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        assert_succeeds(hash_new_public(examples[i].algorithm, &hash, &err));
        update_in_pieces(hash, (const uint8_t *)two_blocks, strlen(two_blocks), i);
        assert_digest(hash, examples[i].size, examples[i].digests[2]);
        assert_int_equal(secure_arena_used(*state), used);
        hash_free(hash);
    }
}

static void a_half_filled_hash_can_be_dropped(void **state)
{
    struct hash *hash = new_hash(HASH_SHA512);

    (void)state;
    hash_update(hash, "abc", 3);
    hash_free(hash);
    hash_free(NULL);
}

/* --- what is left in memory --- */

static struct {
    struct secure_arena *arena; /* NULL: nobody looks */
    const void *word;
    size_t size;
    unsigned inside, outside; /* pieces of memory that held the word when they were wiped */
} wiped;

void __real_explicit_bzero(void *memory, size_t size);
void __wrap_explicit_bzero(void *memory, size_t size);

/* All memory that OpenSSL gives back is wiped, so this sees what it held (the linker's --wrap). */
void __wrap_explicit_bzero(void *memory, size_t size)
{
    if (wiped.arena != NULL && memmem(memory, size, wiped.word, wiped.size) != NULL)
        *(secure_arena_contains(wiped.arena, memory) ? &wiped.inside : &wiped.outside) += 1;
    __real_explicit_bzero(memory, size);
}

static void bytes_that_fill_no_block_lie_in_the_arena_only(void **state)
{
    static const char word[] = "plaintext that is shorter than a block";
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        struct hash *hash = new_hash(examples[i].algorithm);

        hash_update(hash, two_blocks, i);
        hash_update(hash, word, strlen(word));
        memset(&wiped, 0, sizeof wiped);
        wiped.word = word;
        wiped.size = strlen(word);
        wiped.arena = *state;
        hash_free(hash);
        wiped.arena = NULL;
        assert_int_equal(wiped.outside, 0);
        assert_int_equal(wiped.inside, 1);
    }
}

static void *hash_often(void *argument)
{
    unsigned *wrong = argument;

    for (size_t i = 0; i < 200; i++) {
        const size_t chosen = i % ELEMENTS_OF(examples);
        struct hash *hash = NULL;
        struct error err = ERROR_INIT;
        uint8_t digest[HASH_MAXIMUM_BYTES], expected[HASH_MAXIMUM_BYTES];

        if (hash_new(examples[chosen].algorithm, &hash, &err) < 0) {
            ++*wrong;
            continue;
        }
        hash_update(hash, "abc", 3);
        hash_finish(hash, digest);
        *wrong += !decode_hex(examples[chosen].digests[1], examples[chosen].size, expected) ||
                  memcmp(digest, expected, examples[chosen].size) != 0;
        hash_free(hash);
    }
    return NULL;
}

static void threads_with_hashes_of_their_own_do_not_meet(void **state)
{
    pthread_t threads[4];
    unsigned wrong[4] = {0};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_often, &wrong[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(wrong[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standards),
        cmocka_unit_test(pieces_do_not_matter),
        cmocka_unit_test(adding_nothing_changes_nothing),
        cmocka_unit_test(sizes_are_those_of_the_digests),
        cmocka_unit_test(glances_names_are_known_and_no_others),
        cmocka_unit_test(what_everybody_may_see_has_the_same_digest_and_takes_no_locked_memory),
        cmocka_unit_test(a_half_filled_hash_can_be_dropped),
        cmocka_unit_test(bytes_that_fill_no_block_lie_in_the_arena_only),
        cmocka_unit_test(threads_with_hashes_of_their_own_do_not_meet),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
