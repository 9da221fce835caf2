/* SPDX-License-Identifier: Apache-2.0 */
#include "base/byte_pipe.h"

#include "base/clock.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

struct ends {
    struct byte_sink *sink;
    struct byte_source *source;
};

static struct ends pipe_of(size_t capacity)
{
    struct ends ends = {0};
    struct error err = ERROR_INIT;

    assert_succeeds(byte_pipe_new(capacity, &ends.sink, &ends.source, &err));
    return ends;
}

static void free_ends(struct ends *ends)
{
    byte_sink_free(ends->sink);
    byte_source_free(ends->source);
}

static void sleep_milliseconds(long milliseconds)
{
    const struct timespec span = {.tv_nsec = milliseconds * 1000000};

    (void)nanosleep(&span, NULL);
}

/* --- one thread --- */

static void bytes_come_out_as_they_went_in(void **state)
{
    struct ends ends = pipe_of(16);
    struct error err = ERROR_INIT;
    char buffer[16];
    size_t size = 99;

    (void)state;
    assert_succeeds(byte_sink_write(ends.sink, "hello ", 6, NULL, &err));
    assert_succeeds(byte_sink_write(ends.sink, "world", 5, NULL, &err));
    assert_succeeds(byte_source_pread(ends.source, buffer, 8, 0, NULL, &size, &err));
    assert_int_equal(size, 8);
    assert_memory_equal(buffer, "hello wo", 8);
    assert_succeeds(byte_sink_commit(ends.sink, NULL, &err));
    assert_succeeds(byte_source_pread(ends.source, buffer, 16, 8, NULL, &size, &err));
    assert_int_equal(size, 3);
    assert_memory_equal(buffer, "rld", 3);
    for (int i = 0; i < 3; i++) {
        assert_succeeds(byte_source_pread(ends.source, buffer, 16, 11, NULL, &size, &err));
        assert_int_equal(size, 0);
    }
    free_ends(&ends);
}

static void an_empty_committed_pipe_is_an_empty_source(void **state)
{
    struct ends ends = pipe_of(16);
    struct error err = ERROR_INIT;
    char buffer[4];
    size_t size = 99;

    (void)state;
    assert_succeeds(byte_sink_commit(ends.sink, NULL, &err));
    assert_succeeds(byte_source_pread(ends.source, buffer, 4, 0, NULL, &size, &err));
    assert_int_equal(size, 0);
    free_ends(&ends);
}

static void the_source_is_forward_only_and_of_unknown_size(void **state)
{
    struct ends ends = pipe_of(16);
    struct error err = ERROR_INIT;
    char buffer[4];
    size_t size;

    (void)state;
    assert_true(byte_source_is_forward_only(ends.source));
    assert_int_equal(byte_source_size(ends.source), BYTE_SOURCE_SIZE_UNKNOWN);
    assert_succeeds(byte_sink_write(ends.sink, "abcdefgh", 8, NULL, &err));
    assert_succeeds(byte_source_pread(ends.source, buffer, 4, 0, NULL, &size, &err));
    for (uint64_t offset = 0; offset < 8; offset++) {
        if (offset == 4)
            continue;
        assert_fails(ERROR_SYSTEM,
                     byte_source_pread(ends.source, buffer, 1, offset, NULL, &size, &err));
        assert_int_equal(err.errnum, ESPIPE);
    }
    assert_fails(ERROR_SYSTEM,
                 byte_source_pread(ends.source, buffer, 1, UINT64_MAX, NULL, &size, &err));
    assert_succeeds(byte_source_pread(ends.source, buffer, 4, 4, NULL, &size, &err));
    assert_memory_equal(buffer, "efgh", 4);
    free_ends(&ends);
}

static void an_aborted_sink_makes_the_reader_fail(void **state)
{
    struct ends ends = pipe_of(16);
    struct error err = ERROR_INIT;
    char buffer[16];
    size_t size;

    (void)state;
    assert_succeeds(byte_sink_write(ends.sink, "abcdef", 6, NULL, &err));
    byte_sink_abort(ends.sink);
    assert_fails(ERROR_CORRUPT, byte_source_pread(ends.source, buffer, 16, 0, NULL, &size, &err));
    free_ends(&ends);
}

static void a_sink_freed_without_commit_makes_the_reader_fail(void **state)
{
    struct ends ends = pipe_of(16);
    struct error err = ERROR_INIT;
    char buffer[16];
    size_t size;

    (void)state;
    byte_sink_free(ends.sink);
    assert_fails(ERROR_CORRUPT, byte_source_pread(ends.source, buffer, 1, 0, NULL, &size, &err));
    byte_source_free(ends.source);
}

