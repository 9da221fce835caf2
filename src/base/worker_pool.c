/* SPDX-License-Identifier: Apache-2.0 */
#include "base/worker_pool.h"

#include "base/spin_wait.h"
#include "glancefs/secure_arena.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IDLE_SECONDS 5
#define STACK_BYTES ((size_t)512 * 1024)

struct worker_pool {
    const char *name;
    unsigned max_threads;
    bool is_alert; /* constant once there are threads */
    pthread_attr_t attributes;
    pthread_mutex_t mutex;   /* guards everything below; never held while a job runs */
    pthread_cond_t arrived;  /* a job came, or the pool is closing */
    pthread_cond_t finished; /* a thread ended */
    struct job *first;
    struct job **last;
    atomic_uint queued; /* changed with the lock held */
    unsigned idle;
    unsigned threads;
    bool closing;
};

/* Until a job may have come, or some seconds without one have passed: false. Called and returns
 * locked. */
static bool wait_for_job(struct worker_pool *pool, const struct timespec *deadline)
{
    int result = 0;

    pool->idle++;
    if (pool->is_alert) {
        (void)pthread_mutex_unlock(&pool->mutex);
        spin_wait_while(&pool->queued, 0);
        (void)pthread_mutex_lock(&pool->mutex);
    }
    if (pool->first == NULL && !pool->closing)
        result = pthread_cond_timedwait(&pool->arrived, &pool->mutex, deadline);
    pool->idle--;
    return result != ETIMEDOUT || pool->first != NULL;
}

/* Takes the next job; NULL when the thread should end. Called and returns locked. */
static struct job *next_job(struct worker_pool *pool)
{
    struct timespec deadline;
    struct job *job;

    (void)clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += IDLE_SECONDS;
    while (pool->first == NULL) {
        if (pool->closing || !wait_for_job(pool, &deadline))
            return NULL;
    }
    job = pool->first;
    pool->first = job->next;
    if (pool->first == NULL)
        pool->last = &pool->first;
    atomic_fetch_sub(&pool->queued, 1);
    return job;
}

static void *work(void *argument)
{
    struct worker_pool *pool = argument;
    struct job *job;

    (void)pthread_setname_np(pthread_self(), pool->name);
    (void)pthread_mutex_lock(&pool->mutex);
    while ((job = next_job(pool)) != NULL) {
        (void)pthread_mutex_unlock(&pool->mutex);
        job->run(job);
        secure_registers_clear();
        (void)pthread_mutex_lock(&pool->mutex);
    }
    pool->threads--;
    (void)pthread_cond_broadcast(&pool->finished);
    (void)pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* Starts one more thread, with all signals blocked. Locked. */
static int start_thread(struct worker_pool *pool)
{
    sigset_t all, before;
    pthread_t thread;
    int result;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&thread, &pool->attributes, work, pool);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result == 0)
        pool->threads++;
    return result;
}

int worker_pool_new(const char *name, unsigned max_threads, struct worker_pool **ret,
                    struct error *err)
{
    struct worker_pool *pool = calloc(1, sizeof *pool);
    pthread_condattr_t monotonic;

    if (pool == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    pool->name = name;
    pool->max_threads = max_threads;
    pool->last = &pool->first;
    (void)pthread_attr_init(&pool->attributes);
    (void)pthread_attr_setdetachstate(&pool->attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&pool->attributes, STACK_BYTES);
    (void)pthread_mutex_init(&pool->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->arrived, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_cond_init(&pool->finished, NULL);
    *ret = pool;
    return 0;
}

void worker_pool_stay_alert(struct worker_pool *pool)
{
    pool->is_alert = true;
}

int worker_pool_submit(struct worker_pool *pool, struct job *job, struct error *err)
{
    int result = 0;

    (void)pthread_mutex_lock(&pool->mutex);
    if (atomic_load(&pool->queued) >= pool->idle && pool->threads < pool->max_threads)
        result = start_thread(pool);
    if (pool->threads == 0) {
        (void)pthread_mutex_unlock(&pool->mutex);
        return error_set(err, ERROR_EXHAUSTED, "cannot start a thread: %s",
                         strerrordesc_np(result));
    }
    job->next = NULL;
    *pool->last = job;
    pool->last = &job->next;
    atomic_fetch_add(&pool->queued, 1);
    (void)pthread_cond_signal(&pool->arrived);
    (void)pthread_mutex_unlock(&pool->mutex);
    return 0;
}

void worker_pool_free(struct worker_pool *pool)
{
    if (pool == NULL)
        return;
    (void)pthread_mutex_lock(&pool->mutex);
    pool->closing = true;
    (void)pthread_cond_broadcast(&pool->arrived);
    while (pool->threads > 0)
        (void)pthread_cond_wait(&pool->finished, &pool->mutex);
    (void)pthread_mutex_unlock(&pool->mutex);
    (void)pthread_cond_destroy(&pool->finished);
    (void)pthread_cond_destroy(&pool->arrived);
    (void)pthread_mutex_destroy(&pool->mutex);
    (void)pthread_attr_destroy(&pool->attributes);
    free(pool);
}
