/* SPDX-License-Identifier: Apache-2.0 */
#include "view/read_stream.h"

#include "glancefs/limits.h"
#include "stream_reader.h"
#include "support/memory_source.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define PLAINTEXT_BYTES (5 * MIB + 12345)
#define STREAMS 3
#define SLOW_MS 300 /* of a source, long enough to cancel what waits for it */

struct bed {
    struct secure_arena *arena;
    struct view_counters counters;
    struct stream_limit *limit;
    struct stream_registry *registry;
    uint8_t *plaintext;
    uint8_t *buffer;            /* of one request */
    struct byte_source *source; /* of the stream opened last */
    size_t got;
};

static int open_bed(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    struct error err = ERROR_INIT;

    if (bed == NULL || secure_arena_new(8 * MIB, &bed->arena, &err) < 0 ||
        stream_limit_new(STREAMS, &bed->limit, &err) < 0 ||
        stream_registry_new(bed->limit, &bed->counters, bed->arena, &bed->registry, &err) < 0)
        return -1;
    bed->plaintext = pseudo_random_bytes(7, PLAINTEXT_BYTES);
    bed->buffer = malloc(2 * FUSE_REQUEST_BYTES);
    *state = bed;
    return bed->buffer == NULL ? -1 : 0;
}

static int close_bed(void **state)
{
    struct bed *bed = *state;
    size_t used;

    stream_registry_free(bed->registry);
    stream_limit_free(bed->limit);
    used = secure_arena_used(bed->arena);
    secure_arena_free(bed->arena);
    free(bed->plaintext);
    free(bed->buffer);
    free(bed);
    return used == 0 ? 0 : -1;
}

/* A stream of `size` bytes over a source that misbehaves as told. */
static struct read_stream *open_stream(struct bed *bed, size_t size,
                                       struct memory_source_options options)
{
    struct read_stream *stream = NULL;
    struct plaintext *plaintext = NULL;
    struct error err = ERROR_INIT;

    options.is_forward_only = true;
    bed->source = memory_source_new(bed->plaintext, PLAINTEXT_BYTES, &options);
    assert_succeeds(stream_registry_reserve(bed->registry, &err));
    assert_succeeds(plaintext_new(bed->source, size, NULL, stream_registry_buffers(bed->registry),
                                  bed->arena, &plaintext, &err));
    const struct read_stream_parts parts = {
        .registry = bed->registry, .image_id = IMAGE_ID, .plaintext = plaintext};
    assert_succeeds(read_stream_new(&parts, &stream, &err));
    return stream;
}

/* Waits until the source is asked for the `count`th time. */
static void wait_for_source(const struct bed *bed, unsigned count)
{
    while (memory_source_reads(bed->source) < count)
        (void)usleep(1000);
}

static struct read_stream *open_sound(struct bed *bed)
{
    return open_stream(bed, PLAINTEXT_BYTES, (struct memory_source_options){.fails = false});
}

static int read_at(struct bed *bed, struct read_stream *stream, uint64_t offset, size_t size,
                   struct error *err)
{
    return stream_read(stream, bed->buffer, size, offset, NULL, &bed->got, err);
}

static void assert_bytes_at(const struct bed *bed, uint64_t offset, size_t size)
{
    assert_int_equal(bed->got, size);
    assert_memory_equal(bed->buffer, bed->plaintext + offset, size);
}

static void gives_everything_in_steps_of_any_size(void **state)
{
    static const size_t steps[] = {1 * MIB, 128 * KIB, 4096, 1048560, 65537, 999999};
    struct bed *bed = *state;

    for (size_t i = 0; i < ELEMENTS_OF(steps); i++) {
        CLEANUP(read_stream_close) struct read_stream *stream = open_sound(bed);

        assert_int_equal(read_stream_size(stream), PLAINTEXT_BYTES);
        assert_stream_gives(stream, 0, bed->plaintext, PLAINTEXT_BYTES, steps[i]);
    }
}

