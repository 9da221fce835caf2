/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cached_source.h"

#include "base/file_source.h"
#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/memory_source.h"
#include "support/pseudo_random.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <errno.h>
#include <stdlib.h>

#define INODE 4711
#define SIZE (2 * MIB + 5000)

/* What a reader reads through and tells. */
struct damage {
    unsigned calls;
    unsigned closed;
    const struct cache_object *object;
    struct checked_blocks *blocks; /* made with the first reader */
};

static void damage_clear_cleanup(struct damage *damage)
{
    checked_blocks_free(damage->blocks);
}

static void note_damage(void *context, struct cache_object *object, uint64_t inode)
{
    struct damage *damage = context;

    assert_int_equal(inode, INODE);
    damage->calls++;
    damage->object = object;
}

static void note_close(void *context, const struct cache_object *object)
{
    struct damage *damage = context;

    assert_string_equal(object->name, "name");
    damage->closed++;
}

static struct cache_object *object_of(struct secure_arena *arena, const uint8_t *bytes, size_t size)
{
    struct cache_object *object = NULL;
    struct gmac_table *tags = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(gmac_table_new(arena, &tags, &err));
    for (size_t done = 0; done < size; done += MIB)
        assert_succeeds(
            gmac_table_append(tags, bytes + done, size - done < MIB ? size - done : MIB, &err));
    assert_succeeds(cache_object_new("name", size, tags, &object, &err));
    return object;
}

/* A reader of `object` whose file is `file`; the object lives as long as the reader does. */
static struct byte_source *reader_of(struct cache_object *object, struct byte_source *file,
                                     struct damage *damage)
{
    const struct reader_listener listener = {note_damage, note_close, damage, INODE};
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    if (damage->blocks == NULL)
        assert_succeeds(checked_blocks_new(&damage->blocks, &err));
    assert_succeeds(cached_source_new(object, file, damage->blocks, listener, &source, &err));
    return source;
}

static void the_reader_keeps_the_object_alive(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, SIZE);
    struct cache_object *object = object_of(*state, bytes, SIZE);
    CLEANUP(damage_clear) struct damage damage = {0};
    CLEANUP(byte_source_free)
    struct byte_source *source = reader_of(object, memory_source_new(bytes, SIZE, NULL), &damage);
    struct error err = ERROR_INIT;
    uint8_t buffer[100];
    size_t got;

    cache_object_unref(object);
    assert_int_equal(byte_source_size(source), SIZE);
    assert_succeeds(byte_source_pread(source, buffer, 100, MIB - 50, NULL, &got, &err));
    assert_int_equal(got, 100);
    assert_memory_equal(buffer, bytes + MIB - 50, 100);
    assert_int_equal(damage.calls, 0);
}

static void the_end_of_a_reader_is_told(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, SIZE);
    struct cache_object *object = object_of(*state, bytes, SIZE);
    CLEANUP(damage_clear) struct damage damage = {0};
    struct byte_source *source = reader_of(object, memory_source_new(bytes, SIZE, NULL), &damage);

    cache_object_unref(object);
    assert_int_equal(damage.closed, 0);
    byte_source_free(source);
    assert_int_equal(damage.closed, 1);
}

static void a_sequential_reader_checks_each_block_once(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, SIZE);
    struct cache_object *object = object_of(*state, bytes, SIZE);
    struct byte_source *file = memory_source_new(bytes, SIZE, NULL);
    CLEANUP(damage_clear) struct damage damage = {0};
    CLEANUP(byte_source_free) struct byte_source *source = reader_of(object, file, &damage);
    struct error err = ERROR_INIT;
    uint8_t buffer[4000];
    size_t got, offset;

    for (offset = 0; offset < SIZE; offset += got) {
        assert_succeeds(byte_source_pread(source, buffer, 4000, offset, NULL, &got, &err));
        assert_true(got > 0);
        assert_memory_equal(buffer, bytes + offset, got);
    }
    assert_int_equal(offset, SIZE);
    assert_int_equal(memory_source_reads(file), 3);
    cache_object_unref(object);
}

static void a_reader_of_bytes_at_hand_looks_ahead_and_gets_it_right(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, SIZE);
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    struct cache_object *object = object_of(*state, bytes, SIZE);
    CLEANUP(damage_clear) struct damage damage = {0};
    struct byte_source *file = NULL;
    uint8_t buffer[50000];
    struct error err = ERROR_INIT;
    size_t got, offset;

    temp_dir_write(dir, "object", bytes, SIZE);
    for (size_t stop = MIB / 2; stop < 4 * MIB; stop += MIB) { /* closed early, too */
        CLEANUP(byte_source_free) struct byte_source *source = NULL;

        assert_succeeds(file_source_open(temp_dir_fd(dir), "object", &file, &err));
        source = reader_of(object, file, &damage);
        cached_source_set_waiting(source, false);
        for (offset = 0; offset < SIZE && offset < stop; offset += got) {
            assert_succeeds(
                byte_source_pread(source, buffer, sizeof buffer, offset, NULL, &got, &err));
            assert_memory_equal(buffer, bytes + offset, got);
        }
    }
    assert_int_equal(offset, SIZE);
    cache_object_unref(object);
}

