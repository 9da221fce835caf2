/* SPDX-License-Identifier: Apache-2.0 */
/* Open files that are written: poison, turns, interruptions. */
#include "write_bed.h"

#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/pseudo_random.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>

#define CREATE (O_WRONLY | O_CREAT | O_TRUNC)

/* --- poison --- */

/* Everything that a poisoned file refuses, and goes on refusing. */
static void assert_poisoned(struct write_bed *bed, struct write_stream *stream)
{
    struct write_stream *again = NULL;
    struct error err = ERROR_INIT;
    char byte;
    size_t got;

    for (int round = 0; round < 2; round++) {
        assert_errno(EIO, write_stream_write(stream, "x", 1, 0, NULL, &err));
        assert_errno(EIO, write_stream_truncate(stream, 0, NULL, &err));
        assert_errno(EIO, write_stream_truncate(stream, 10, NULL, &err));
        assert_errno(EIO, write_stream_allocate(stream, 0, 0, 1, NULL, &err));
        assert_errno(EIO, write_stream_read(stream, &byte, 1, 0, NULL, &got, &err));
        assert_errno(EIO, write_stream_flush(stream, false, &err));
        assert_errno(EIO, write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
        assert_errno(EIO, write_index_set_xattr(bed->index, IMAGE_PART, "user.glancefs.commit", "1",
                                                1, NULL, &err));
        assert_errno(EIO, write_index_set_xattr(bed->index, IMAGE_PART, "user.glancefs.size", "9",
                                                1, NULL, &err));
        assert_errno(EBUSY, write_index_open(bed->index, IMAGE_PART, CREATE, NULL, &again, &err));
    }
    assert_state(bed, IMAGE_PART, "poisoned");
    write_stream_close(stream);
    assert_errno(EIO, write_index_open(bed->index, IMAGE_PART, O_RDWR, NULL, &again, &err));
    assert_errno(EIO, write_index_truncate(bed->index, IMAGE_PART, 0, NULL, &err));
    assert_errno(EIO, write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_false(fake_staging_is_sealed(bed->staging, IMAGE_ID));
    assert_int_equal(fake_staging_unsealed(bed->staging), 0);
}

/* Creates a file, two windows of which are written. */
static struct write_stream *far_written(struct write_bed *bed)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, 3 * WINDOW_BYTES);
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);

    write_bed_write(stream, bytes, 3 * WINDOW_BYTES, 0);
    return stream;
}

static void a_write_before_the_window_poisons(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = far_written(bed);
    struct error err = ERROR_INIT;

    assert_errno(EOPNOTSUPP, write_stream_write(stream, "x", 1, 0, NULL, &err));
    assert_poisoned(bed, stream);
}

static void a_truncate_before_the_window_poisons(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = far_written(bed);
    struct error err = ERROR_INIT;

    assert_errno(EOPNOTSUPP, write_stream_truncate(stream, 1, NULL, &err));
    assert_poisoned(bed, stream);
}

static void a_hole_before_the_window_poisons(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = far_written(bed);
    struct error err = ERROR_INIT;

    assert_errno(EOPNOTSUPP,
                 write_stream_allocate(stream, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096,
                                       NULL, &err));
    assert_poisoned(bed, stream);
}

static void a_full_disk_poisons(void **state)
{
    const struct fake_staging_faults full = {.fails_writes = true, .fail_at = WINDOW_BYTES};
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(2, 3 * WINDOW_BYTES);
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct error err = ERROR_INIT;

    fake_staging_misbehave(bed->staging, &full);
    assert_errno(ENOSPC, write_stream_write(stream, bytes, 3 * WINDOW_BYTES, 0, NULL, &err));
    assert_poisoned(bed, stream);
}

static void more_than_declared_poisons(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct error err = ERROR_INIT;

    write_bed_declare(bed, 9);
    stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    assert_errno(EFBIG, write_stream_write(stream, "x", 1, 9, NULL, &err));
    assert_poisoned(bed, stream);
}

static void a_killed_writer_poisons(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct error err = ERROR_INIT;

    write_bed_write(stream, "x", 1, 0);
    assert_succeeds(write_stream_flush(stream, false, &err));
    assert_errno(EIO, write_stream_flush(stream, true, &err));
    assert_message_has("killed");
    assert_poisoned(bed, stream);
}

static void a_killed_reader_does_not(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *reader;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "x", 1);
    reader = write_bed_open_file(bed, IMAGE_PART, O_RDONLY);
    assert_succeeds(write_stream_flush(reader, true, &err));
    write_stream_close(reader);
    assert_state(bed, IMAGE_PART, "staging");
}

static void poison_wipes_the_plaintext(void **state)
{
    struct write_bed *bed = *state;
    const size_t before = secure_arena_used(bed->arena);
    struct write_stream *stream = far_written(bed);
    struct error err = ERROR_INIT;

    assert_true(secure_arena_used(bed->arena) >= before + WINDOW_BYTES);
    assert_errno(EOPNOTSUPP, write_stream_write(stream, "x", 1, 0, NULL, &err));
    assert_int_equal(secure_arena_used(bed->arena), before);
    write_stream_close(stream);
}

