/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/s2k_lane.h"

#include "base/clock.h"
#include "glancefs/limits.h"

#include <pthread.h>
#include <signal.h>

int s2k_takes_too_long(struct error *err)
{
    return error_set(err, ERROR_TOO_LARGE, "key derivation takes over %d s of CPU",
                     LIMIT_DERIVATION_SECONDS);
}

static int hash_input(const struct s2k_lane *lane, struct hash *hash, uint64_t begin_ns,
                      struct error *err)
{
    static const uint8_t zeros[S2K_MAXIMUM_LANES];
    const size_t run_size = secure_buffer_size(lane->run);
    uint64_t left = lane->count;

    hash_update(hash, zeros, lane->zeros);
    while (left > 0) {
        const size_t piece = run_size < left ? run_size : (size_t)left;

        if (cancel_check(lane->cancel, err) < 0)
            return -1;
        if (clock_thread_cpu_ns() - begin_ns > lane->cpu_limit_ns)
            return s2k_takes_too_long(err);
        hash_update(hash, secure_buffer_bytes(lane->run), piece);
        left -= piece;
    }
    return 0;
}

void s2k_lane_run(struct s2k_lane *lane)
{
    CLEANUP(hash_free) struct hash *hash = NULL;
    const uint64_t begin_ns = clock_thread_cpu_ns();

    lane->err = (struct error)ERROR_INIT;
    if (hash_new(lane->hash, &hash, &lane->err) == 0 &&
        hash_input(lane, hash, begin_ns, &lane->err) == 0)
        hash_finish(hash, lane->digest);
    lane->cpu_ns = clock_thread_cpu_ns() - begin_ns;
}

static void *run_thread(void *lane)
{
    (void)pthread_setname_np(pthread_self(), "s2k");
    s2k_lane_run(lane);
    return NULL;
}

void s2k_lanes_run(struct s2k_lane *lanes, size_t count)
{
    pthread_t threads[S2K_MAXIMUM_LANES];
    bool is_running[S2K_MAXIMUM_LANES];
    sigset_t all, before;

    /* Signals are for threads that know what to do with them. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 1; i < count; i++)
        is_running[i] = pthread_create(&threads[i], NULL, run_thread, &lanes[i]) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    s2k_lane_run(&lanes[0]);
    for (size_t i = 1; i < count; i++) {
        if (is_running[i])
            (void)pthread_join(threads[i], NULL);
        else
            s2k_lane_run(&lanes[i]);
    }
}
