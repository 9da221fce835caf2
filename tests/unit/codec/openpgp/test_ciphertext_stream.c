/* SPDX-License-Identifier: Apache-2.0 */
/* The lowest layer and the two calls that all layers share (byte_stream.h). */
#include "codec/openpgp/ciphertext_stream.h"

#include "codec_bed.h"
#include "glancefs/limits.h"

#include <stdlib.h>

static void reads_from_its_offset_to_the_end(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = memory_source_new("abcdef", 6, NULL);
    struct ciphertext_stream ciphertext;
    struct error err = ERROR_INIT;
    char buffer[8];
    size_t got;

    (void)state;
    ciphertext_stream_init(&ciphertext, source, 2);
    assert_succeeds(byte_stream_read(&ciphertext.stream, buffer, 3, NULL, &got, &err));
    assert_int_equal(got, 3);
    assert_memory_equal(buffer, "cde", 3);
    assert_succeeds(byte_stream_read(&ciphertext.stream, buffer, 3, NULL, &got, &err));
    assert_int_equal(got, 1);
    assert_succeeds(byte_stream_read(&ciphertext.stream, buffer, 3, NULL, &got, &err));
    assert_int_equal(got, 0);
}

static void asks_the_cancel_token_before_each_read(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = memory_source_new("abc", 3, NULL);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct ciphertext_stream ciphertext;
    struct error err = ERROR_INIT;
    char buffer[3];
    size_t got;

    (void)state;
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    ciphertext_stream_init(&ciphertext, source, 0);
    assert_fails(ERROR_CANCELLED,
                 byte_stream_read(&ciphertext.stream, buffer, 3, cancel, &got, &err));
    assert_int_equal(memory_source_reads(source), 0);
    assert_succeeds(byte_stream_read(&ciphertext.stream, buffer, 3, NULL, &got, &err));
    assert_int_equal(got, 3);
}

static void a_failed_read_consumes_nothing(void **state)
{
    const struct memory_source_options options = {.fails = true, .fail_at = 2};
    CLEANUP(byte_source_free) struct byte_source *source = memory_source_new("abc", 3, &options);
    struct ciphertext_stream ciphertext;
    struct error err = ERROR_INIT;
    char buffer[3];
    size_t got;

    (void)state;
    ciphertext_stream_init(&ciphertext, source, 0);
    assert_fails(ERROR_UNAVAILABLE,
                 byte_stream_read(&ciphertext.stream, buffer, 3, NULL, &got, &err));
    assert_succeeds(byte_stream_read(&ciphertext.stream, buffer, 2, NULL, &got, &err));
    assert_memory_equal(buffer, "ab", 2);
}

/* What came in one read must not be much more than what came before: the source may be slow. */
static void reads_small_pieces_first_and_then_larger_ones(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, MIB);
    CLEANUP(byte_source_free) struct byte_source *source = memory_source_new(bytes, MIB, NULL);
    CLEANUP(memory_free) uint8_t *buffer = malloc(MIB);
    struct ciphertext_stream ciphertext;
    struct error err = ERROR_INIT;
    size_t done = 0, got = 1;

    (void)state;
    assert_non_null(buffer);
    ciphertext_stream_init(&ciphertext, source, 0);
    while (got > 0) {
        assert_succeeds(byte_stream_read(&ciphertext.stream, buffer + done, MIB, NULL, &got, &err));
        assert_in_range(got, 0, done > CIPHERTEXT_FIRST_BYTES ? done : CIPHERTEXT_FIRST_BYTES);
        done += got;
    }
    assert_int_equal(done, MIB);
    assert_memory_equal(buffer, bytes, MIB);
    assert_in_range(memory_source_reads(source), 2, 13);
}

static void an_exact_read_that_meets_the_end_is_damage(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = memory_source_new("abc", 3, NULL);
    struct ciphertext_stream ciphertext;
    struct error err = ERROR_INIT;
    char buffer[4];

    (void)state;
    ciphertext_stream_init(&ciphertext, source, 0);
    assert_succeeds(byte_stream_read_exact(&ciphertext.stream, buffer, 3, NULL, &err));
    ciphertext_stream_init(&ciphertext, source, 0);
    assert_fails(ERROR_CORRUPT, byte_stream_read_exact(&ciphertext.stream, buffer, 4, NULL, &err));
    assert_string_equal(err.message, DAMAGED_MESSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(reads_from_its_offset_to_the_end),
        bed_test(asks_the_cancel_token_before_each_read),
        bed_test(a_failed_read_consumes_nothing),
        bed_test(reads_small_pieces_first_and_then_larger_ones),
        bed_test(an_exact_read_that_meets_the_end_is_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
