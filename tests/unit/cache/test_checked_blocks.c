/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/checked_blocks.h"

#include "base/file_source.h"
#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/memory_source.h"
#include "support/pseudo_random.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <stdlib.h>

#define BLOCKS 8
#define SIZE ((BLOCKS - 1) * MIB + 1234)

struct bed {
    struct secure_arena *arena;
    uint8_t *bytes;
    struct cache_object *object;
    struct byte_source *file;
    struct checked_blocks *blocks;
};

static struct cache_object *make_object(const struct bed *bed)
{
    struct cache_object *object = NULL;
    struct gmac_table *tags = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(gmac_table_new(bed->arena, &tags, &err));
    for (size_t done = 0; done < SIZE; done += MIB)
        assert_succeeds(gmac_table_append(tags, bed->bytes + done,
                                          SIZE - done < MIB ? SIZE - done : MIB, &err));
    assert_succeeds(cache_object_new("name", SIZE, tags, &object, &err));
    return object;
}

static int open_bed(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    struct error err = ERROR_INIT;

    if (bed == NULL || checked_blocks_new(&bed->blocks, &err) < 0)
        return -1;
    bed->arena = *state;
    bed->bytes = pseudo_random_bytes(1, SIZE);
    bed->object = make_object(bed);
    bed->file = memory_source_new(bed->bytes, SIZE, NULL);
    *state = bed;
    return 0;
}

static int close_bed(void **state)
{
    struct bed *bed = *state;

    checked_blocks_free(bed->blocks);
    cache_object_unref(bed->object);
    byte_source_free(bed->file);
    *state = bed->arena;
    free(bed->bytes);
    free(bed);
    return 0;
}

static struct checked_block *get(struct bed *bed, uint64_t number)
{
    struct checked_block *block = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(
        checked_blocks_get(bed->blocks, bed->object, number, bed->file, true, NULL, &block, &err));
    assert_int_equal(block->size, number == BLOCKS - 1 ? SIZE % MIB : MIB);
    assert_memory_equal(block->bytes, bed->bytes + number * MIB, block->size);
    return block;
}

static void assert_reads(struct bed *bed, unsigned count)
{
    assert_int_equal(memory_source_reads(bed->file), count);
}

static void reads_a_block_once_for_all(void **state)
{
    struct bed *bed = *state;
    struct checked_block *first = get(bed, 2);

    assert_ptr_equal(get(bed, 2), first);
    checked_blocks_put(bed->blocks, first);
    checked_blocks_put(bed->blocks, first);
    checked_blocks_put(bed->blocks, get(bed, 2)); /* also when nobody uses it */
    assert_reads(bed, 1);
}

static void keeps_those_used_last(void **state)
{
    struct bed *bed = *state;

    for (uint64_t i = 0; i < CHECKED_BLOCKS_KEPT; i++)
        checked_blocks_put(bed->blocks, get(bed, i));
    checked_blocks_put(bed->blocks, get(bed, 0));
    assert_reads(bed, CHECKED_BLOCKS_KEPT);
    checked_blocks_put(bed->blocks, get(bed, BLOCKS - 1)); /* in the place of number 1 */
    checked_blocks_put(bed->blocks, get(bed, 0));
    assert_reads(bed, CHECKED_BLOCKS_KEPT + 1);
    checked_blocks_put(bed->blocks, get(bed, 1));
    assert_reads(bed, CHECKED_BLOCKS_KEPT + 2);
}

static void a_block_in_use_stays_what_it_is(void **state)
{
    struct bed *bed = *state;
    struct checked_block *held = get(bed, 3);

    for (uint64_t i = 0; i < BLOCKS; i++)
        checked_blocks_put(bed->blocks, get(bed, i));
    assert_memory_equal(held->bytes, bed->bytes + 3 * MIB, MIB);
    checked_blocks_put(bed->blocks, held);
}

static void blocks_of_another_object_are_others(void **state)
{
    struct bed *bed = *state;
    struct cache_object *mine = bed->object;

    checked_blocks_put(bed->blocks, get(bed, 0));
    bed->object = make_object(bed);
    checked_blocks_put(bed->blocks, get(bed, 0));
    assert_reads(bed, 2);
    cache_object_unref(bed->object);
    bed->object = mine;
}