/* An abort is never an end of data, not even at exactly the last byte written. */
static void an_abort_after_the_last_byte_is_no_end(void **state)
{
    struct ends ends = pipe_of(16);
    struct error err = ERROR_INIT;
    char buffer[16];
    size_t size;

    (void)state;
    assert_succeeds(byte_sink_write(ends.sink, "abcd", 4, NULL, &err));
    assert_succeeds(byte_source_pread(ends.source, buffer, 4, 0, NULL, &size, &err));
    byte_sink_abort(ends.sink);
    assert_fails(ERROR_CORRUPT, byte_source_pread(ends.source, buffer, 1, 4, NULL, &size, &err));
    assert_fails(ERROR_CORRUPT, byte_source_pread(ends.source, buffer, 1, 4, NULL, &size, &err));
    free_ends(&ends);
}

static void writes_after_the_reader_left_succeed_and_are_dropped(void **state)
{
    struct ends ends = pipe_of(4);
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(byte_sink_write(ends.sink, "abc", 3, NULL, &err));
    byte_source_free(ends.source);
    for (int i = 0; i < 100; i++)
        assert_succeeds(byte_sink_write(ends.sink, "more than fits", 14, NULL, &err));
    assert_succeeds(byte_sink_commit(ends.sink, NULL, &err));
    byte_sink_free(ends.sink);
}

static void the_ends_may_be_freed_in_any_order(void **state)
{
    struct ends ends;
    struct error err = ERROR_INIT;
    char buffer[4];
    size_t size;

    (void)state;
    ends = pipe_of(8);
    byte_source_free(ends.source);
    byte_sink_free(ends.sink);
    ends = pipe_of(8);
    assert_succeeds(byte_sink_write(ends.sink, "abcd", 4, NULL, &err));
    assert_succeeds(byte_sink_commit(ends.sink, NULL, &err));
    byte_sink_free(ends.sink);
    assert_succeeds(byte_source_pread(ends.source, buffer, 4, 0, NULL, &size, &err));
    assert_int_equal(size, 4);
    assert_memory_equal(buffer, "abcd", 4);
    byte_source_free(ends.source);
}

static void a_cancelled_token_ends_read_and_write_before_they_wait(void **state)
{
    struct ends ends = pipe_of(4);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;
    char buffer[4];
    size_t size;

    (void)state;
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED,
                 byte_source_pread(ends.source, buffer, 4, 0, cancel, &size, &err));
    assert_fails(ERROR_CANCELLED, byte_sink_write(ends.sink, "abcdefgh", 8, cancel, &err));
    free_ends(&ends);
}

/* --- two threads --- */

struct transfer {
    struct ends ends;
    const uint8_t *bytes;
    size_t size;
    size_t largest_chunk;
    uint64_t seed;
    bool commits;
    struct cancel *cancel;
    atomic_size_t written;
    struct error err; /* the writer's */
};

static void *write_all(void *argument)
{
    struct transfer *transfer = argument;
    struct pseudo_random random = {.state = transfer->seed};
    size_t done = 0;

    while (done < transfer->size) {
        size_t chunk = 1 + pseudo_random_below(&random, transfer->largest_chunk);

        if (chunk > transfer->size - done)
            chunk = transfer->size - done;
        if (byte_sink_write(transfer->ends.sink, transfer->bytes + done, chunk, transfer->cancel,
                            &transfer->err) < 0)
            break;
        done += chunk;
        atomic_store(&transfer->written, done);
    }
    if (!error_is_set(&transfer->err) && transfer->commits)
        (void)byte_sink_commit(transfer->ends.sink, NULL, &transfer->err);
    byte_sink_free(transfer->ends.sink);
    return NULL;
}

/* Reads in random pieces; every read but the last is whole. Gives the bytes read in all. */
static size_t read_and_compare(struct transfer *transfer, size_t largest, uint8_t *buffer)
{
    struct pseudo_random random = {.state = transfer->seed + 1};
    struct error err = ERROR_INIT;
    size_t position = 0, wanted, size;

    do {
        wanted = 1 + pseudo_random_below(&random, largest);
        assert_succeeds(
            byte_source_pread(transfer->ends.source, buffer, wanted, position, NULL, &size, &err));
        assert_true(size <= wanted && size <= transfer->size - position);
        assert_memory_equal(buffer, transfer->bytes + position, size);
        position += size;
    } while (size == wanted);
    return position;
}

