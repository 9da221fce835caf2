/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/object_feed.h"

#include "support/delay.h"
#include "support/memory_source.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SIZE 5000

struct bed {
    uint8_t *bytes;
    struct object_feed *feed;
    struct byte_source *follower;
    unsigned left; /* followers that told so */
};

static void count_left(void *context)
{
    ++*(unsigned *)context;
}

static struct byte_source *follow(struct bed *bed)
{
    const struct follower_listener listener = {.left = count_left, .context = &bed->left};
    struct byte_source *follower = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(object_feed_follow(bed->feed, listener, &follower, &err));
    return follower;
}

static int open_bed(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    struct error err = ERROR_INIT;

    if (bed == NULL || object_feed_new(&bed->feed, &err) < 0)
        return -1;
    bed->bytes = pseudo_random_bytes(1, SIZE);
    object_feed_set_file(bed->feed, memory_source_new(bed->bytes, SIZE, NULL));
    bed->follower = follow(bed);
    *state = bed;
    return 0;
}

static int close_bed(void **state)
{
    struct bed *bed = *state;

    byte_source_free(bed->follower);
    object_feed_unref(bed->feed);
    free(bed->bytes);
    free(bed);
    return 0;
}

/* A read in a thread of its own. */
struct reading {
    struct bed *bed;
    size_t size;
    uint64_t offset;
    struct cancel *cancel;
    pthread_t thread;
    atomic_bool is_done;
    int result;
    uint8_t buffer[2 * SIZE];
    size_t got;
    struct error err;
};

static void *run_read(void *argument)
{
    struct reading *reading = argument;

    reading->result =
        byte_source_pread(reading->bed->follower, reading->buffer, reading->size, reading->offset,
                          reading->cancel, &reading->got, &reading->err);
    atomic_store(&reading->is_done, true);
    return NULL;
}

static void start_read(struct reading *reading, struct bed *bed, size_t size, uint64_t offset,
                       struct cancel *cancel)
{
    struct error err = ERROR_INIT;

    *reading = (struct reading){.bed = bed, .size = size, .offset = offset, .cancel = cancel};
    assert_int_equal(pthread_create(&reading->thread, NULL, run_read, reading), 0);
    (void)delay(30, NULL, &err); /* it has every chance to be wrong */
}

static int finish_read(struct reading *reading)
{
    assert_int_equal(pthread_join(reading->thread, NULL), 0);
    return reading->result;
}

static void assert_gives(struct bed *bed, size_t size, uint64_t offset, size_t expected)
{
    uint8_t buffer[2 * SIZE];
    struct error err = ERROR_INIT;
    size_t got;

    assert_succeeds(byte_source_pread(bed->follower, buffer, size, offset, NULL, &got, &err));
    assert_int_equal(got, expected);
    if (expected > 0)
        assert_memory_equal(buffer, bed->bytes + offset, expected);
}

static void gives_what_has_arrived_at_once(void **state)
{
    struct bed *bed = *state;

    object_feed_arrived(bed->feed, 1000);
    assert_gives(bed, 1000, 0, 1000);
    assert_gives(bed, 1, 999, 1);
    assert_gives(bed, 10, 0, 10); /* again */
    assert_int_equal(byte_source_size(bed->follower), BYTE_SOURCE_SIZE_UNKNOWN);
    assert_false(byte_source_is_forward_only(bed->follower));
}

static void waits_for_all_bytes_of_a_read(void **state)
{
    struct bed *bed = *state;
    struct reading reading;

    object_feed_arrived(bed->feed, 1000);
    start_read(&reading, bed, 500, 900, NULL);
    assert_false(atomic_load(&reading.is_done));
    object_feed_arrived(bed->feed, 1399);
    object_feed_arrived(bed->feed, 1400);
    assert_int_equal(finish_read(&reading), 0);
    assert_int_equal(reading.got, 500);
    assert_memory_equal(reading.buffer, bed->bytes + 900, 500);
}

static void tells_no_end_before_a_good_one(void **state)
{
    struct bed *bed = *state;
    struct reading reading;

    object_feed_arrived(bed->feed, SIZE);
    start_read(&reading, bed, 100, SIZE, NULL);
    assert_false(atomic_load(&reading.is_done));
    object_feed_end(bed->feed, NULL);
    assert_int_equal(finish_read(&reading), 0);
    assert_int_equal(reading.got, 0);
    assert_gives(bed, 100, SIZE - 40, 40);
    assert_gives(bed, 100, SIZE + 40, 0);
}

static void tells_an_empty_object_empty(void **state)
{
    struct bed *bed = *state;

    object_feed_end(bed->feed, NULL);
    assert_gives(bed, 100, 0, 0);
}

static void fails_with_the_error_of_a_bad_end(void **state)
{
    struct bed *bed = *state;
    struct reading reading;
    struct error cause = ERROR_INIT;

    object_feed_arrived(bed->feed, SIZE);
    start_read(&reading, bed, 100, SIZE - 50, NULL);
    (void)error_set(&cause, ERROR_NO_SPACE, "the disk is full");
    object_feed_end(bed->feed, &cause);
    assert_int_equal(finish_read(&reading), -1);
    assert_int_equal(reading.err.kind, ERROR_NO_SPACE);
    assert_string_equal(reading.err.message, "the disk is full");
    assert_gives(bed, 50, SIZE - 50, 50); /* which did arrive */
}

static void a_read_that_waits_can_be_cancelled(void **state)
{
    struct bed *bed = *state;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct reading reading;
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&cancel, &err));
    start_read(&reading, bed, 100, 0, cancel);
    assert_false(atomic_load(&reading.is_done));
    cancel_request(cancel);
    assert_int_equal(finish_read(&reading), -1);
    assert_int_equal(reading.err.kind, ERROR_CANCELLED);
}

static void a_file_that_was_cut_off_is_damage(void **state)
{
    struct bed *bed = *state;
    uint8_t buffer[100];
    struct error err = ERROR_INIT;
    size_t got;

    object_feed_arrived(bed->feed, SIZE + 1);
    assert_fails(ERROR_CORRUPT, byte_source_pread(bed->follower, buffer, sizeof buffer, SIZE - 99,
                                                  NULL, &got, &err));
}

static void followers_read_each_for_himself_and_tell_when_they_leave(void **state)
{
    struct bed *bed = *state;
    struct byte_source *other = follow(bed);
    uint8_t byte = 0;
    struct error err = ERROR_INIT;
    size_t got;

    object_feed_arrived(bed->feed, 100);
    assert_gives(bed, 100, 0, 100);
    assert_succeeds(byte_source_pread(other, &byte, 1, 0, NULL, &got, &err));
    assert_int_equal(byte, bed->bytes[0]);
    byte_source_free(other);
    assert_int_equal(bed->left, 1);
    assert_gives(bed, 100, 0, 100);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_bed, close_bed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(gives_what_has_arrived_at_once),
        test(waits_for_all_bytes_of_a_read),
        test(tells_no_end_before_a_good_one),
        test(tells_an_empty_object_empty),
        test(fails_with_the_error_of_a_bad_end),
        test(a_read_that_waits_can_be_cancelled),
        test(a_file_that_was_cut_off_is_damage),
        test(followers_read_each_for_himself_and_tell_when_they_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
