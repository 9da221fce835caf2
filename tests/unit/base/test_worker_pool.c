/* SPDX-License-Identifier: Apache-2.0 */
#include "base/worker_pool.h"

#include "support/testing.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

/* Threads are started through this (the linker's --wrap), so that a test can run out of them. */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);

static atomic_uint threads_left = UINT_MAX;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument)
{
    const unsigned left = atomic_load(&threads_left);

    if (left == 0)
        return EAGAIN;
    if (left != UINT_MAX)
        atomic_store(&threads_left, left - 1);
    return __real_pthread_create(thread, attributes, function, argument);
}

static void sleep_milliseconds(long milliseconds)
{
    const struct timespec span = {.tv_nsec = milliseconds * 1000000};

    (void)nanosleep(&span, NULL);
}

/* --- order, number and lifetime of jobs --- */

struct counted_job {
    struct job job;
    atomic_uint *runs;
    unsigned expected; /* jobs that must have started before this one */
    atomic_uint *disordered;
};

static void run_counted(struct job *job)
{
    struct counted_job *counted = (struct counted_job *)job;

    if (atomic_fetch_add(counted->runs, 1) != counted->expected)
        atomic_fetch_add(counted->disordered, 1);
}

static void one_thread_runs_every_job_once_in_order(void **state)
{
    static struct counted_job jobs[1000];
    struct worker_pool *pool = NULL;
    atomic_uint runs = 0, disordered = 0;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(worker_pool_new("order", 1, &pool, &err));
    for (unsigned i = 0; i < ELEMENTS_OF(jobs); i++) {
        jobs[i] = (struct counted_job){
            .job.run = run_counted, .runs = &runs, .expected = i, .disordered = &disordered};
        assert_succeeds(worker_pool_submit(pool, &jobs[i].job, &err));
    }
    worker_pool_free(pool);
    assert_int_equal(atomic_load(&runs), ELEMENTS_OF(jobs));
    assert_int_equal(atomic_load(&disordered), 0);
}

static void freeing_waits_for_what_was_submitted(void **state)
{
    static struct counted_job jobs[200];

    (void)state;
    for (unsigned threads = 1; threads <= 8; threads++) {
        CLEANUP(worker_pool_free) struct worker_pool *pool = NULL;
        atomic_uint runs = 0, disordered = 0;
        struct error err = ERROR_INIT;

        assert_succeeds(worker_pool_new("free", threads, &pool, &err));
        if (threads % 2 == 0)
            worker_pool_stay_alert(pool);
        for (unsigned i = 0; i < ELEMENTS_OF(jobs); i++) {
            jobs[i] = (struct counted_job){
                .job.run = run_counted, .runs = &runs, .disordered = &disordered};
            assert_succeeds(worker_pool_submit(pool, &jobs[i].job, &err));
        }
        worker_pool_free(steal(&pool));
        assert_int_equal(atomic_load(&runs), ELEMENTS_OF(jobs));
    }
}

static void an_unused_pool_and_null_can_be_freed(void **state)
{
    struct worker_pool *pool = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    worker_pool_free(NULL);
    assert_succeeds(worker_pool_new("unused", 4, &pool, &err));
    worker_pool_free(pool);
}

struct heap_job {
    struct job job;
    atomic_uint *runs;
};

static void run_and_free(struct job *job)
{
    atomic_fetch_add(((struct heap_job *)job)->runs, 1);
    free(job);
}

static void a_job_may_free_itself(void **state)
{
    struct worker_pool *pool = NULL;
    atomic_uint runs = 0;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(worker_pool_new("heap", 3, &pool, &err));
    for (int i = 0; i < 500; i++) {
        struct heap_job *heap = malloc(sizeof *heap);

        assert_non_null(heap);
        *heap = (struct heap_job){.job.run = run_and_free, .runs = &runs};
        assert_succeeds(worker_pool_submit(pool, &heap->job, &err));
    }
    worker_pool_free(pool);
    assert_int_equal(atomic_load(&runs), 500);
}

struct returning_job {
    struct job job;
    struct worker_pool *pool;
    unsigned left;
    atomic_uint *runs;
    atomic_uint *refused;
};