/* Property: whatever the ring and the pieces, what comes out is what went in. */
static void any_sizes_of_ring_write_and_read_deliver_the_bytes(void **state)
{
    static const size_t capacities[] = {1, 2, 3, 7, 64, 1000, 65536};
    uint8_t *buffer = malloc(5000);

    (void)state;
    assert_non_null(buffer);
    for (size_t i = 0; i < 5 * ELEMENTS_OF(capacities); i++) {
        const size_t capacity = capacities[i % ELEMENTS_OF(capacities)];
        struct pseudo_random random = {.state = 100 + i};
        struct transfer transfer = {.seed = 200 + i, .commits = true, .err = ERROR_INIT};
        uint8_t *bytes;
        pthread_t writer;

        transfer.size = pseudo_random_below(&random, capacity < 10 ? 3000 : 150000);
        transfer.largest_chunk = 1 + pseudo_random_below(&random, 3 * capacity);
        transfer.ends = pipe_of(capacity);
        bytes = pseudo_random_bytes(300 + i, transfer.size);
        transfer.bytes = bytes;
        assert_int_equal(pthread_create(&writer, NULL, write_all, &transfer), 0);
        assert_int_equal(
            read_and_compare(&transfer, 1 + pseudo_random_below(&random, 5000), buffer),
            transfer.size);
        assert_int_equal(pthread_join(writer, NULL), 0);
        assert_false(error_is_set(&transfer.err));
        byte_source_free(transfer.ends.source);
        free(bytes);
    }
    free(buffer);
}

static void a_writer_waits_while_the_ring_is_full(void **state)
{
    struct transfer transfer = {.size = 1000, .largest_chunk = 1, .seed = 1, .commits = true};
    uint8_t *bytes = pseudo_random_bytes(5, 1000);
    uint8_t buffer[64];
    pthread_t writer;

    (void)state;
    transfer.ends = pipe_of(100);
    transfer.bytes = bytes;
    assert_int_equal(pthread_create(&writer, NULL, write_all, &transfer), 0);
    for (int i = 0; i < 30000 && atomic_load(&transfer.written) < 100; i++)
        sleep_milliseconds(1);
    sleep_milliseconds(20);
    assert_int_equal(atomic_load(&transfer.written), 100);
    assert_int_equal(read_and_compare(&transfer, sizeof buffer, buffer), 1000);
    assert_int_equal(pthread_join(writer, NULL), 0);
    byte_source_free(transfer.ends.source);
    free(bytes);
}

static void a_blocked_writer_leaves_when_cancelled(void **state)
{
    struct transfer transfer = {.size = 1000, .largest_chunk = 100, .seed = 1, .commits = true};
    uint8_t *bytes = pseudo_random_bytes(5, 1000);
    struct error err = ERROR_INIT;
    uint8_t buffer[16];
    size_t size;
    pthread_t writer;
    uint64_t start;

    (void)state;
    assert_succeeds(cancel_new(&transfer.cancel, &err));
    transfer.ends = pipe_of(10);
    transfer.bytes = bytes;
    assert_int_equal(pthread_create(&writer, NULL, write_all, &transfer), 0);
    sleep_milliseconds(20);
    start = clock_monotonic_ns();
    cancel_request(transfer.cancel);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_true(clock_monotonic_ns() - start < NANOSECONDS_PER_SECOND);
    assert_int_equal(transfer.err.kind, ERROR_CANCELLED);
    assert_fails(ERROR_CORRUPT,
                 byte_source_pread(transfer.ends.source, buffer, 16, 0, NULL, &size, &err));
    byte_source_free(transfer.ends.source);
    cancel_unref(transfer.cancel);
    free(bytes);
}

static void a_blocked_writer_goes_on_when_the_reader_leaves(void **state)
{
    struct transfer transfer = {.size = 1000, .largest_chunk = 100, .seed = 1, .commits = true};
    uint8_t *bytes = pseudo_random_bytes(5, 1000);
    pthread_t writer;

    (void)state;
    transfer.ends = pipe_of(10);
    transfer.bytes = bytes;
    assert_int_equal(pthread_create(&writer, NULL, write_all, &transfer), 0);
    sleep_milliseconds(20);
    byte_source_free(transfer.ends.source);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_false(error_is_set(&transfer.err));
    assert_int_equal(atomic_load(&transfer.written), 1000);
    free(bytes);
}

struct reader {
    struct byte_source *source;
    struct cancel *cancel;
    uint8_t buffer[64];
    size_t size;
    int result;
    struct error err;
};

static void *read_once(void *argument)
{
    struct reader *reader = argument;

    reader->result = byte_source_pread(reader->source, reader->buffer, sizeof reader->buffer, 0,
                                       reader->cancel, &reader->size, &reader->err);
    return NULL;
}

enum wake_up { BY_CANCEL, BY_ABORT, BY_COMMIT };

static void wake_a_waiting_reader(enum wake_up how, struct reader *reader)
{
    struct ends ends = pipe_of(100);
    struct error err = ERROR_INIT;
    pthread_t thread;
    uint64_t start;

    reader->source = ends.source;
    assert_succeeds(cancel_new(&reader->cancel, &err));
    assert_succeeds(byte_sink_write(ends.sink, "0123456789", 10, NULL, &err));
    assert_int_equal(pthread_create(&thread, NULL, read_once, reader), 0);
    sleep_milliseconds(20);
    start = clock_monotonic_ns();
    if (how == BY_CANCEL)
        cancel_request(reader->cancel);
    else if (how == BY_ABORT)
        byte_sink_abort(ends.sink);
    else
        assert_succeeds(byte_sink_commit(ends.sink, NULL, &err));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(clock_monotonic_ns() - start < NANOSECONDS_PER_SECOND);
    cancel_unref(reader->cancel);
    free_ends(&ends);
}