static void gives_everything_in_steps_that_change(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = open_sound(bed);
    struct pseudo_random random = {.state = 11};
    struct error err = ERROR_INIT;

    for (uint64_t offset = 0; offset < PLAINTEXT_BYTES; offset += bed->got) {
        const size_t size = 1 + pseudo_random_below(&random, FUSE_REQUEST_BYTES);
        const size_t rest = PLAINTEXT_BYTES - (size_t)offset;

        assert_succeeds(read_at(bed, stream, offset, size, &err));
        assert_bytes_at(bed, offset, size < rest ? size : rest);
    }
}

static void gives_nothing_at_and_after_the_end(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = open_sound(bed);
    struct error err = ERROR_INIT;

    assert_stream_gives(stream, 0, bed->plaintext, PLAINTEXT_BYTES, 1 * MIB);
    assert_succeeds(read_at(bed, stream, PLAINTEXT_BYTES, 4096, &err));
    assert_int_equal(bed->got, 0);
    assert_succeeds(read_at(bed, stream, PLAINTEXT_BYTES + 1000, 4096, &err));
    assert_int_equal(bed->got, 0);
}

static void a_read_at_the_end_does_not_move_the_stream(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = open_sound(bed);
    struct error err = ERROR_INIT;

    assert_succeeds(read_at(bed, stream, PLAINTEXT_BYTES, 4096, &err));
    assert_int_equal(bed->got, 0);
    assert_stream_gives(stream, 0, bed->plaintext, PLAINTEXT_BYTES, 1 * MIB);
}

static void gives_nothing_of_an_empty_image(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close)
    struct read_stream *stream =
        open_stream(bed, 0, (struct memory_source_options){.fails = false});
    struct error err = ERROR_INIT;

    assert_succeeds(read_at(bed, stream, 0, 4096, &err));
    assert_int_equal(bed->got, 0);
}

static void gives_at_most_one_request_at_a_time(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = open_sound(bed);
    struct error err = ERROR_INIT;

    assert_succeeds(read_at(bed, stream, 0, 2 * FUSE_REQUEST_BYTES, &err));
    assert_bytes_at(bed, 0, FUSE_REQUEST_BYTES);
}

static void gives_delivered_bytes_again_without_moving(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = open_sound(bed);
    struct error err = ERROR_INIT;

    assert_succeeds(read_at(bed, stream, 0, 1 * MIB, &err));
    assert_succeeds(read_at(bed, stream, 1 * MIB, 1 * MIB, &err));
    assert_succeeds(read_at(bed, stream, 1 * MIB, 1 * MIB, &err));
    assert_bytes_at(bed, 1 * MIB, 1 * MIB);
    assert_succeeds(read_at(bed, stream, 1 * MIB + 5000, 100, &err));
    assert_bytes_at(bed, 1 * MIB + 5000, 100);
    assert_stream_gives(stream, 2 * MIB, bed->plaintext + 2 * MIB, PLAINTEXT_BYTES - 2 * MIB,
                        1 * MIB);
}

static void moves_on_when_a_repeated_read_asks_for_more(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = open_sound(bed);
    struct error err = ERROR_INIT;

    assert_succeeds(read_at(bed, stream, 0, 1 * MIB, &err));
    assert_succeeds(read_at(bed, stream, 512 * KIB, 1 * MIB, &err));
    assert_bytes_at(bed, 512 * KIB, 1 * MIB);
    assert_succeeds(read_at(bed, stream, 512 * KIB + 1 * MIB, 1 * MIB, &err));
    assert_bytes_at(bed, 512 * KIB + 1 * MIB, 1 * MIB);
}

