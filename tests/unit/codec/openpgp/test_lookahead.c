/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/lookahead.h"

#include "codec/openpgp/ciphertext_stream.h"
#include "codec_bed.h"

#define CAPACITY 8

/* A look-ahead over bytes in memory. */
struct fixture {
    struct byte_source *source;
    struct ciphertext_stream ciphertext;
    struct lookahead *lookahead;
};

static void start(struct fixture *fixture, const char *text,
                  const struct memory_source_options *options, struct secure_arena *arena)
{
    struct error err = ERROR_INIT;

    fixture->source = memory_source_new(text, strlen(text), options);
    ciphertext_stream_init(&fixture->ciphertext, fixture->source, 0);
    assert_succeeds(
        lookahead_new(&fixture->ciphertext.stream, arena, CAPACITY, &fixture->lookahead, &err));
}

static void stop(struct fixture *fixture)
{
    lookahead_free(fixture->lookahead);
    byte_source_free(fixture->source);
}

static void shows_bytes_without_consuming_them(void **state)
{
    struct fixture fixture;
    struct error err = ERROR_INIT;
    const uint8_t *bytes;
    char buffer[CAPACITY];
    size_t size;

    (void)state;
    start(&fixture, "abcdefghijkl", NULL, NULL);
    assert_succeeds(lookahead_peek(fixture.lookahead, 3, NULL, &bytes, &size, &err));
    assert_in_range(size, 3, CAPACITY);
    assert_memory_equal(bytes, "abc", 3);
    assert_int_equal(lookahead_position(fixture.lookahead), 0);
    assert_succeeds(byte_stream_read(&fixture.lookahead->stream, buffer, 2, NULL, &size, &err));
    assert_int_equal(size, 2);
    assert_memory_equal(buffer, "ab", 2);
    assert_int_equal(lookahead_position(fixture.lookahead), 2);
    stop(&fixture);
}

static void refills_around_bytes_that_are_still_wanted(void **state)
{
    struct fixture fixture;
    struct error err = ERROR_INIT;
    const uint8_t *bytes;
    size_t size;

    (void)state;
    start(&fixture, "abcdefghijkl", NULL, NULL);
    assert_succeeds(lookahead_peek(fixture.lookahead, CAPACITY, NULL, &bytes, &size, &err));
    lookahead_skip(fixture.lookahead, 6);
    assert_succeeds(lookahead_peek(fixture.lookahead, 6, NULL, &bytes, &size, &err));
    assert_int_equal(size, 6);
    assert_memory_equal(bytes, "ghijkl", 6);
    assert_int_equal(lookahead_position(fixture.lookahead), 6);
    stop(&fixture);
}

static void shows_less_only_at_the_end(void **state)
{
    struct fixture fixture;
    struct error err = ERROR_INIT;
    const uint8_t *bytes;
    size_t size;

    (void)state;
    start(&fixture, "ab", NULL, NULL);
    assert_succeeds(lookahead_peek(fixture.lookahead, 5, NULL, &bytes, &size, &err));
    assert_int_equal(size, 2);
    lookahead_skip(fixture.lookahead, 2);
    assert_succeeds(lookahead_peek(fixture.lookahead, 1, NULL, &bytes, &size, &err));
    assert_int_equal(size, 0);
    stop(&fixture);
}

static void large_reads_go_straight_to_the_stream_below(void **state)
{
    struct fixture fixture;
    struct error err = ERROR_INIT;
    char buffer[32];
    size_t size;

    (void)state;
    start(&fixture, "abcdefghijklmnopqrstuvwxyz", NULL, NULL);
    assert_succeeds(byte_stream_read(&fixture.lookahead->stream, buffer, 20, NULL, &size, &err));
    assert_int_equal(size, 20);
    assert_memory_equal(buffer, "abcdefghijklmnopqrst", 20);
    assert_int_equal(memory_source_reads(fixture.source), 1);
    assert_int_equal(lookahead_position(fixture.lookahead), 20);
    stop(&fixture);
}

static void a_failed_fill_loses_nothing(void **state)
{
    const struct memory_source_options options = {.fails = true, .fail_at = 10};
    struct fixture fixture;
    struct error err = ERROR_INIT;
    const uint8_t *bytes;
    char buffer[CAPACITY];
    size_t size;

    (void)state;
    start(&fixture, "abcdefghijkl", &options, NULL);
    assert_succeeds(lookahead_peek(fixture.lookahead, CAPACITY, NULL, &bytes, &size, &err));
    lookahead_skip(fixture.lookahead, 5);
    assert_fails(ERROR_UNAVAILABLE,
                 lookahead_peek(fixture.lookahead, CAPACITY, NULL, &bytes, &size, &err));
    assert_succeeds(byte_stream_read(&fixture.lookahead->stream, buffer, 7, NULL, &size, &err));
    assert_int_equal(size, 3);
    assert_memory_equal(buffer, "fgh", 3);
    stop(&fixture);
}

static void plaintext_lies_in_the_arena(void **state)
{
    struct fixture fixture;
    struct error err = ERROR_INIT;
    const uint8_t *bytes;
    size_t size;

    (void)state;
    start(&fixture, "abc", NULL, bed_arena());
    assert_succeeds(lookahead_peek(fixture.lookahead, 1, NULL, &bytes, &size, &err));
    assert_true(secure_arena_contains(bed_arena(), bytes));
    stop(&fixture);
}

static void says_so_when_locked_memory_is_used_up(void **state)
{
    struct ciphertext_stream ciphertext = {.position = 0};
    struct lookahead *lookahead = NULL;
    struct error err = ERROR_INIT;
    struct bed_hoard hoard;
    int result;

    (void)state;
    bed_hoard_memory(&hoard, 0);
    result = lookahead_new(&ciphertext.stream, bed_arena(), CAPACITY, &lookahead, &err);
    bed_give_back(&hoard);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERROR_EXHAUSTED);
    assert_null(lookahead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(shows_bytes_without_consuming_them),
        bed_test(refills_around_bytes_that_are_still_wanted),
        bed_test(shows_less_only_at_the_end),
        bed_test(large_reads_go_straight_to_the_stream_below),
        bed_test(a_failed_fill_loses_nothing),
        bed_test(plaintext_lies_in_the_arena),
        bed_test(says_so_when_locked_memory_is_used_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