static void poison_by_a_kill_wipes_it_in_the_background(void **state)
{
    struct write_bed *bed = *state;
    const size_t before = secure_arena_used(bed->arena);
    struct write_stream *stream = far_written(bed);
    struct error err = ERROR_INIT;

    assert_errno(EIO, write_stream_flush(stream, true, &err));
    wait_until(secure_arena_used(bed->arena) == before);
    write_stream_close(stream);
}

static void a_fresh_open_starts_anew(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = far_written(bed);
    struct error err = ERROR_INIT;

    assert_errno(EIO, write_stream_flush(stream, true, &err));
    write_stream_close(stream);
    write_bed_create(bed, "fresh", 5);
    assert_state(bed, IMAGE_PART, "staging");
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_sealed(bed, IMAGE_ID, "fresh", 5);
}

static void what_does_not_poison(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = far_written(bed);
    struct error err = ERROR_INIT;
    char byte;
    size_t got;

    assert_errno(EOPNOTSUPP, write_stream_read(stream, &byte, 1, 0, NULL, &got, &err));
    assert_errno(EOPNOTSUPP,
                 write_stream_allocate(stream, FALLOC_FL_COLLAPSE_RANGE, 0, 4096, NULL, &err));
    assert_succeeds(
        write_stream_allocate(stream, FALLOC_FL_KEEP_SIZE, 0, 9 * WINDOW_BYTES, NULL, &err));
    assert_succeeds(write_stream_flush(stream, false, &err));
    assert_errno(EBUSY, write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    write_bed_write(stream, "x", 1, 3 * WINDOW_BYTES);
    assert_state(bed, IMAGE_PART, "staging");
    write_stream_close(stream);
}

/* --- turns and interruptions --- */

/* A write on a thread of its own. */
struct writer {
    struct write_stream *stream;
    const uint8_t *bytes;
    size_t size;
    uint64_t offset;
    struct cancel *cancel;
    pthread_t thread;
    int result;
    struct error error;
};

static void *run_writer(void *argument)
{
    struct writer *writer = argument;

    writer->result = write_stream_write(writer->stream, writer->bytes, writer->size, writer->offset,
                                        writer->cancel, &writer->error);
    return NULL;
}

static void start_writer(struct writer *writer)
{
    assert_int_equal(pthread_create(&writer->thread, NULL, run_writer, writer), 0);
}

static void join_writer(struct writer *writer)
{
    assert_int_equal(pthread_join(writer->thread, NULL), 0);
}

/* A write that hangs in the disk, until fake_staging_let_go. */
static void start_held_writer(struct write_bed *bed, struct writer *writer)
{
    fake_staging_hold(bed->staging);
    start_writer(writer);
    fake_staging_wait_held(bed->staging);
}

static void waiting_for_a_turn_can_be_interrupted(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(3, 2 * WINDOW_BYTES);
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, O_RDWR | O_CREAT);
    struct writer first = {.stream = stream, .bytes = bytes, .size = 2 * WINDOW_BYTES};
    struct writer second = {.stream = stream, .bytes = (const uint8_t *)"x", .size = 1};
    struct error err = ERROR_INIT;
    char byte;
    size_t got;

    assert_succeeds(cancel_new(&cancel, &err));
    second.cancel = cancel;
    start_held_writer(bed, &first);
    start_writer(&second);
    assert_succeeds(write_stream_flush(stream, false, &err));
    cancel_request(cancel);
    join_writer(&second);
    assert_int_equal(second.result, -1);
    assert_int_equal(second.error.kind, ERROR_CANCELLED);
    assert_fails(ERROR_CANCELLED, write_stream_read(stream, &byte, 1, 0, cancel, &got, &err));
    assert_fails(ERROR_CANCELLED, write_stream_truncate(stream, 0, cancel, &err));
    assert_fails(ERROR_CANCELLED, write_index_remove(bed->index, IMAGE_PART, cancel, &err));
    fake_staging_let_go(bed->staging);
    join_writer(&first);
    assert_int_equal(first.result, 0);
    write_stream_close(stream);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_sealed(bed, IMAGE_ID, bytes, 2 * WINDOW_BYTES);
}

static void an_interrupted_gap_neither_writes_nor_poisons(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(memory_free) uint8_t *expected = calloc(1, 4 * WINDOW_BYTES + 1);
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct error err = ERROR_INIT;

    assert_non_null(expected);
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    write_bed_write(stream, "a", 1, 0);
    assert_fails(ERROR_CANCELLED,
                 write_stream_write(stream, "b", 1, 4 * WINDOW_BYTES, cancel, &err));
    assert_file_size(bed, IMAGE_PART, 1);
    assert_succeeds(write_stream_flush(stream, false, &err));
    write_bed_write(stream, "b", 1, 4 * WINDOW_BYTES);
    write_stream_close(stream);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    expected[0] = 'a';
    expected[4 * WINDOW_BYTES] = 'b';
    assert_sealed(bed, IMAGE_ID, expected, 4 * WINDOW_BYTES + 1);
}