static void refuses_what_lies_before_the_history(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = open_sound(bed);
    struct error err = ERROR_INIT;

    assert_succeeds(read_at(bed, stream, 0, 1 * MIB, &err));
    assert_succeeds(read_at(bed, stream, 1 * MIB, 4096, &err));
    assert_fails(ERROR_SYSTEM, read_at(bed, stream, 4095, 1, &err));
    assert_int_equal(err.errnum, ESPIPE);
    assert_succeeds(read_at(bed, stream, 4096, 1, &err));
    assert_bytes_at(bed, 4096, 1);
}

static void refuses_a_jump_and_stays_where_it_is(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = open_sound(bed);
    struct error err = ERROR_INIT;

    assert_fails(ERROR_SYSTEM, read_at(bed, stream, 3 * MIB, 4096, &err));
    assert_int_equal(err.errnum, ESPIPE);
    assert_stream_gives(stream, 0, bed->plaintext, PLAINTEXT_BYTES, 1 * MIB);
}

static void answers_reads_in_order_however_they_come(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = open_sound(bed);
    static const unsigned order[] = {2, 0, 3, 1};
    struct pending_read reads[ELEMENTS_OF(order)];
    CLEANUP(memory_free) uint8_t *bytes = malloc(ELEMENTS_OF(order) * 64 * KIB);
    struct error err = ERROR_INIT;
    size_t got;

    assert_non_null(bytes);
    for (size_t i = 0; i < ELEMENTS_OF(order); i++)
        pending_read_start(&reads[order[i]], stream, bytes + order[i] * 64 * KIB, 64 * KIB,
                           order[i] * 64 * KIB, NULL);
    for (size_t i = 0; i < ELEMENTS_OF(order); i++) {
        assert_succeeds(pending_read_finish(&reads[i], &got, &err));
        assert_int_equal(got, 64 * KIB);
    }
    assert_memory_equal(bytes, bed->plaintext, ELEMENTS_OF(order) * 64 * KIB);
}

static void a_cancelled_read_does_not_move_the_stream(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close)
    struct read_stream *stream =
        open_stream(bed, PLAINTEXT_BYTES, (struct memory_source_options){.delay_ms = SLOW_MS});
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct pending_read read;
    struct error err = ERROR_INIT;

    assert_succeeds(read_at(bed, stream, 0, 1000, &err));
    assert_succeeds(cancel_new(&cancel, &err));
    pending_read_start(&read, stream, bed->buffer, 1 * MIB, 1000, cancel);
    wait_for_source(bed, 2);
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, pending_read_finish(&read, &bed->got, &err));
    assert_succeeds(read_stream_flush(stream, &err)); /* that was the reader's own wish */
    assert_succeeds(read_at(bed, stream, 1000, 1 * MIB, &err));
    assert_bytes_at(bed, 1000, 1 * MIB);
}

static void a_read_cancelled_half_way_loses_nothing(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close)
    struct read_stream *stream =
        open_stream(bed, PLAINTEXT_BYTES, (struct memory_source_options){.delay_ms = SLOW_MS});
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct pending_read read;
    struct error err = ERROR_INIT;

    /* From here a full request goes over the end of the ring, so it takes two reads. */
    assert_succeeds(read_at(bed, stream, 0, 1 * MIB, &err));
    assert_succeeds(read_at(bed, stream, 1 * MIB, 512 * KIB, &err));
    assert_succeeds(cancel_new(&cancel, &err));
    pending_read_start(&read, stream, bed->buffer, 1 * MIB, 1536 * KIB, cancel);
    wait_for_source(bed, 4);
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, pending_read_finish(&read, &bed->got, &err));
    assert_succeeds(read_at(bed, stream, 1536 * KIB, 100, &err));
    assert_bytes_at(bed, 1536 * KIB, 100);
    assert_succeeds(read_at(bed, stream, 512 * KIB + 100, 1 * MIB, &err));
    assert_bytes_at(bed, 512 * KIB + 100, 1 * MIB);
    assert_succeeds(read_at(bed, stream, 1536 * KIB + 100, 1 * MIB, &err));
    assert_bytes_at(bed, 1536 * KIB + 100, 1 * MIB);
}

