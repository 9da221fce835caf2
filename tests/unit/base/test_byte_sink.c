/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/byte_sink.h"

#include "support/memory_sink.h"
#include "support/testing.h"

static void assert_counts(const struct memory_sink_record *record, unsigned commits,
                          unsigned aborts, unsigned frees)
{
    assert_int_equal(record->commits, commits);
    assert_int_equal(record->aborts, aborts);
    assert_int_equal(record->frees, frees);
}

static void written_bytes_arrive_in_order_and_count_after_commit(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    struct byte_sink *sink = memory_sink_new(&record, NULL);
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(sink->state, BYTE_SINK_OPEN);
    assert_succeeds(byte_sink_write(sink, "abc", 3, NULL, &err));
    assert_succeeds(byte_sink_write(sink, "de", 2, NULL, &err));
    assert_succeeds(byte_sink_commit(sink, NULL, &err));
    assert_int_equal(sink->state, BYTE_SINK_COMMITTED);
    assert_int_equal(record.size, 5);
    assert_memory_equal(record.bytes, "abcde", 5);
    byte_sink_free(sink);
    assert_counts(&record, 1, 0, 1);
}

static void freeing_without_commit_is_an_abort(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    struct byte_sink *sink = memory_sink_new(&record, NULL);
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(byte_sink_write(sink, "abc", 3, NULL, &err));
    byte_sink_free(sink);
    assert_counts(&record, 0, 1, 1);
}

static void leaving_scope_without_commit_is_an_abort(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};

    (void)state;
    {
        CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&record, NULL);

        assert_int_equal(sink->state, BYTE_SINK_OPEN);
    }
    assert_counts(&record, 0, 1, 1);
}

static void a_committed_sink_takes_nothing_more(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    struct byte_sink *sink = memory_sink_new(&record, NULL);
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(byte_sink_commit(sink, NULL, &err));
    assert_fails(ERROR_INVALID, byte_sink_write(sink, "a", 1, NULL, &err));
    assert_fails(ERROR_INVALID, byte_sink_write(sink, "", 0, NULL, &err));
    assert_fails(ERROR_INVALID, byte_sink_commit(sink, NULL, &err));
    byte_sink_abort(sink);
    assert_int_equal(sink->state, BYTE_SINK_COMMITTED);
    assert_int_equal(record.writes, 0);
    byte_sink_free(sink);
    assert_counts(&record, 1, 0, 1);
}

static void an_aborted_sink_takes_nothing_more(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    struct byte_sink *sink = memory_sink_new(&record, NULL);
    struct error err = ERROR_INIT;

    (void)state;
    byte_sink_abort(sink);
    assert_int_equal(sink->state, BYTE_SINK_ABORTED);
    assert_fails(ERROR_INVALID, byte_sink_write(sink, "a", 1, NULL, &err));
    assert_fails(ERROR_INVALID, byte_sink_write(sink, "", 0, NULL, &err));
    assert_fails(ERROR_INVALID, byte_sink_commit(sink, NULL, &err));
    byte_sink_abort(sink);
    assert_int_equal(record.writes, 0);
    byte_sink_free(sink);
    assert_counts(&record, 0, 1, 1);
}

static void a_failed_write_aborts_and_its_error_is_kept(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    const struct memory_sink_options options = {.fails = true, .fail_at = 4};
    struct byte_sink *sink = memory_sink_new(&record, &options);
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(byte_sink_write(sink, "abcd", 4, NULL, &err));
    assert_fails(ERROR_NO_SPACE, byte_sink_write(sink, "e", 1, NULL, &err));
    assert_int_equal(sink->state, BYTE_SINK_ABORTED);
    assert_counts(&record, 0, 1, 0);
    assert_fails(ERROR_INVALID, byte_sink_commit(sink, NULL, &err));
    byte_sink_free(sink);
    assert_counts(&record, 0, 1, 1);
}

static void a_failed_commit_aborts_and_its_error_is_kept(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    const struct memory_sink_options options = {.fails_commit = true, .fail_kind = ERROR_CORRUPT};
    struct byte_sink *sink = memory_sink_new(&record, &options);
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(byte_sink_write(sink, "abcd", 4, NULL, &err));
    assert_fails(ERROR_CORRUPT, byte_sink_commit(sink, NULL, &err));
    assert_int_equal(sink->state, BYTE_SINK_ABORTED);
    assert_fails(ERROR_INVALID, byte_sink_commit(sink, NULL, &err));
    byte_sink_free(sink);
    assert_counts(&record, 1, 1, 1);
}

static void writing_nothing_keeps_the_sink_open(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    const struct memory_sink_options options = {.fails = true, .fail_at = 0};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&record, &options);
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(byte_sink_write(sink, NULL, 0, NULL, &err));
    assert_int_equal(sink->state, BYTE_SINK_OPEN);
    assert_succeeds(byte_sink_commit(sink, NULL, &err));
}

static void a_cancelled_write_aborts(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    const struct memory_sink_options options = {.delay_ms = 1};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&record, &options);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, byte_sink_write(sink, "abc", 3, cancel, &err));
    assert_int_equal(sink->state, BYTE_SINK_ABORTED);
    assert_int_equal(record.size, 0);
}

static void freeing_null_is_allowed(void **state)
{
    (void)state;
    byte_sink_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_bytes_arrive_in_order_and_count_after_commit),
        cmocka_unit_test(freeing_without_commit_is_an_abort),
        cmocka_unit_test(leaving_scope_without_commit_is_an_abort),
        cmocka_unit_test(a_committed_sink_takes_nothing_more),
        cmocka_unit_test(an_aborted_sink_takes_nothing_more),
        cmocka_unit_test(a_failed_write_aborts_and_its_error_is_kept),
        cmocka_unit_test(a_failed_commit_aborts_and_its_error_is_kept),
        cmocka_unit_test(writing_nothing_keeps_the_sink_open),
        cmocka_unit_test(a_cancelled_write_aborts),
        cmocka_unit_test(freeing_null_is_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
