/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "support/memory_source.h"
#include "support/testing.h"

#include <stdlib.h>

#define MEBIBYTE (UINT64_C(1) << 20)
#define SECOND UINT64_C(1000000000)

/* Progress that is written to memory. */
struct progress_test {
    struct progress progress;
    FILE *stream;
    char *text;
    size_t size;
};

static void start(struct progress_test *test, bool is_terminal, uint64_t total)
{
    test->stream = open_memstream(&test->text, &test->size);
    assert_non_null(test->stream);
    progress_start(&test->progress, test->stream, is_terminal, "decrypt", total, 0);
}

static void stop(struct progress_test *test)
{
    (void)fclose(test->stream);
    free(test->text);
}

static void quick_work_shows_nothing(void **state)
{
    struct progress_test test;

    (void)state;
    for (int terminal = 0; terminal < 2; terminal++) {
        start(&test, terminal == 1, 10 * MEBIBYTE);
        progress_update(&test.progress, 5 * MEBIBYTE, PROGRESS_QUIET_NS - 1);
        progress_finish(&test.progress);
        (void)fflush(test.stream);
        assert_int_equal(test.size, 0);
        stop(&test);
    }
}

static void a_terminal_gets_a_bar_that_is_removed_at_last(void **state)
{
    struct progress_test test;

    (void)state;
    start(&test, true, 10 * MEBIBYTE);
    progress_update(&test.progress, 5 * MEBIBYTE, SECOND);
    assert_string_equal(test.text,
                        "\r\033[Kdecrypt [###############...............] 5 MiB of 10 MiB (50 %)");
    progress_update(&test.progress, 6 * MEBIBYTE, SECOND + PROGRESS_BAR_INTERVAL_NS - 1);
    assert_null(strstr(test.text, "6 MiB"));
    progress_update(&test.progress, 10 * MEBIBYTE, 2 * SECOND);
    assert_non_null(strstr(test.text, "10 MiB of 10 MiB (100 %)"));
    progress_finish(&test.progress);
    assert_string_equal(test.text + test.size - 4, "\r\033[K");
    stop(&test);
}

static void elsewhere_a_plain_line_comes_now_and_then(void **state)
{
    struct progress_test test;

    (void)state;
    start(&test, false, 3000 * MEBIBYTE);
    progress_update(&test.progress, 1000 * MEBIBYTE, 11 * SECOND);
    progress_update(&test.progress, 1500 * MEBIBYTE, 20 * SECOND);
    progress_update(&test.progress, 2999 * MEBIBYTE, 22 * SECOND);
    progress_finish(&test.progress);
    assert_string_equal(test.text, "decrypt 1000 MiB of 3000 MiB (33 %)\n"
                                   "decrypt 2999 MiB of 3000 MiB (99 %)\n");
    stop(&test);
}

static void an_unknown_total_shows_no_percentage(void **state)
{
    struct progress_test test;

    (void)state;
    start(&test, false, BYTE_SOURCE_SIZE_UNKNOWN);
    progress_update(&test.progress, 7 * MEBIBYTE, 11 * SECOND);
    assert_string_equal(test.text, "decrypt 7 MiB\n");
    stop(&test);
}

static void more_than_the_total_is_all_of_it(void **state)
{
    struct progress_test test;

    (void)state;
    start(&test, true, 0);
    progress_update(&test.progress, 7 * MEBIBYTE, SECOND);
    assert_non_null(strstr(test.text, "(100 %)"));
    stop(&test);
}

/* A file on disk can be read again: a wrong candidate for the session key is not the last one. */
static void its_source_is_forward_only_where_the_one_below_is(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const struct memory_source_options options = {.is_forward_only = i == 1};
        CLEANUP(byte_source_free) struct byte_source *source = NULL;
        struct progress progress;
        struct error err = ERROR_INIT;

        assert_succeeds(
            progress_source_new(memory_source_new("abc", 3, &options), &progress, &source, &err));
        assert_int_equal(byte_source_is_forward_only(source), options.is_forward_only);
    }
}

static void its_source_gives_what_the_one_below_gives(void **state)
{
    const struct memory_source_options failing = {.fails = true, .fail_at = 0};
    struct byte_source *source = NULL;
    struct progress_test test;
    struct error err = ERROR_INIT;
    char buffer[8];
    size_t got;

    (void)state;
    start(&test, false, 3);
    assert_succeeds(
        progress_source_new(memory_source_new("abc", 3, NULL), &test.progress, &source, &err));
    assert_int_equal(byte_source_size(source), 3);
    assert_succeeds(byte_source_pread(source, buffer, sizeof buffer, 0, NULL, &got, &err));
    assert_int_equal(got, 3);
    assert_memory_equal(buffer, "abc", 3);
    byte_source_free(source);
    assert_succeeds(
        progress_source_new(memory_source_new("abc", 3, &failing), &test.progress, &source, &err));
    assert_fails(ERROR_UNAVAILABLE,
                 byte_source_pread(source, buffer, sizeof buffer, 0, NULL, &got, &err));
    byte_source_free(source);
    stop(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quick_work_shows_nothing),
        cmocka_unit_test(a_terminal_gets_a_bar_that_is_removed_at_last),
        cmocka_unit_test(elsewhere_a_plain_line_comes_now_and_then),
        cmocka_unit_test(an_unknown_total_shows_no_percentage),
        cmocka_unit_test(more_than_the_total_is_all_of_it),
        cmocka_unit_test(its_source_is_forward_only_where_the_one_below_is),
        cmocka_unit_test(its_source_gives_what_the_one_below_gives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