static void a_waiting_reader_leaves_when_cancelled(void **state)
{
    struct reader reader = {0};

    (void)state;
    wake_a_waiting_reader(BY_CANCEL, &reader);
    assert_int_equal(reader.result, -1);
    assert_int_equal(reader.err.kind, ERROR_CANCELLED);
}

static void a_waiting_reader_fails_when_the_sink_is_aborted(void **state)
{
    struct reader reader = {0};

    (void)state;
    wake_a_waiting_reader(BY_ABORT, &reader);
    assert_int_equal(reader.result, -1);
    assert_int_equal(reader.err.kind, ERROR_CORRUPT);
}

static void a_waiting_reader_gets_the_rest_at_commit(void **state)
{
    struct reader reader = {0};

    (void)state;
    wake_a_waiting_reader(BY_COMMIT, &reader);
    assert_int_equal(reader.result, 0);
    assert_int_equal(reader.size, 10);
    assert_memory_equal(reader.buffer, "0123456789", 10);
}

/* After a read that was cancelled half-way, its offset gives its bytes or nothing. */
static void a_cancelled_read_never_moves_later_bytes_to_its_offset(void **state)
{
    struct ends ends = pipe_of(100);
    struct reader reader = {.source = ends.source};
    struct error err = ERROR_INIT;
    char buffer[5];
    size_t size = 0;
    pthread_t thread;

    (void)state;
    assert_succeeds(cancel_new(&reader.cancel, &err));
    assert_succeeds(byte_sink_write(ends.sink, "01234", 5, NULL, &err));
    assert_int_equal(pthread_create(&thread, NULL, read_once, &reader), 0);
    sleep_milliseconds(20);
    cancel_request(reader.cancel);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(reader.err.kind, ERROR_CANCELLED);
    assert_succeeds(byte_sink_write(ends.sink, "56789", 5, NULL, &err));
    if (byte_source_pread(ends.source, buffer, 5, 0, NULL, &size, &err) == 0) {
        assert_int_equal(size, 5);
        assert_memory_equal(buffer, "01234", 5);
    }
    cancel_unref(reader.cancel);
    free_ends(&ends);
}

/* Both ends are let go of at the same moment, by two threads. */
static void both_ends_freed_at_once_leave_nothing_behind(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        struct transfer transfer = {.size = 30, .largest_chunk = 30, .seed = round};
        uint8_t *bytes = pseudo_random_bytes(round, 30);
        pthread_t writer;

        transfer.commits = round % 2 == 0;
        transfer.ends = pipe_of(8);
        transfer.bytes = bytes;
        assert_int_equal(pthread_create(&writer, NULL, write_all, &transfer), 0);
        for (volatile unsigned spin = 0; spin < round * 50; spin++)
            continue;
        byte_source_free(transfer.ends.source);
        assert_int_equal(pthread_join(writer, NULL), 0);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_as_they_went_in),
        cmocka_unit_test(an_empty_committed_pipe_is_an_empty_source),
        cmocka_unit_test(the_source_is_forward_only_and_of_unknown_size),
        cmocka_unit_test(an_aborted_sink_makes_the_reader_fail),
        cmocka_unit_test(a_sink_freed_without_commit_makes_the_reader_fail),
        cmocka_unit_test(an_abort_after_the_last_byte_is_no_end),
        cmocka_unit_test(writes_after_the_reader_left_succeed_and_are_dropped),
        cmocka_unit_test(the_ends_may_be_freed_in_any_order),
        cmocka_unit_test(a_cancelled_token_ends_read_and_write_before_they_wait),
        cmocka_unit_test(any_sizes_of_ring_write_and_read_deliver_the_bytes),
        cmocka_unit_test(a_writer_waits_while_the_ring_is_full),
        cmocka_unit_test(a_blocked_writer_leaves_when_cancelled),
        cmocka_unit_test(a_blocked_writer_goes_on_when_the_reader_leaves),
        cmocka_unit_test(a_waiting_reader_leaves_when_cancelled),
        cmocka_unit_test(a_waiting_reader_fails_when_the_sink_is_aborted),
        cmocka_unit_test(a_waiting_reader_gets_the_rest_at_commit),
        cmocka_unit_test(a_cancelled_read_never_moves_later_bytes_to_its_offset),
        cmocka_unit_test(both_ends_freed_at_once_leave_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
