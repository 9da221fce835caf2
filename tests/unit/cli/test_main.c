/* SPDX-License-Identifier: Apache-2.0 */
/* What the program does around its commands. */
#include "cli/command.h"
#include "program.h"
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>

#define IMAGE_ID "7b97a3a7-3d5c-4b6f-9f4e-2f1f3a5d9c10"

/* A directory with a file "abc" and a cloud with one image. */
struct main_test {
    struct temp_dir *dir;
    char cloud[4096]; /* "local:DIR/cloud" */
    char *file;
};

static void begin_test(struct main_test *test)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;

    test->dir = temp_dir_new();
    (void)snprintf(test->cloud, sizeof test->cloud, "local:%s/cloud", temp_dir_path(test->dir));
    temp_dir_write(test->dir, "abc", "abc", 3);
    test->file = temp_dir_join(test->dir, "abc");
    run =
        RUN(test->dir, NULL, "images", "add", "--cloud", test->cloud, "--id", IMAGE_ID, test->file);
    assert_int_equal(run->exit_code, EXIT_CODE_OK);
}

static void end_test(struct main_test *test)
{
    temp_dir_free(test->dir);
    free(test->file);
}

/* One line that starts with `prefix`, and exit code 1. */
static void assert_tells_lost_output(const struct main_test *test, const char *prefix,
                                     const char *const *arguments)
{
    CLEANUP(program_run_free)
    struct program_run *run = program_run_onto(test->dir, "/dev/full", arguments);
    char expected[256];

    (void)snprintf(expected, sizeof expected, "%s: standard output: No space left on device\n",
                   prefix);
    assert_string_equal(run->errors, expected);
    assert_int_equal(run->exit_code, EXIT_CODE_FAILED);
}

static void output_that_is_lost_is_a_failure(void **state)
{
    struct main_test test;

    (void)state;
    begin_test(&test);
#define TELLS(prefix, ...)                                                                         \
    assert_tells_lost_output(&test, prefix, (const char *const[]){__VA_ARGS__, NULL})
    TELLS("glancefs --help", "--help");
    TELLS("glancefs --version", "--version");
    TELLS("glancefs images", "images", "--help");
    TELLS("glancefs images", "images", "list", "--cloud", test.cloud);
    TELLS("glancefs images", "images", "list", "--json", "--cloud", test.cloud);
    TELLS("glancefs images", "images", "show", "--cloud", test.cloud, IMAGE_ID);
    TELLS("glancefs images", "images", "add", "--cloud", test.cloud, test.file);
    TELLS("glancefs key", "key", "create", "--cloud", test.cloud);
    TELLS("glancefs decrypt", "decrypt", "--help");
    TELLS("glancefs uploads", "uploads", "list", "--json", "--cloud", test.cloud, "--cache",
          temp_dir_path(test.dir));
#undef TELLS
    end_test(&test);
}

static void a_command_that_fails_keeps_its_exit_code(void **state)
{
    static const char *const show[] = {"images", "show", "--cloud", "local:/nonexistent",
                                       IMAGE_ID, NULL};
    CLEANUP(program_run_free) struct program_run *run = NULL;
    struct main_test test;

    (void)state;
    begin_test(&test);
    run = program_run_onto(test.dir, "/dev/full", show);
    assert_int_equal(run->exit_code, EXIT_CODE_NOT_FOUND);
    assert_null(strstr(run->errors, "standard output"));
    end_test(&test);
}

static void output_that_arrives_is_no_failure(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    struct main_test test;

    (void)state;
    begin_test(&test);
    run = RUN(test.dir, NULL, "--help");
    assert_int_equal(run->exit_code, EXIT_CODE_OK);
    assert_string_equal(run->errors, "");
    assert_non_null(strstr(run->output, "Usage: glancefs"));
    end_test(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_that_is_lost_is_a_failure),
        cmocka_unit_test(a_command_that_fails_keeps_its_exit_code),
        cmocka_unit_test(output_that_arrives_is_no_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