static void damage_is_told_and_nothing_is_given_out(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, SIZE);
    struct cache_object *object = object_of(*state, bytes, SIZE);
    CLEANUP(damage_clear) struct damage damage = {0};
    CLEANUP(byte_source_free)
    struct byte_source *source = reader_of(object, memory_source_new(bytes, SIZE, NULL), &damage);
    struct error err = ERROR_INIT;
    uint8_t buffer[16];
    size_t got;

    bytes[MIB + 9] ^= 4;
    memset(buffer, 0xaa, sizeof buffer);
    assert_fails(ERROR_CORRUPT, byte_source_pread(source, buffer, 16, MIB, NULL, &got, &err));
    assert_int_equal(buffer[0], 0xaa);
    assert_int_equal(damage.calls, 1);
    assert_ptr_equal(damage.object, object);
    /* The block before it is still good, and stays readable. */
    assert_succeeds(byte_source_pread(source, buffer, 16, 0, NULL, &got, &err));
    assert_memory_equal(buffer, bytes, 16);
    cache_object_unref(object);
}

static void a_file_that_ends_early_is_damage(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, SIZE);
    struct cache_object *object = object_of(*state, bytes, SIZE);
    CLEANUP(damage_clear) struct damage damage = {0};
    CLEANUP(byte_source_free)
    struct byte_source *source =
        reader_of(object, memory_source_new(bytes, SIZE - 1, NULL), &damage);
    struct error err = ERROR_INIT;
    uint8_t byte;
    size_t got;

    assert_fails(ERROR_CORRUPT, byte_source_pread(source, &byte, 1, SIZE - 1, NULL, &got, &err));
    assert_int_equal(damage.calls, 1);
    cache_object_unref(object);
}

/* A sector that cannot be read is not there for the next reader either. The errno stays what it is. */
static void what_the_disk_cannot_read_is_damage(void **state)
{
    const struct memory_source_options options = {
        .fails = true, .fail_at = MIB, .fail_kind = ERROR_SYSTEM};
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, SIZE);
    struct cache_object *object = object_of(*state, bytes, SIZE);
    CLEANUP(damage_clear) struct damage damage = {0};
    CLEANUP(byte_source_free)
    struct byte_source *source =
        reader_of(object, memory_source_new(bytes, SIZE, &options), &damage);
    struct error err = ERROR_INIT;
    uint8_t byte;
    size_t got;

    assert_fails(ERROR_CORRUPT, byte_source_pread(source, &byte, 1, MIB, NULL, &got, &err));
    assert_int_equal(err.errnum, EIO);
    assert_int_equal(damage.calls, 1);
    cache_object_unref(object);
}

/* A disk that answers something else, or a caller who leaves, says nothing about the object. */
static void a_read_that_fails_is_no_damage(void **state)
{
    const struct memory_source_options options = {
        .fails = true, .fail_at = MIB, .fail_kind = ERROR_UNAVAILABLE};
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, SIZE);
    struct cache_object *object = object_of(*state, bytes, SIZE);
    CLEANUP(damage_clear) struct damage damage = {0};
    CLEANUP(byte_source_free)
    struct byte_source *source =
        reader_of(object, memory_source_new(bytes, SIZE, &options), &damage);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;
    uint8_t byte;
    size_t got;

    assert_fails(ERROR_UNAVAILABLE, byte_source_pread(source, &byte, 1, MIB, NULL, &got, &err));
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, byte_source_pread(source, &byte, 1, 0, cancel, &got, &err));
    assert_int_equal(damage.calls, 0);
    assert_succeeds(byte_source_pread(source, &byte, 1, 0, NULL, &got, &err));
    assert_int_equal(byte, bytes[0]);
    cache_object_unref(object);
}

static void an_empty_object_reads_as_nothing(void **state)
{
    struct cache_object *object = object_of(*state, NULL, 0);
    CLEANUP(damage_clear) struct damage damage = {0};
    CLEANUP(byte_source_free)
    struct byte_source *source = reader_of(object, memory_source_new("x", 1, NULL), &damage);
    struct error err = ERROR_INIT;
    uint8_t byte;
    size_t got = 99;

    assert_int_equal(byte_source_size(source), 0);
    assert_succeeds(byte_source_pread(source, &byte, 1, 0, NULL, &got, &err));
    assert_int_equal(got, 0);
    cache_object_unref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reader_keeps_the_object_alive),
        cmocka_unit_test(the_end_of_a_reader_is_told),
        cmocka_unit_test(a_sequential_reader_checks_each_block_once),
        cmocka_unit_test(a_reader_of_bytes_at_hand_looks_ahead_and_gets_it_right),
        cmocka_unit_test(damage_is_told_and_nothing_is_given_out),
        cmocka_unit_test(a_file_that_ends_early_is_damage),
        cmocka_unit_test(what_the_disk_cannot_read_is_damage),
        cmocka_unit_test(a_read_that_fails_is_no_damage),
        cmocka_unit_test(an_empty_object_reads_as_nothing),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
