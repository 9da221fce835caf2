/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/gmac.h"

#include "support/crypto_arena.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <pthread.h>
#include <stdlib.h>

#define BLOCK_BYTES 5000

static struct gmac_key *new_key(struct secure_arena *arena)
{
    struct gmac_key *key = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(gmac_key_new(arena, &key, &err));
    return key;
}

/* The tag is written whole, and not a byte more. */
static void tag_of(const struct gmac_key *key, uint64_t block, const void *bytes, size_t size,
                   uint8_t ret_tag[GMAC_TAG_BYTES])
{
    uint8_t guarded[GMAC_TAG_BYTES + 1];
    struct error err = ERROR_INIT;

    memset(guarded, 0xa5, sizeof guarded);
    assert_succeeds(gmac_compute(key, block, bytes, size, guarded, &err));
    assert_int_equal(guarded[GMAC_TAG_BYTES], 0xa5);
    memcpy(ret_tag, guarded, GMAC_TAG_BYTES);
}

static void equal_blocks_have_equal_tags(void **state)
{
    CLEANUP(gmac_key_free) struct gmac_key *key = new_key(*state);
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, BLOCK_BYTES);
    uint8_t tag[GMAC_TAG_BYTES], again[GMAC_TAG_BYTES];

    for (uint64_t block = 0; block < 20; block++) {
        tag_of(key, block, bytes, BLOCK_BYTES, tag);
        tag_of(key, block, bytes, BLOCK_BYTES, again);
        assert_memory_equal(tag, again, GMAC_TAG_BYTES);
    }
}