static void run_again(struct job *job)
{
    struct returning_job *returning = (struct returning_job *)job;
    struct error err = ERROR_INIT;

    atomic_fetch_add(returning->runs, 1);
    if (--returning->left > 0 && worker_pool_submit(returning->pool, job, &err) < 0)
        atomic_fetch_add(returning->refused, 1);
}

/* Also while the pool is being freed: what a running job submits was submitted. */
static void a_job_may_submit_itself_again(void **state)
{
    struct returning_job jobs[4];
    struct worker_pool *pool = NULL;
    atomic_uint runs = 0, refused = 0;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(worker_pool_new("again", 2, &pool, &err));
    for (size_t i = 0; i < ELEMENTS_OF(jobs); i++) {
        jobs[i] = (struct returning_job){
            .job.run = run_again, .pool = pool, .left = 250, .runs = &runs, .refused = &refused};
        assert_succeeds(worker_pool_submit(pool, &jobs[i].job, &err));
    }
    worker_pool_free(pool);
    assert_int_equal(atomic_load(&runs), 1000);
    assert_int_equal(atomic_load(&refused), 0);
}

/* --- threads --- */

struct gate {
    atomic_uint inside;
    atomic_uint most;
    atomic_bool open;
    atomic_uint deliverable; /* signals a worker would take */
};

struct waiting_job {
    struct job job;
    struct gate *gate;
};

static void note_inside(struct gate *gate)
{
    const unsigned inside = atomic_fetch_add(&gate->inside, 1) + 1;
    unsigned most = atomic_load(&gate->most);

    while (inside > most && !atomic_compare_exchange_weak(&gate->most, &most, inside))
        continue;
}

static void run_waiting(struct job *job)
{
    struct gate *gate = ((struct waiting_job *)job)->gate;

    note_inside(gate);
    while (!atomic_load(&gate->open))
        sleep_milliseconds(1);
    atomic_fetch_sub(&gate->inside, 1);
}

static void await_inside(struct gate *gate, unsigned count)
{
    for (int i = 0; i < 30000 && atomic_load(&gate->inside) < count; i++)
        sleep_milliseconds(1);
    assert_int_equal(atomic_load(&gate->inside), count);
}

static void as_many_jobs_wait_at_a_time_as_there_may_be_threads(void **state)
{
    struct waiting_job jobs[12];
    struct worker_pool *pool = NULL;
    struct gate gate = {0};
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(worker_pool_new("most", 5, &pool, &err));
    for (size_t i = 0; i < ELEMENTS_OF(jobs); i++) {
        jobs[i] = (struct waiting_job){.job.run = run_waiting, .gate = &gate};
        assert_succeeds(worker_pool_submit(pool, &jobs[i].job, &err));
    }
    await_inside(&gate, 5);
    sleep_milliseconds(20);
    assert_int_equal(atomic_load(&gate.inside), 5);
    atomic_store(&gate.open, true);
    worker_pool_free(pool);
    assert_int_equal(atomic_load(&gate.most), 5);
    assert_int_equal(atomic_load(&gate.inside), 0);
}

/* A blocked job must not hold up one that comes later, while threads are allowed. */
static void a_later_job_overtakes_a_waiting_one(void **state)
{
    static struct counted_job jobs[100];
    struct worker_pool *pool = NULL;
    struct gate gate = {0};
    atomic_uint runs = 0, disordered = 0;
    struct waiting_job waiting = {.job.run = run_waiting, .gate = &gate};
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(worker_pool_new("overtake", 2, &pool, &err));
    assert_succeeds(worker_pool_submit(pool, &waiting.job, &err));
    await_inside(&gate, 1);
    for (unsigned i = 0; i < ELEMENTS_OF(jobs); i++) {
        jobs[i] = (struct counted_job){
            .job.run = run_counted, .runs = &runs, .expected = i, .disordered = &disordered};
        assert_succeeds(worker_pool_submit(pool, &jobs[i].job, &err));
        for (int wait = 0; wait < 30000 && atomic_load(&runs) == i; wait++)
            sleep_milliseconds(1);
        assert_int_equal(atomic_load(&runs), i + 1);
    }
    assert_int_equal(atomic_load(&disordered), 0);
    atomic_store(&gate.open, true);
    worker_pool_free(pool);
}

