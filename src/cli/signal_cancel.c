/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/signal_cancel.h"

#include <pthread.h>
#include <signal.h>

static void fill_set(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGTERM);
}

/* Owns a reference of the token; lives as long as the process. */
static void *wait_for_signals(void *context)
{
    struct cancel *cancel = context;
    sigset_t set;
    int signal_number;

    fill_set(&set);
    (void)sigwait(&set, &signal_number);
    cancel_request(cancel);
    cancel_unref(cancel);
    return NULL;
}

int signal_cancel_start(struct cancel **ret, struct error *err)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    pthread_t thread;
    sigset_t set;
    int result;

    if (cancel_new(&cancel, err) < 0)
        return -1;
    fill_set(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    result = pthread_create(&thread, NULL, wait_for_signals, cancel_ref(cancel));
    if (result != 0) {
        cancel_unref(cancel);
        return error_set_errno(err, result, "thread");
    }
    (void)pthread_detach(thread);
    *ret = steal(&cancel);
    return 0;
}
