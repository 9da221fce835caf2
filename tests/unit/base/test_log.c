/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "support/temp_dir.h"
#include "support/testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Standard error goes to a file of the test's own between begin and end. */
struct capture {
    struct temp_dir *dir;
    int saved;
};

static struct capture begin_capture(void)
{
    struct capture capture = {.dir = temp_dir_new(), .saved = dup(STDERR_FILENO)};
    CLEANUP(memory_free) char *path = temp_dir_join(capture.dir, "stderr");
    CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    assert_true(capture.saved >= 0 && fd >= 0);
    (void)fflush(stderr);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    return capture;
}

/* What was written, on the heap. */
static char *end_capture(struct capture *capture)
{
    char *text;

    (void)fflush(stderr);
    assert_true(dup2(capture->saved, STDERR_FILENO) >= 0);
    (void)close(capture->saved);
    text = (char *)temp_dir_read(capture->dir, "stderr", NULL);
    temp_dir_free(capture->dir);
    return text;
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;

    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static int use_stderr_at_debug(void **state)
{
    (void)state;
    log_setup(LOG_STDERR, LOG_LEVEL_DEBUG);
    return 0;
}

static void a_message_is_one_line_with_its_level(void **state)
{
    static const struct {
        enum log_level level;
        const char *name;
    } levels[] = {{LOG_LEVEL_ERROR, "error"},
                  {LOG_LEVEL_WARNING, "warning"},
                  {LOG_LEVEL_INFO, "info"},
                  {LOG_LEVEL_DEBUG, "debug"}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(levels); i++) {
        CLEANUP(memory_free) char *text = NULL;
        struct capture capture = begin_capture();

        log_write(levels[i].level, "image %s: %d", "abc", 5);
        text = end_capture(&capture);
        assert_non_null(strstr(text, "image abc: 5\n"));
        assert_non_null(strstr(text, levels[i].name));
        assert_int_equal(count_lines(text), 1);
    }
}

static void the_macros_carry_their_levels(void **state)
{
    CLEANUP(memory_free) char *text = NULL;
    struct capture capture;

    (void)state;
    log_setup(LOG_STDERR, LOG_LEVEL_WARNING);
    capture = begin_capture();
    log_error("e%d", 1);
    log_warning("w%d", 2);
    log_info("i%d", 3);
    log_debug("d%d", 4);
    text = end_capture(&capture);
    assert_non_null(strstr(text, "e1\n"));
    assert_non_null(strstr(text, "w2\n"));
    assert_null(strstr(text, "i3"));
    assert_null(strstr(text, "d4"));
}

static void every_level_shows_itself_and_what_is_graver(void **state)
{
    static const enum log_level levels[] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO,
                                            LOG_LEVEL_DEBUG};

    (void)state;
    for (size_t shown = 0; shown < ELEMENTS_OF(levels); shown++) {
        CLEANUP(memory_free) char *text = NULL;
        struct capture capture;

        log_setup(LOG_STDERR, levels[shown]);
        capture = begin_capture();
        for (size_t i = 0; i < ELEMENTS_OF(levels); i++)
            log_write(levels[i], "line");
        text = end_capture(&capture);
        assert_int_equal(count_lines(text), shown + 1);
    }
}

/* Names of images and properties come from outside: none may forge a line or move a terminal. */
static void control_characters_are_replaced(void **state)
{
    CLEANUP(memory_free) char *text = NULL;
    struct capture capture = begin_capture();
    char evil[64] = "";
    size_t length = 0;

    (void)state;
    for (int c = 1; c < ' '; c++)
        evil[length++] = (char)c;
    evil[length++] = 0x7f;
    log_error("[%s]", evil);
    log_error("name\nglancefs: error: forged\r\x1b[2J");
    text = end_capture(&capture);
    assert_int_equal(count_lines(text), 2);
    for (const char *c = text; *c != '\0'; c++)
        assert_true(*c == '\n' || ((unsigned char)*c >= ' ' && *c != 0x7f));
}