static void note_signals(struct job *job)
{
    struct gate *gate = ((struct waiting_job *)job)->gate;
    sigset_t blocked;

    (void)pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    for (int number = 1; number < SIGRTMAX; number++) {
        /* Nobody can block these two, and glibc keeps two real-time signals to itself. */
        if (number == SIGKILL || number == SIGSTOP || (number >= 32 && number < SIGRTMIN))
            continue;
        atomic_fetch_add(&gate->deliverable, sigismember(&blocked, number) != 1);
    }
}

static void workers_block_every_signal_and_the_caller_none_more(void **state)
{
    struct worker_pool *pool = NULL;
    struct gate gate = {0};
    struct waiting_job job = {.job.run = note_signals, .gate = &gate};
    struct error err = ERROR_INIT;
    sigset_t before, after;

    (void)state;
    (void)pthread_sigmask(SIG_BLOCK, NULL, &before);
    assert_succeeds(worker_pool_new("signals", 1, &pool, &err));
    assert_succeeds(worker_pool_submit(pool, &job.job, &err));
    (void)pthread_sigmask(SIG_BLOCK, NULL, &after);
    worker_pool_free(pool);
    assert_int_equal(atomic_load(&gate.deliverable), 0);
    for (int number = 1; number < SIGRTMAX; number++)
        assert_int_equal(sigismember(&before, number), sigismember(&after, number));
}

struct naming_job {
    struct job job;
    char name[16];
};

static void note_name(struct job *job)
{
    struct naming_job *naming = (struct naming_job *)job;

    (void)pthread_getname_np(pthread_self(), naming->name, sizeof naming->name);
}

static void workers_show_the_name_of_the_pool(void **state)
{
    struct worker_pool *pool = NULL;
    struct naming_job job = {.job.run = note_name};
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(worker_pool_new("fifteen-letters", 1, &pool, &err));
    assert_succeeds(worker_pool_submit(pool, &job.job, &err));
    worker_pool_free(pool);
    assert_string_equal(job.name, "fifteen-letters");
}

/* Threads of this process that bear the pool's name: the sanitizers have some of their own. */
static size_t threads_named(const char *name)
{
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *task;
    size_t count = 0;

    assert_non_null(tasks);
    while ((task = readdir(tasks)) != NULL) {
        char path[300], text[32] = "";
        FILE *comm;

        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        comm = task->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (comm == NULL)
            continue;
        if (fgets(text, sizeof text, comm) != NULL)
            count += strncmp(text, name, strlen(name)) == 0 && text[strlen(name)] == '\n';
        (void)fclose(comm);
    }
    (void)closedir(tasks);
    return count;
}

/* After some seconds without work the threads are gone; the pool goes on all the same. */
static void idle_threads_end_and_come_back(void **state)
{
    static struct counted_job late;
    struct waiting_job jobs[4];
    struct worker_pool *pool = NULL;
    struct gate gate = {0};
    atomic_uint runs = 0, disordered = 0;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(worker_pool_new("idle", 4, &pool, &err));
    assert_int_equal(threads_named("idle"), 0);
    for (size_t i = 0; i < ELEMENTS_OF(jobs); i++) {
        jobs[i] = (struct waiting_job){.job.run = run_waiting, .gate = &gate};
        assert_succeeds(worker_pool_submit(pool, &jobs[i].job, &err));
    }
    await_inside(&gate, 4);
    assert_int_equal(threads_named("idle"), 4);
    atomic_store(&gate.open, true);
    for (int i = 0; i < 3000 && threads_named("idle") > 0; i++)
        sleep_milliseconds(10);
    assert_int_equal(threads_named("idle"), 0);
    late = (struct counted_job){.job.run = run_counted, .runs = &runs, .disordered = &disordered};
    assert_succeeds(worker_pool_submit(pool, &late.job, &err));
    worker_pool_free(pool);
    assert_int_equal(atomic_load(&runs), 1);
}

/* --- many submitters --- */

struct submitter {
    struct worker_pool *pool;
    atomic_uint *runs;
    atomic_uint *refused;
    pthread_t thread;
};