static void a_waiting_jump_can_be_cancelled(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = open_sound(bed);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct pending_read read;
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&cancel, &err));
    pending_read_start(&read, stream, bed->buffer, 4096, 1 * MIB, cancel);
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, pending_read_finish(&read, &bed->got, &err));
}

static void a_failed_read_can_be_repeated(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close)
    struct read_stream *stream = open_stream(
        bed, PLAINTEXT_BYTES, (struct memory_source_options){.fails = true, .fail_at = 2 * MIB});
    struct error err = ERROR_INIT;

    assert_succeeds(read_at(bed, stream, 0, 1 * MIB, &err));
    assert_succeeds(read_at(bed, stream, 1 * MIB, 512 * KIB, &err));
    assert_fails(ERROR_UNAVAILABLE, read_at(bed, stream, 1536 * KIB, 1 * MIB, &err));
    assert_succeeds(read_at(bed, stream, 1536 * KIB, 512 * KIB, &err));
    assert_bytes_at(bed, 1536 * KIB, 512 * KIB);
    assert_succeeds(read_stream_flush(stream, &err));
}

/* The kernel may have told of a short read only. */
static void the_flush_tells_of_a_read_that_was_not_repeated(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close)
    struct read_stream *stream = open_stream(
        bed, PLAINTEXT_BYTES, (struct memory_source_options){.fails = true, .fail_at = 1 * MIB});
    struct error err = ERROR_INIT;

    assert_succeeds(read_at(bed, stream, 0, 512 * KIB, &err));
    assert_fails(ERROR_UNAVAILABLE, read_at(bed, stream, 512 * KIB, 1 * MIB, &err));
    assert_succeeds(read_at(bed, stream, 256 * KIB, 256 * KIB, &err)); /* not what failed */
    assert_fails(ERROR_UNAVAILABLE, read_stream_flush(stream, &err));
    assert_int_equal(err.errnum, EIO);
    assert_succeeds(read_at(bed, stream, 512 * KIB, 4096, &err));
    assert_succeeds(read_stream_flush(stream, &err));
}

static void nobody_elses_cancellation_interrupts_a_reader(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close)
    struct read_stream *stream =
        open_stream(bed, PLAINTEXT_BYTES,
                    (struct memory_source_options){
                        .fails = true, .fail_at = 5000, .fail_kind = ERROR_CANCELLED});
    struct error err = ERROR_INIT;

    assert_fails(ERROR_UNAVAILABLE, read_at(bed, stream, 0, 1 * MIB, &err));
    assert_int_equal(err.errnum, EIO);
    assert_fails(ERROR_UNAVAILABLE, read_stream_flush(stream, &err));
}

static void damage_ends_a_stream_for_good(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close)
    struct read_stream *stream =
        open_stream(bed, PLAINTEXT_BYTES,
                    (struct memory_source_options){
                        .fails = true, .fail_at = 1 * MIB + 5000, .fail_kind = ERROR_CORRUPT});
    struct error err = ERROR_INIT;

    assert_succeeds(read_at(bed, stream, 0, 1 * MIB, &err));
    assert_fails(ERROR_CORRUPT, read_at(bed, stream, 1 * MIB, 1 * MIB, &err));
    assert_fails(ERROR_CORRUPT, read_at(bed, stream, 1 * MIB, 100, &err));
    assert_fails(ERROR_CORRUPT, read_at(bed, stream, 0, 100, &err));
    assert_fails(ERROR_CORRUPT, read_stream_flush(stream, &err));
}

static void an_early_end_is_damage_never_the_end(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close)
    struct read_stream *stream =
        open_stream(bed, PLAINTEXT_BYTES + 1, (struct memory_source_options){.hides_size = true});
    struct error err = ERROR_INIT;
    uint64_t offset = 0;

    for (; offset + 1 * MIB <= PLAINTEXT_BYTES; offset += 1 * MIB)
        assert_succeeds(read_at(bed, stream, offset, 1 * MIB, &err));
    assert_fails(ERROR_CORRUPT, read_at(bed, stream, offset, 1 * MIB, &err));
}