static void text_beyond_ascii_is_kept(void **state)
{
    CLEANUP(memory_free) char *text = NULL;
    struct capture capture = begin_capture();

    (void)state;
    log_info("Gr\xc3\xbc\xc3\x9f \xe2\x82\xac 100%% \"quoted\"");
    text = end_capture(&capture);
    assert_non_null(strstr(text, "Gr\xc3\xbc\xc3\x9f \xe2\x82\xac 100% \"quoted\"\n"));
}

static void a_message_over_every_length_is_cut_to_one_line(void **state)
{
    CLEANUP(memory_free) char *text = NULL;
    CLEANUP(memory_free) char *huge = malloc(100001);
    struct capture capture = begin_capture();

    (void)state;
    assert_non_null(huge);
    memset(huge, 'x', 100000);
    huge[100000] = '\0';
    log_error("%s", huge);
    text = end_capture(&capture);
    assert_int_equal(count_lines(text), 1);
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_true(strlen(text) < 100000);
}

static void *write_lines(void *argument)
{
    for (int i = 0; i < 200; i++)
        log_error("begin %s end", (const char *)argument);
    return NULL;
}

static void lines_of_many_threads_do_not_mix(void **state)
{
    static char words[4][101];
    CLEANUP(memory_free) char *text = NULL;
    struct capture capture = begin_capture();
    pthread_t threads[4];
    char *rest, *line;
    size_t whole = 0;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        memset(words[i], 'a' + (int)i, 100);
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, words[i]), 0);
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    text = end_capture(&capture);
    rest = text;
    while ((line = strsep(&rest, "\n")) != NULL) {
        const char *begin = strstr(line, "begin ");

        if (begin == NULL)
            continue;
        for (size_t i = 0; i < 4; i++)
            whole += strncmp(begin + 6, words[i], 100) == 0 && strcmp(begin + 106, " end") == 0;
    }
    assert_int_equal(whole, 800);
}

static void level_names_are_those_of_the_option_and_no_other(void **state)
{
    static const char *const wrong[] = {"",       "ERROR",  "err", "warn", "notice", "information",
                                        "debug ", " debug", "3",   "all",  "none"};
    enum log_level level;

    (void)state;
    assert_true(log_level_from_name("error", &level));
    assert_int_equal(level, LOG_LEVEL_ERROR);
    assert_true(log_level_from_name("warning", &level));
    assert_int_equal(level, LOG_LEVEL_WARNING);
    assert_true(log_level_from_name("info", &level));
    assert_int_equal(level, LOG_LEVEL_INFO);
    assert_true(log_level_from_name("debug", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    for (size_t i = 0; i < ELEMENTS_OF(wrong); i++)
        assert_false(log_level_from_name(wrong[i], &level));
}

/* Where no journal runs, logging must still not fail, wait or reach standard error. */
static void the_journal_as_target_leaves_standard_error_alone(void **state)
{
    CLEANUP(memory_free) char *text = NULL;
    struct capture capture;

    (void)state;
    log_setup(LOG_JOURNAL, LOG_LEVEL_DEBUG);
    capture = begin_capture();
    log_debug("from the unit tests of glancefs");
    text = end_capture(&capture);
    assert_string_equal(text, "");
}

#define at_debug(test) cmocka_unit_test_setup(test, use_stderr_at_debug)

int main(void)
{
    const struct CMUnitTest tests[] = {
        at_debug(a_message_is_one_line_with_its_level),
        at_debug(the_macros_carry_their_levels),
        at_debug(every_level_shows_itself_and_what_is_graver),
        at_debug(control_characters_are_replaced),
        at_debug(text_beyond_ascii_is_kept),
        at_debug(a_message_over_every_length_is_cut_to_one_line),
        at_debug(lines_of_many_threads_do_not_mix),
        at_debug(level_names_are_those_of_the_option_and_no_other),
        at_debug(the_journal_as_target_leaves_standard_error_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