static void any_changed_bit_changes_the_tag(void **state)
{
    CLEANUP(gmac_key_free) struct gmac_key *key = new_key(*state);
    uint8_t bytes[70];
    uint8_t tag[GMAC_TAG_BYTES], changed[GMAC_TAG_BYTES];

    memset(bytes, 0x33, sizeof bytes);
    tag_of(key, 7, bytes, sizeof bytes, tag);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        tag_of(key, 7, bytes, sizeof bytes, changed);
        assert_memory_not_equal(tag, changed, GMAC_TAG_BYTES);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void moved_bytes_change_the_tag(void **state)
{
    CLEANUP(gmac_key_free) struct gmac_key *key = new_key(*state);
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(2, BLOCK_BYTES);
    uint8_t tag[GMAC_TAG_BYTES], changed[GMAC_TAG_BYTES], swapped[16];

    tag_of(key, 0, bytes, BLOCK_BYTES, tag);
    memcpy(swapped, bytes, 16);
    memmove(bytes, bytes + 16, 16);
    memcpy(bytes + 16, swapped, 16);
    tag_of(key, 0, bytes, BLOCK_BYTES, changed);
    assert_memory_not_equal(tag, changed, GMAC_TAG_BYTES);
}

/* Zeros at the end are bytes too: a block cut short or grown by zeros is another one. */
static void another_size_changes_the_tag(void **state)
{
    CLEANUP(gmac_key_free) struct gmac_key *key = new_key(*state);
    static const uint8_t zeros[100];
    uint8_t tags[100][GMAC_TAG_BYTES];

    for (size_t size = 0; size < 100; size++) {
        tag_of(key, 0, zeros, size, tags[size]);
        for (size_t other = 0; other < size; other++)
            assert_memory_not_equal(tags[size], tags[other], GMAC_TAG_BYTES);
    }
}

static void another_block_number_changes_the_tag(void **state)
{
    static const uint64_t numbers[] = {0,
                                       1,
                                       2,
                                       255,
                                       256,
                                       65536,
                                       UINT64_C(1) << 24,
                                       UINT64_C(1) << 32,
                                       UINT64_C(1) << 40,
                                       UINT64_C(1) << 48,
                                       UINT64_C(1) << 56,
                                       UINT64_C(1) << 63,
                                       UINT64_MAX};
    CLEANUP(gmac_key_free) struct gmac_key *key = new_key(*state);
    uint8_t tags[ELEMENTS_OF(numbers)][GMAC_TAG_BYTES];

    for (size_t i = 0; i < ELEMENTS_OF(numbers); i++) {
        tag_of(key, numbers[i], "block", 5, tags[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(tags[i], tags[j], GMAC_TAG_BYTES);
    }
}

static void every_key_is_another_one(void **state)
{
    uint8_t tags[20][GMAC_TAG_BYTES];

    for (size_t i = 0; i < ELEMENTS_OF(tags); i++) {
        CLEANUP(gmac_key_free) struct gmac_key *key = new_key(*state);

        tag_of(key, 0, "block", 5, tags[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(tags[i], tags[j], GMAC_TAG_BYTES);
    }
}

/*
 * GHASH is linear: for one key and nonce the difference of two tags depends only on the
 * difference of the messages, and the tag of no bytes is E(J0) ^ GHASH of a zero length block.
 * A MAC that is something else than GMAC does not have this property.
 */
static void tags_are_as_linear_as_ghash(void **state)
{
    CLEANUP(gmac_key_free) struct gmac_key *key = new_key(*state);
    CLEANUP(memory_free) uint8_t *a = pseudo_random_bytes(3, 64);
    CLEANUP(memory_free) uint8_t *b = pseudo_random_bytes(4, 64);
    uint8_t sum[64], zero[64] = {0};
    uint8_t tag_a[GMAC_TAG_BYTES], tag_b[GMAC_TAG_BYTES], tag_sum[GMAC_TAG_BYTES];
    uint8_t tag_zero[GMAC_TAG_BYTES];

    for (size_t i = 0; i < sizeof sum; i++)
        sum[i] = a[i] ^ b[i];
    tag_of(key, 9, a, 64, tag_a);
    tag_of(key, 9, b, 64, tag_b);
    tag_of(key, 9, sum, 64, tag_sum);
    tag_of(key, 9, zero, 64, tag_zero);
    for (size_t i = 0; i < GMAC_TAG_BYTES; i++)
        assert_int_equal(tag_a[i] ^ tag_b[i], tag_sum[i] ^ tag_zero[i]);
}

static void the_key_lives_in_the_arena_and_leaves_it(void **state)
{
    const size_t before = secure_arena_used(*state);
    struct gmac_key *key = new_key(*state);

    assert_true(secure_arena_used(*state) > before);
    gmac_key_free(key);
    assert_int_equal(secure_arena_used(*state), before);
    gmac_key_free(NULL);
}

static void a_full_arena_is_exhausted(void **state)
{
    struct gmac_key *key = NULL;
    struct error err = ERROR_INIT;
    void *pages[4096];
    size_t count = 0;

    while (count < ELEMENTS_OF(pages) && (pages[count] = secure_arena_allocate(*state, 1)) != NULL)
        count++;
    assert_true(count < ELEMENTS_OF(pages));
    assert_fails(ERROR_EXHAUSTED, gmac_key_new(*state, &key, &err));
    assert_null(key);
    while (count > 0)
        secure_arena_release(*state, pages[--count]);
}

struct checker {
    const struct gmac_key *key;
    const uint8_t *bytes;
    uint8_t (*tags)[GMAC_TAG_BYTES];
    pthread_t thread;
    unsigned wrong;
};

static void *check_blocks(void *argument)
{
    struct checker *checker = argument;

    for (uint64_t i = 0; i < 500; i++) {
        uint8_t tag[GMAC_TAG_BYTES];
        struct error err = ERROR_INIT;

        if (gmac_compute(checker->key, i % 50, checker->bytes, BLOCK_BYTES, tag, &err) < 0 ||
            memcmp(tag, checker->tags[i % 50], sizeof tag) != 0)
            checker->wrong++;
    }
    return NULL;
}

static void many_threads_use_one_key(void **state)
{
    CLEANUP(gmac_key_free) struct gmac_key *key = new_key(*state);
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(5, BLOCK_BYTES);
    uint8_t tags[50][GMAC_TAG_BYTES];
    struct checker checkers[6];

    for (uint64_t block = 0; block < 50; block++)
        tag_of(key, block, bytes, BLOCK_BYTES, tags[block]);
    for (size_t i = 0; i < ELEMENTS_OF(checkers); i++) {
        checkers[i] = (struct checker){.key = key, .bytes = bytes, .tags = tags};
        assert_int_equal(pthread_create(&checkers[i].thread, NULL, check_blocks, &checkers[i]), 0);
    }
    for (size_t i = 0; i < ELEMENTS_OF(checkers); i++) {
        assert_int_equal(pthread_join(checkers[i].thread, NULL), 0);
        assert_int_equal(checkers[i].wrong, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_blocks_have_equal_tags),
        cmocka_unit_test(any_changed_bit_changes_the_tag),
        cmocka_unit_test(moved_bytes_change_the_tag),
        cmocka_unit_test(another_size_changes_the_tag),
        cmocka_unit_test(another_block_number_changes_the_tag),
        cmocka_unit_test(every_key_is_another_one),
        cmocka_unit_test(tags_are_as_linear_as_ghash),
        cmocka_unit_test(the_key_lives_in_the_arena_and_leaves_it),
        cmocka_unit_test(a_full_arena_is_exhausted),
        cmocka_unit_test(many_threads_use_one_key),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