static void *submit_many(void *argument)
{
    struct submitter *submitter = argument;

    for (int i = 0; i < 500; i++) {
        struct heap_job *heap = malloc(sizeof *heap);
        struct error err = ERROR_INIT;

        *heap = (struct heap_job){.job.run = run_and_free, .runs = submitter->runs};
        if (worker_pool_submit(submitter->pool, &heap->job, &err) == 0)
            continue;
        atomic_fetch_add(submitter->refused, 1);
        free(heap);
    }
    return NULL;
}

static void many_threads_may_submit(void **state)
{
    struct submitter submitters[6];
    struct worker_pool *pool = NULL;
    atomic_uint runs = 0, refused = 0;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(worker_pool_new("many", 4, &pool, &err));
    for (size_t i = 0; i < ELEMENTS_OF(submitters); i++) {
        submitters[i] = (struct submitter){.pool = pool, .runs = &runs, .refused = &refused};
        assert_int_equal(pthread_create(&submitters[i].thread, NULL, submit_many, &submitters[i]),
                         0);
    }
    for (size_t i = 0; i < ELEMENTS_OF(submitters); i++)
        assert_int_equal(pthread_join(submitters[i].thread, NULL), 0);
    worker_pool_free(pool);
    assert_int_equal(atomic_load(&refused), 0);
    assert_int_equal(atomic_load(&runs), 3000);
}

/* --- no thread to be had --- */

static void a_pool_without_any_thread_is_exhausted(void **state)
{
    struct worker_pool *pool = NULL;
    atomic_uint runs = 0;
    struct heap_job refused = {.job.run = run_and_free, .runs = &runs};
    static struct counted_job later;
    atomic_uint disordered = 0;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(worker_pool_new("none", 4, &pool, &err));
    atomic_store(&threads_left, 0);
    assert_fails(ERROR_EXHAUSTED, worker_pool_submit(pool, &refused.job, &err));
    atomic_store(&threads_left, UINT_MAX);
    /* The refused job is not in the queue, and the pool works once threads can be had. */
    later = (struct counted_job){.job.run = run_counted, .runs = &runs, .disordered = &disordered};
    assert_succeeds(worker_pool_submit(pool, &later.job, &err));
    worker_pool_free(pool);
    assert_int_equal(atomic_load(&runs), 1);
    assert_int_equal(atomic_load(&disordered), 0);
}

static void one_thread_is_enough_where_more_cannot_be_had(void **state)
{
    static struct counted_job jobs[100];
    struct worker_pool *pool = NULL;
    atomic_uint runs = 0, disordered = 0;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(worker_pool_new("one", 4, &pool, &err));
    atomic_store(&threads_left, 1);
    for (unsigned i = 0; i < ELEMENTS_OF(jobs); i++) {
        jobs[i] = (struct counted_job){
            .job.run = run_counted, .runs = &runs, .expected = i, .disordered = &disordered};
        assert_succeeds(worker_pool_submit(pool, &jobs[i].job, &err));
    }
    worker_pool_free(pool);
    atomic_store(&threads_left, UINT_MAX);
    assert_int_equal(atomic_load(&runs), ELEMENTS_OF(jobs));
    assert_int_equal(atomic_load(&disordered), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_threads_end_and_come_back),
        cmocka_unit_test(one_thread_runs_every_job_once_in_order),
        cmocka_unit_test(freeing_waits_for_what_was_submitted),
        cmocka_unit_test(an_unused_pool_and_null_can_be_freed),
        cmocka_unit_test(a_job_may_free_itself),
        cmocka_unit_test(a_job_may_submit_itself_again),
        cmocka_unit_test(as_many_jobs_wait_at_a_time_as_there_may_be_threads),
        cmocka_unit_test(a_later_job_overtakes_a_waiting_one),
        cmocka_unit_test(workers_block_every_signal_and_the_caller_none_more),
        cmocka_unit_test(workers_show_the_name_of_the_pool),
        cmocka_unit_test(many_threads_may_submit),
        cmocka_unit_test(a_pool_without_any_thread_is_exhausted),
        cmocka_unit_test(one_thread_is_enough_where_more_cannot_be_had),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