static void counts_what_it_delivers(void **state)
{
    struct bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = open_sound(bed);
    struct error err = ERROR_INIT;

    assert_succeeds(read_at(bed, stream, 0, 1000, &err));
    assert_succeeds(read_at(bed, stream, 1000, 500, &err));
    assert_fails(ERROR_SYSTEM, read_at(bed, stream, 4 * MIB, 500, &err));
    assert_int_equal(atomic_load(&bed->counters.reads), 2);
    assert_int_equal(atomic_load(&bed->counters.read_bytes), 1500);
    assert_int_equal(atomic_load(&bed->counters.failed_reads), 1);
}

static void a_read_without_locked_memory_can_be_repeated(void **state)
{
    struct bed *bed = *state;
    void *taken = secure_arena_allocate(bed->arena, 7 * MIB);
    CLEANUP(read_stream_close) struct read_stream *stream = open_sound(bed);
    struct error err = ERROR_INIT;

    assert_non_null(taken);
    assert_fails(ERROR_EXHAUSTED, read_at(bed, stream, 0, 4096, &err));
    assert_int_equal(err.errnum, EAGAIN);
    assert_fails(ERROR_EXHAUSTED, read_stream_flush(stream, &err));
    secure_arena_release(bed->arena, taken);
    assert_stream_gives(stream, 0, bed->plaintext, PLAINTEXT_BYTES, 1 * MIB);
    assert_succeeds(read_stream_flush(stream, &err));
}

static void streams_are_counted_against_their_limit(void **state)
{
    struct bed *bed = *state;
    struct read_stream *streams[STREAMS];
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < STREAMS; i++)
        streams[i] = open_sound(bed);
    assert_true(stream_registry_is_open(bed->registry, IMAGE_ID));
    assert_false(stream_registry_is_open(bed->registry, "no such image"));
    assert_fails(ERROR_EXHAUSTED, stream_registry_reserve(bed->registry, &err));
    assert_int_equal(err.errnum, EMFILE);
    assert_message_has("max_streams=");
    for (size_t i = 0; i < STREAMS; i++)
        read_stream_close(streams[i]);
    assert_false(stream_registry_is_open(bed->registry, IMAGE_ID));
    for (size_t i = 0; i < STREAMS; i++)
        assert_succeeds(stream_registry_reserve(bed->registry, &err));
    for (size_t i = 0; i < STREAMS; i++)
        stream_registry_cancel_reservation(bed->registry);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_bed, close_bed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(gives_everything_in_steps_of_any_size),
        test(gives_everything_in_steps_that_change),
        test(gives_nothing_at_and_after_the_end),
        test(a_read_at_the_end_does_not_move_the_stream),
        test(gives_nothing_of_an_empty_image),
        test(gives_at_most_one_request_at_a_time),
        test(gives_delivered_bytes_again_without_moving),
        test(moves_on_when_a_repeated_read_asks_for_more),
        test(refuses_what_lies_before_the_history),
        test(refuses_a_jump_and_stays_where_it_is),
        test(answers_reads_in_order_however_they_come),
        test(a_cancelled_read_does_not_move_the_stream),
        test(a_read_cancelled_half_way_loses_nothing),
        test(a_waiting_jump_can_be_cancelled),
        test(a_failed_read_can_be_repeated),
        test(the_flush_tells_of_a_read_that_was_not_repeated),
        test(nobody_elses_cancellation_interrupts_a_reader),
        test(damage_ends_a_stream_for_good),
        test(an_early_end_is_damage_never_the_end),
        test(counts_what_it_delivers),
        test(a_read_without_locked_memory_can_be_repeated),
        test(streams_are_counted_against_their_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
