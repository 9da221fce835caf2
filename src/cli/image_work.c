/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/image_work.h"

#include "base/clock.h"
#include "base/monitor.h"
#include "cli/command.h"
#include "cli/json_line.h"
#include "cli/progress_board.h"
#include "cli/size_text.h"
#include "glancefs/ciphertext_cache.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The work while it is being done. */
struct image_shift {
    struct image_work *work;
    struct progress_board board;
    struct monitor monitor; /* guards what follows, and is_running of the tasks */
    struct image_task *first_ended, **last_ended; /* to be told, in the order in which they ended */
};

/* --- a task's end --- */

static bool has_failed(const struct image_task *task)
{
    return error_is_set(&task->err);
}

static const char *result_of(const struct image_task *task)
{
    if (task->result != NULL)
        return task->result;
    return task->err.kind == ERROR_CANCELLED ? "interrupted" : "failed";
}

static bool print_json(const struct image_task *task)
{
    CLEANUP(json_object_put) struct json_object *object = json_object_new_object();
    const uint64_t total = atomic_load(&task->total_bytes);

    if (object == NULL || !json_line_add_text(object, "image_id", task->image_id) ||
        !json_line_add_text(object, "result", result_of(task)) ||
        !json_line_add_number(object, "size", total != IMAGE_TASK_TOTAL_UNKNOWN, total) ||
        !json_line_add_text(object, "error", has_failed(task) ? task->err.message : NULL))
        return false;
    json_line_print(object);
    return true;
}

static void print_line(const struct image_work *work, const struct image_task *task)
{
    const uint64_t total = atomic_load(&task->total_bytes);
    char size[SIZE_TEXT_BYTES] = "-";

    if (task->err.kind == ERROR_CANCELLED)
        return; /* told once for all of them */
    if (has_failed(task)) {
        (void)fprintf(stderr, "glancefs %s: %s\n", work->command, task->err.message);
        return;
    }
    if (total != IMAGE_TASK_TOTAL_UNKNOWN)
        (void)size_text(total, size);
    (void)printf("%-36s  %-10s  %s\n", task->image_id, result_of(task), size);
}

static void tell(struct image_shift *shift, struct image_task *task)
{
    progress_board_clear(&shift->board);
    if (!shift->work->as_json)
        print_line(shift->work, task);
    else if (!print_json(task))
        (void)error_set(&task->err, ERROR_EXHAUSTED, "out of memory");
    (void)fflush(stdout);
}

/* --- progress --- */

static unsigned terminal_columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static struct progress_row row_of(const struct image_task *task)
{
    const uint64_t done = atomic_load(&task->done_bytes);

    return (struct progress_row){.label = task->image_id,
                                 .done = done & ~CACHE_PROGRESS_WAITS,
                                 .total = atomic_load(&task->total_bytes),
                                 .is_waiting = (done & CACHE_PROGRESS_WAITS) != 0};
}

static void show_progress(struct image_shift *shift)
{
    struct progress_row rows[IMAGE_WORK_JOBS_MAXIMUM];
    const struct image_work *work = shift->work;
    size_t count = 0;

    monitor_lock(&shift->monitor);
    for (size_t i = 0; i < work->count && count < work->jobs; i++) {
        if (work->tasks[i].is_running)
            rows[count++] = row_of(&work->tasks[i]);
    }
    monitor_unlock(&shift->monitor);
    progress_board_update(&shift->board, rows, count, terminal_columns(), clock_monotonic_ns());
}

/* --- the work --- */

static void begin_task(struct image_task *task)
{
    monitor_lock(&task->shift->monitor);
    task->is_running = true;
    monitor_unlock(&task->shift->monitor);
}

static void end_task(struct image_task *task)
{
    struct image_shift *shift = task->shift;

    monitor_lock(&shift->monitor);
    task->is_running = false;
    *shift->last_ended = task;
    shift->last_ended = &task->next_ended;
    monitor_changed(&shift->monitor);
    monitor_unlock(&shift->monitor);
}

static void run_task(struct job *job)
{
    struct image_task *task = (struct image_task *)((char *)job - offsetof(struct image_task, job));
    struct image_work *work = task->shift->work;
    struct error err = ERROR_INIT;

    begin_task(task);
    if (cancel_check(work->cancel, &err) < 0 ||
        work->run(work->context, task, work->cancel, &err) < 0)
        task->err = err;
    end_task(task);
}

/* The next task that ended; NULL when none did for a moment. */
static struct image_task *wait_for_end(struct image_shift *shift)
{
    struct image_task *task;

    monitor_lock(&shift->monitor);
    if (shift->first_ended == NULL)
        monitor_wait_until(&shift->monitor, clock_monotonic_ns() + PROGRESS_BAR_INTERVAL_NS);
    task = shift->first_ended;
    if (task != NULL) {
        shift->first_ended = task->next_ended;
        if (shift->first_ended == NULL)
            shift->last_ended = &shift->first_ended;
    }
    monitor_unlock(&shift->monitor);
    return task;
}

static void submit_all(struct image_shift *shift, struct worker_pool *pool)
{
    struct image_work *work = shift->work;

    for (size_t i = 0; i < work->count; i++) {
        struct image_task *task = &work->tasks[i];

        task->shift = shift;
        task->job.run = run_task;
        atomic_store(&task->total_bytes, IMAGE_TASK_TOTAL_UNKNOWN);
        if (worker_pool_submit(pool, &task->job, &task->err) < 0)
            end_task(task);
    }
}

static void follow(struct image_shift *shift)
{
    for (size_t told = 0; told < shift->work->count;) {
        struct image_task *task = wait_for_end(shift);

        if (task != NULL) {
            tell(shift, task);
            told++;
        } else {
            show_progress(shift);
        }
    }
    progress_board_clear(&shift->board);
}

static int exit_code_of(const struct image_work *work)
{
    int code = EXIT_CODE_OK;

    for (size_t i = 0; i < work->count; i++) {
        const struct error *err = &work->tasks[i].err;

        if (err->kind == ERROR_CANCELLED)
            return command_fail(work->command, err);
        if (code == EXIT_CODE_OK)
            code = exit_code_from_error(err);
    }
    return code;
}

int image_work_run(struct image_work *work)
{
    CLEANUP(worker_pool_free) struct worker_pool *pool = NULL;
    struct image_shift shift = {.work = work, .last_ended = &shift.first_ended};
    struct error err = ERROR_INIT;

    if (worker_pool_new(work->verb, work->jobs, &pool, &err) < 0)
        return command_fail(work->command, &err);
    monitor_init(&shift.monitor);
    progress_board_start(&shift.board, stderr, isatty(STDERR_FILENO) != 0, work->verb,
                         clock_monotonic_ns());
    submit_all(&shift, pool);
    follow(&shift);
    worker_pool_free(steal(&pool)); /* its threads may just be leaving the monitor */
    monitor_destroy(&shift.monitor);
    return exit_code_of(work);
}