static void a_block_that_does_not_match_is_not_given(void **state)
{
    struct bed *bed = *state;
    struct checked_block *block = NULL;
    struct error err = ERROR_INIT;

    bed->bytes[MIB + 5] ^= 1;
    for (int i = 0; i < 2; i++)
        assert_fails(ERROR_CORRUPT, checked_blocks_get(bed->blocks, bed->object, 1, bed->file, true,
                                                       NULL, &block, &err));
    assert_null(block);
    bed->bytes[MIB + 5] ^= 1;
    checked_blocks_put(bed->blocks, get(bed, 1));
}

static void forgets_an_object(void **state)
{
    struct bed *bed = *state;
    struct checked_block *held = get(bed, 0);

    checked_blocks_put(bed->blocks, get(bed, 1));
    checked_blocks_forget(bed->blocks, bed->object);
    assert_memory_equal(held->bytes, bed->bytes, MIB);
    checked_blocks_put(bed->blocks, held);
    checked_blocks_put(bed->blocks, get(bed, 0));
    assert_reads(bed, 3);
}

/* The object's bytes in a file, as the cache has them. */
static struct byte_source *open_file(const struct bed *bed, const struct temp_dir *dir)
{
    struct byte_source *file = NULL;
    struct error err = ERROR_INIT;

    temp_dir_write(dir, "object", bed->bytes, SIZE);
    assert_succeeds(file_source_open(temp_dir_fd(dir), "object", &file, &err));
    return file;
}

static void what_is_at_hand_needs_no_waiting(void **state)
{
    struct bed *bed = *state;
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(byte_source_free) struct byte_source *file = NULL;
    struct checked_block *block = NULL;
    struct error err = ERROR_INIT;

    temp_dir_write(dir, "object", bed->bytes, SIZE);
    assert_succeeds(file_source_open(temp_dir_fd(dir), "object", &file, &err));
    assert_succeeds(
        checked_blocks_get(bed->blocks, bed->object, BLOCKS - 1, file, false, NULL, &block, &err));
    assert_memory_equal(block->bytes, bed->bytes + (BLOCKS - 1) * MIB, block->size);
    checked_blocks_put(bed->blocks, block);
}

static void a_block_can_be_made_ready_in_the_background(void **state)
{
    struct bed *bed = *state;
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(byte_source_free) struct byte_source *file = open_file(bed, dir);
    struct checked_block *started[BLOCKS];

    for (uint64_t i = 0; i < BLOCKS; i++) {
        started[i] = checked_blocks_start(bed->blocks, bed->object, i, file);
        assert_non_null(started[i]);
    }
    for (uint64_t i = 0; i < BLOCKS; i++) {
        assert_true(checked_blocks_finish(bed->blocks, started[i]));
        assert_memory_equal(started[i]->bytes, bed->bytes + i * MIB, started[i]->size);
    }
    assert_false(checked_blocks_finish(bed->blocks, NULL));
    for (uint64_t i = 0; i < BLOCKS; i++)
        checked_blocks_put(bed->blocks, started[i]);
}

static void a_block_in_memory_is_ready_at_once(void **state)
{
    struct bed *bed = *state;
    struct checked_block *block = get(bed, 3);
    struct checked_block *started = checked_blocks_start(bed->blocks, bed->object, 3, bed->file);

    assert_ptr_equal(started, block);
    assert_true(checked_blocks_finish(bed->blocks, started));
    checked_blocks_put(bed->blocks, started);
    checked_blocks_put(bed->blocks, block);
    assert_reads(bed, 1);
}

static void what_does_not_match_is_never_ready(void **state)
{
    struct bed *bed = *state;
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(byte_source_free) struct byte_source *file = NULL;

    bed->bytes[2 * MIB] ^= 1;
    file = open_file(bed, dir);
    assert_false(checked_blocks_finish(bed->blocks,
                                       checked_blocks_start(bed->blocks, bed->object, 2, file)));
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_bed, close_bed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(reads_a_block_once_for_all),
        test(keeps_those_used_last),
        test(a_block_in_use_stays_what_it_is),
        test(blocks_of_another_object_are_others),
        test(a_block_that_does_not_match_is_not_given),
        test(forgets_an_object),
        test(what_is_at_hand_needs_no_waiting),
        test(a_block_can_be_made_ready_in_the_background),
        test(a_block_in_memory_is_ready_at_once),
        test(what_does_not_match_is_never_ready),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
