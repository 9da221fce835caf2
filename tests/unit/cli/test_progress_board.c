/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress_board.h"

#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

#define MEBIBYTE (UINT64_C(1) << 20)
#define SECOND UINT64_C(1000000000)
#define FIRST_ID "11111111-2222-4333-8444-555555555555"
#define OTHER_ID "99999999-8888-4777-a666-555555555555"

/* A board that is written to memory. */
struct board_test {
    struct progress_board board;
    FILE *stream;
    char *text;
    size_t size;
};

static const struct progress_row rows[] = {
    {FIRST_ID, 512 * MEBIBYTE, 1024 * MEBIBYTE, false},
    {OTHER_ID, 7 * MEBIBYTE, BYTE_SOURCE_SIZE_UNKNOWN, false},
};

static void start(struct board_test *test, bool is_terminal)
{
    test->stream = open_memstream(&test->text, &test->size);
    assert_non_null(test->stream);
    progress_board_start(&test->board, test->stream, is_terminal, "fetch", 0);
}

static void stop(struct board_test *test)
{
    (void)fclose(test->stream);
    free(test->text);
}

static void quick_work_shows_nothing(void **state)
{
    struct board_test test;

    (void)state;
    for (int terminal = 0; terminal < 2; terminal++) {
        start(&test, terminal == 1);
        progress_board_update(&test.board, rows, 2, 80, PROGRESS_QUIET_NS - 1);
        progress_board_clear(&test.board);
        (void)fflush(test.stream);
        assert_int_equal(test.size, 0);
        stop(&test);
    }
}

static void a_terminal_gets_a_row_for_each_image(void **state)
{
    struct board_test test;

    (void)state;
    start(&test, true);
    progress_board_update(&test.board, rows, 2, 120, SECOND);
    assert_string_equal(test.text,
                        "\r" FIRST_ID "  50 %    512 of   1024 MiB [######......]\033[K\n"
                        "\r" OTHER_ID "            7 MiB\033[K\n\033[J");
    stop(&test);
}

static void who_waits_for_another_download_says_so(void **state)
{
    static const struct progress_row waiting[] = {
        {FIRST_ID, 512 * MEBIBYTE, 1024 * MEBIBYTE, true},
        {OTHER_ID, 7 * MEBIBYTE, BYTE_SOURCE_SIZE_UNKNOWN, true},
    };
    struct board_test test;

    (void)state;
    start(&test, true);
    progress_board_update(&test.board, waiting, 2, 120, SECOND);
    assert_string_equal(
        test.text, "\r" FIRST_ID
                   "  50 %    512 of   1024 MiB [######......] waiting for another download\033[K\n"
                   "\r" OTHER_ID "            7 MiB waiting for another download\033[K\n\033[J");
    stop(&test);
    start(&test, false);
    progress_board_update(&test.board, waiting, 1, 80, 11 * SECOND);
    assert_string_equal(test.text, "fetch " FIRST_ID
                                   " 512 MiB of 1024 MiB (50 %) waiting for another download\n");
    stop(&test);
}

static void the_next_rows_are_drawn_over_the_ones_before(void **state)
{
    struct board_test test;
    size_t before;

    (void)state;
    start(&test, true);
    progress_board_update(&test.board, rows, 2, 120, SECOND);
    before = test.size;
    progress_board_update(&test.board, rows, 1, 120, SECOND + PROGRESS_BAR_INTERVAL_NS);
    assert_string_equal(test.text + before,
                        "\033[2A\r" FIRST_ID
                        "  50 %    512 of   1024 MiB [######......]\033[K\n\033[J");
    before = test.size;
    progress_board_clear(&test.board);
    assert_string_equal(test.text + before, "\033[1A\r\033[J");
    before = test.size;
    progress_board_clear(&test.board);
    assert_int_equal(test.size, before);
    stop(&test);
}

static void after_other_lines_the_rows_come_back_at_once(void **state)
{
    struct board_test test;
    size_t before;

    (void)state;
    start(&test, true);
    progress_board_update(&test.board, rows, 1, 120, SECOND);
    progress_board_clear(&test.board);
    before = test.size;
    progress_board_update(&test.board, rows, 1, 120, SECOND + 1);
    assert_true(test.size > before);
    assert_int_equal(test.text[before], '\r');
    stop(&test);
}

/* A row that became two would be drawn over by half. */
static void a_row_is_narrower_than_the_terminal(void **state)
{
    struct board_test test;

    (void)state;
    start(&test, true);
    progress_board_update(&test.board, rows, 1, 40, SECOND);
    assert_string_equal(test.text, "\r" FIRST_ID "  5\033[K\n\033[J");
    stop(&test);
    start(&test, true);
    progress_board_update(&test.board, rows, 1, 0, SECOND);
    assert_true(strcspn(test.text, "\033") <= 80);
    assert_non_null(strstr(test.text, "[######......]"));
    stop(&test);
}

static void elsewhere_a_plain_line_for_each_comes_now_and_then(void **state)
{
    struct board_test test;

    (void)state;
    start(&test, false);
    progress_board_update(&test.board, rows, 2, 80, 11 * SECOND);
    progress_board_update(&test.board, rows, 2, 80, 20 * SECOND);
    progress_board_clear(&test.board);
    assert_string_equal(test.text, "fetch " FIRST_ID " 512 MiB of 1024 MiB (50 %)\n"
                                   "fetch " OTHER_ID " 7 MiB\n");
    stop(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quick_work_shows_nothing),
        cmocka_unit_test(a_terminal_gets_a_row_for_each_image),
        cmocka_unit_test(who_waits_for_another_download_says_so),
        cmocka_unit_test(the_next_rows_are_drawn_over_the_ones_before),
        cmocka_unit_test(after_other_lines_the_rows_come_back_at_once),
        cmocka_unit_test(a_row_is_narrower_than_the_terminal),
        cmocka_unit_test(elsewhere_a_plain_line_for_each_comes_now_and_then),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