static void a_huge_gap_ends_soon_after_an_interruption(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct writer writer = {.stream = stream, .bytes = (const uint8_t *)"x", .size = 1};
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&cancel, &err));
    writer.cancel = cancel;
    writer.offset = LIMIT_PLAINTEXT_BYTES - 1;
    start_held_writer(bed, &writer);
    cancel_request(cancel);
    fake_staging_let_go(bed->staging);
    join_writer(&writer);
    assert_int_equal(writer.error.kind, ERROR_CANCELLED);
    assert_state(bed, IMAGE_PART, "staging");
    write_stream_close(stream);
    /* Zeros are encrypted that no write came after: such a file has no right content. */
    write_bed_pause();
    assert_int_equal(fake_staging_unsealed(bed->staging), 1);
}

static void a_gap_left_by_an_interruption_cannot_be_sealed(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct writer writer = {.stream = stream, .bytes = (const uint8_t *)"x", .size = 1};
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&cancel, &err));
    write_bed_write(stream, "a", 1, 0);
    writer.cancel = cancel;
    writer.offset = 1024 * WINDOW_BYTES;
    start_held_writer(bed, &writer);
    cancel_request(cancel);
    fake_staging_let_go(bed->staging);
    join_writer(&writer);
    assert_int_equal(writer.error.kind, ERROR_CANCELLED);
    write_stream_close(stream);
    assert_fails(ERROR_UNSUPPORTED,
                 write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_state(bed, IMAGE_PART, "poisoned");
}

static void a_kill_during_a_write_poisons_when_it_ends(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(4, 2 * WINDOW_BYTES);
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct writer writer = {.stream = stream, .bytes = bytes, .size = 2 * WINDOW_BYTES};
    struct error err = ERROR_INIT;

    start_held_writer(bed, &writer);
    assert_errno(EIO, write_stream_flush(stream, true, &err));
    assert_state(bed, IMAGE_PART, "poisoned");
    fake_staging_let_go(bed->staging);
    join_writer(&writer);
    assert_int_equal(fake_staging_unsealed(bed->staging), 0);
    assert_poisoned(bed, stream);
}

static void removing_while_writing_waits_for_the_write(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(5, 2 * WINDOW_BYTES);
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct writer writer = {.stream = stream, .bytes = bytes, .size = 2 * WINDOW_BYTES};
    struct write_attributes attributes;
    struct error err = ERROR_INIT;
    char byte;
    size_t got;

    start_held_writer(bed, &writer);
    fake_staging_let_go(bed->staging);
    assert_succeeds(write_index_remove(bed->index, IMAGE_PART, NULL, &err));
    join_writer(&writer);
    assert_true(writer.result == 0 || writer.error.errnum == ESTALE);
    assert_absent(bed, IMAGE_PART);
    assert_errno(ESTALE, write_stream_write(stream, "x", 1, 0, NULL, &err));
    assert_errno(ESTALE, write_stream_read(stream, &byte, 1, 0, NULL, &got, &err));
    assert_errno(ESTALE, write_stream_truncate(stream, 0, NULL, &err));
    assert_errno(ESTALE, write_stream_flush(stream, false, &err));
    write_stream_attributes(stream, &attributes);
    assert_string_equal(attributes.image_id, IMAGE_ID);
    write_bed_create(bed, "next", 4);
    assert_state(bed, IMAGE_PART, "staging");
    write_stream_close(stream);
    assert_state(bed, IMAGE_PART, "staging");
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_sealed(bed, IMAGE_ID, "next", 4);
}

#define THREADS ((size_t)8)
#define PIECE ((size_t)32768)

/* As several threads of one qemu-img do. */
static void writes_of_many_threads_take_turns(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(6, THREADS * PIECE);
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct writer writers[THREADS];
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){
            .stream = stream, .bytes = bytes + i * PIECE, .size = PIECE, .offset = i * PIECE};
        start_writer(&writers[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        join_writer(&writers[i]);
        assert_int_equal(writers[i].result, 0);
    }
    write_stream_close(stream);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_sealed(bed, IMAGE_ID, bytes, THREADS * PIECE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        write_test(a_write_before_the_window_poisons),
        write_test(a_truncate_before_the_window_poisons),
        write_test(a_hole_before_the_window_poisons),
        write_test(a_full_disk_poisons),
        write_test(more_than_declared_poisons),
        write_test(a_killed_writer_poisons),
        write_test(a_killed_reader_does_not),
        write_test(poison_wipes_the_plaintext),
        write_test(poison_by_a_kill_wipes_it_in_the_background),
        write_test(a_fresh_open_starts_anew),
        write_test(what_does_not_poison),
        write_test(waiting_for_a_turn_can_be_interrupted),
        write_test(an_interrupted_gap_neither_writes_nor_poisons),
        write_test(a_huge_gap_ends_soon_after_an_interruption),
        write_test(a_gap_left_by_an_interruption_cannot_be_sealed),
        write_test(a_kill_during_a_write_poisons_when_it_ends),
        write_test(removing_while_writing_waits_for_the_write),
        write_test(writes_of_many_threads_take_turns),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
