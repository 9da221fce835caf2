/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/image_work.h"

#include "cli/command.h"
#include "support/delay.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TASKS 6

/* Work on images "a" to "f", and what it printed. */
struct work_test {
    struct temp_dir *dir;
    struct image_task tasks[TASKS];
    struct image_work work;
    atomic_uint running, most_running, begun;
    char *output;
    char *errors;
};

static const char *const names[TASKS] = {"a", "b", "c", "d", "e", "f"};

static int begin_test(void **state)
{
    struct work_test *test = calloc(1, sizeof *test);

    if (test == NULL)
        return -1;
    test->dir = temp_dir_new();
    for (size_t i = 0; i < TASKS; i++)
        test->tasks[i].image_id = names[i];
    test->work = (struct image_work){.command = "fetch",
                                     .verb = "fetch",
                                     .tasks = test->tasks,
                                     .count = TASKS,
                                     .jobs = 3,
                                     .context = test};
    *state = test;
    return cancel_new(&test->work.cancel, &(struct error)ERROR_INIT);
}

static int end_test(void **state)
{
    struct work_test *test = *state;

    cancel_unref(test->work.cancel);
    temp_dir_free(test->dir);
    free(test->output);
    free(test->errors);
    free(test);
    return 0;
}

/* --- what is done for an image --- */

static int succeed(void *context, struct image_task *task, struct cancel *cancel, struct error *err)
{
    (void)context;
    (void)cancel;
    (void)err;
    atomic_store(&task->total_bytes, 2048);
    task->result = "fetched";
    return 0;
}

/* "b" is not there, "d" is damaged. */
static int fail_some(void *context, struct image_task *task, struct cancel *cancel,
                     struct error *err)
{
    if (strcmp(task->image_id, "b") == 0)
        return error_set(err, ERROR_NOT_FOUND, "image b does not exist");
    if (strcmp(task->image_id, "d") == 0)
        return error_set(err, ERROR_CORRUPT, "image d does not match");
    return succeed(context, task, cancel, err);
}

static int count_running(void *context, struct image_task *task, struct cancel *cancel,
                         struct error *err)
{
    struct work_test *test = context;
    const unsigned running = atomic_fetch_add(&test->running, 1) + 1;
    unsigned most = atomic_load(&test->most_running);

    while (running > most && !atomic_compare_exchange_weak(&test->most_running, &most, running)) {
    }
    for (int i = 0; i < 500 && atomic_load(&test->most_running) < test->work.jobs; i++)
        (void)delay(10, NULL, err);
    (void)atomic_fetch_sub(&test->running, 1);
    return succeed(context, task, cancel, err);
}

/* "a" interrupts the command, the others wait for that. */
static int interrupt(void *context, struct image_task *task, struct cancel *cancel,
                     struct error *err)
{
    struct work_test *test = context;

    (void)atomic_fetch_add(&test->begun, 1);
    if (strcmp(task->image_id, "a") == 0)
        cancel_request(cancel);
    while (!cancel_is_requested(cancel))
        (void)delay(1, NULL, err);
    return cancel_check(cancel, err);
}

/* --- running it with its output kept --- */

static int redirect(const struct temp_dir *dir, const char *name, int descriptor)
{
    const int kept = dup(descriptor);
    const int fd = openat(temp_dir_fd(dir), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(kept >= 0 && fd >= 0 && dup2(fd, descriptor) >= 0);
    (void)close(fd);
    return kept;
}

static void restore(int kept, int descriptor)
{
    (void)dup2(kept, descriptor);
    (void)close(kept);
}

static int run(struct work_test *test)
{
    int kept_output;
    int kept_errors;
    int code;

    (void)fflush(stdout);
    kept_output = redirect(test->dir, "output", STDOUT_FILENO);
    kept_errors = redirect(test->dir, "errors", STDERR_FILENO);
    code = image_work_run(&test->work);
    (void)fflush(stdout);
    restore(kept_output, STDOUT_FILENO);
    restore(kept_errors, STDERR_FILENO);
    test->output = (char *)temp_dir_read(test->dir, "output", NULL);
    test->errors = (char *)temp_dir_read(test->dir, "errors", NULL);
    return code;
}

static size_t lines_in(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

/* --- tests --- */

static void each_image_is_told_on_a_line(void **state)
{
    struct work_test *test = *state;

    test->work.run = succeed;
    assert_int_equal(run(test), EXIT_CODE_OK);
    assert_int_equal(lines_in(test->output), TASKS);
    assert_non_null(
        strstr(test->output, "a                                     fetched     2.0 KiB\n"));
    assert_string_equal(test->errors, "");
}

static void one_that_fails_does_not_stop_the_others(void **state)
{
    struct work_test *test = *state;

    test->work.run = fail_some;
    test->work.jobs = 1;
    assert_int_equal(run(test), EXIT_CODE_NOT_FOUND);
    assert_int_equal(lines_in(test->output), TASKS - 2);
    assert_string_equal(test->errors, "glancefs fetch: image b does not exist\n"
                                      "glancefs fetch: image d does not match\n");
}

static void json_tells_results_and_errors_alike(void **state)
{
    struct work_test *test = *state;

    test->work.run = fail_some;
    test->work.jobs = 1;
    test->work.as_json = true;
    assert_int_equal(run(test), EXIT_CODE_NOT_FOUND);
    assert_int_equal(lines_in(test->output), TASKS);
    assert_int_equal(
        strncmp(test->output,
                "{\"image_id\":\"a\",\"result\":\"fetched\",\"size\":2048,\"error\":null}\n"
                "{\"image_id\":\"b\",\"result\":\"failed\",\"size\":null,"
                "\"error\":\"image b does not exist\"}\n",
                135),
        0);
    assert_string_equal(test->errors, "");
}

static void as_many_as_allowed_run_at_a_time(void **state)
{
    struct work_test *test = *state;

    test->work.run = count_running;
    assert_int_equal(run(test), EXIT_CODE_OK);
    assert_int_equal(atomic_load(&test->most_running), 3);
}

static void an_interruption_ends_all_and_is_told_once(void **state)
{
    struct work_test *test = *state;

    test->work.run = interrupt;
    test->work.jobs = 2;
    assert_int_equal(run(test), EXIT_CODE_INTERRUPTED);
    assert_true(atomic_load(&test->begun) <= 2);
    assert_string_equal(test->output, "");
    assert_string_equal(test->errors, "glancefs fetch: interrupted\n");
}

static void json_tells_who_was_interrupted(void **state)
{
    struct work_test *test = *state;

    test->work.run = interrupt;
    test->work.as_json = true;
    assert_int_equal(run(test), EXIT_CODE_INTERRUPTED);
    assert_int_equal(lines_in(test->output), TASKS);
    assert_non_null(strstr(test->output, "{\"image_id\":\"f\",\"result\":\"interrupted\",\"size\":"
                                         "null,\"error\":\"interrupted\"}\n"));
}

static void nothing_to_do_is_done(void **state)
{
    struct work_test *test = *state;

    test->work.run = succeed;
    test->work.count = 0;
    assert_int_equal(run(test), EXIT_CODE_OK);
    assert_string_equal(test->output, "");
}

#define work_test(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        work_test(each_image_is_told_on_a_line),
        work_test(one_that_fails_does_not_stop_the_others),
        work_test(json_tells_results_and_errors_alike),
        work_test(as_many_as_allowed_run_at_a_time),
        work_test(an_interruption_ends_all_and_is_told_once),
        work_test(json_tells_who_was_interrupted),
        work_test(nothing_to_do_is_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
