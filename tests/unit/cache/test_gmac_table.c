/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/gmac_table.h"

#include "support/crypto_arena.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <pthread.h>
#include <stdlib.h>

/* Small stand-ins for the 1 MiB blocks: the table takes any size. */
#define BLOCK_BYTES ((size_t)512)
#define BLOCKS 300 /* more than one growth of the table */

static struct gmac_table *table_of(struct secure_arena *arena, const uint8_t *bytes, size_t blocks)
{
    struct gmac_table *table = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(gmac_table_new(arena, &table, &err));
    for (size_t i = 0; i < blocks; i++)
        assert_succeeds(gmac_table_append(table, bytes + i * BLOCK_BYTES, BLOCK_BYTES, &err));
    return table;
}

static void every_block_matches_its_own_tag_and_no_other(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, BLOCKS * BLOCK_BYTES);
    CLEANUP(gmac_table_free) struct gmac_table *table = table_of(*state, bytes, BLOCKS);
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < BLOCKS; i++) {
        const uint8_t *block = bytes + i * BLOCK_BYTES;

        assert_succeeds(gmac_table_check(table, i, block, BLOCK_BYTES, &err));
        assert_fails(ERROR_CORRUPT,
                     gmac_table_check(table, (i + 1) % BLOCKS, block, BLOCK_BYTES, &err));
    }
}

static void another_size_does_not_match(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, 3 * BLOCK_BYTES);
    CLEANUP(gmac_table_free) struct gmac_table *table = table_of(*state, bytes, 2);
    struct error err = ERROR_INIT;

    assert_fails(ERROR_CORRUPT, gmac_table_check(table, 0, bytes, BLOCK_BYTES - 1, &err));
    assert_fails(ERROR_CORRUPT, gmac_table_check(table, 0, bytes, BLOCK_BYTES + 1, &err));
    assert_fails(ERROR_CORRUPT, gmac_table_check(table, 0, bytes, 0, &err));
}

static void blocks_that_were_never_tagged_do_not_match(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, 2 * BLOCK_BYTES);
    CLEANUP(gmac_table_free) struct gmac_table *empty = table_of(*state, bytes, 0);
    CLEANUP(gmac_table_free) struct gmac_table *table = table_of(*state, bytes, 2);
    static const uint64_t numbers[] = {2, 3, 63, 64, (uint64_t)1 << 32, UINT64_MAX};
    struct error err = ERROR_INIT;

    assert_fails(ERROR_CORRUPT, gmac_table_check(empty, 0, bytes, BLOCK_BYTES, &err));
    assert_fails(ERROR_CORRUPT, gmac_table_check(empty, 0, bytes, 0, &err));
    for (size_t i = 0; i < ELEMENTS_OF(numbers); i++)
        assert_fails(ERROR_CORRUPT, gmac_table_check(table, numbers[i], bytes, BLOCK_BYTES, &err));
}

static void tags_of_one_table_mean_nothing_to_another(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, BLOCK_BYTES);
    uint8_t *changed = pseudo_random_bytes(1, BLOCK_BYTES);
    CLEANUP(gmac_table_free) struct gmac_table *first = table_of(*state, bytes, 1);
    CLEANUP(gmac_table_free) struct gmac_table *second = NULL;
    struct error err = ERROR_INIT;

    changed[100] ^= 1;
    second = table_of(*state, changed, 1);
    assert_succeeds(gmac_table_check(first, 0, bytes, BLOCK_BYTES, &err));
    assert_fails(ERROR_CORRUPT, gmac_table_check(second, 0, bytes, BLOCK_BYTES, &err));
    free(changed);
}

static void the_key_leaves_the_arena_with_the_table(void **state)
{
    const size_t used = secure_arena_used(*state);

    gmac_table_free(table_of(*state, NULL, 0));
    assert_int_equal(secure_arena_used(*state), used);
    gmac_table_free(NULL);
}

struct checker {
    const struct gmac_table *table;
    const uint8_t *bytes;
    pthread_t thread;
    unsigned wrong;
};

static void *check_all(void *argument)
{
    struct checker *checker = argument;

    for (size_t i = 0; i < BLOCKS; i++) {
        struct error err = ERROR_INIT;

        checker->wrong += gmac_table_check(checker->table, i, checker->bytes + i * BLOCK_BYTES,
                                           BLOCK_BYTES, &err) != 0;
        checker->wrong +=
            gmac_table_check(checker->table, i, checker->bytes, BLOCK_BYTES - 1, &err) == 0;
    }
    return NULL;
}

static void many_threads_check_a_full_table(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, BLOCKS * BLOCK_BYTES);
    CLEANUP(gmac_table_free) struct gmac_table *table = table_of(*state, bytes, BLOCKS);
    struct checker checkers[4];

    for (size_t i = 0; i < ELEMENTS_OF(checkers); i++) {
        checkers[i] = (struct checker){.table = table, .bytes = bytes};
        assert_int_equal(pthread_create(&checkers[i].thread, NULL, check_all, &checkers[i]), 0);
    }
    for (size_t i = 0; i < ELEMENTS_OF(checkers); i++) {
        assert_int_equal(pthread_join(checkers[i].thread, NULL), 0);
        assert_int_equal(checkers[i].wrong, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_matches_its_own_tag_and_no_other),
        cmocka_unit_test(another_size_does_not_match),
        cmocka_unit_test(blocks_that_were_never_tagged_do_not_match),
        cmocka_unit_test(tags_of_one_table_mean_nothing_to_another),
        cmocka_unit_test(the_key_leaves_the_arena_with_the_table),
        cmocka_unit_test(many_threads_check_a_full_table),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
