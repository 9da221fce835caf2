/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/wake_on_cancel.h"

#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

#define WAKE_INTERVAL_US 20000

/* Being delivered is all that the signal is for. */
static void do_nothing(int signal_number)
{
    (void)signal_number;
}

static void start_timer(void *context)
{
    static const struct itimerval timer = {.it_interval = {.tv_usec = WAKE_INTERVAL_US},
                                           .it_value = {.tv_usec = WAKE_INTERVAL_US}};

    (void)context;
    (void)setitimer(ITIMER_REAL, &timer, NULL);
}

void wake_on_cancel_start(struct cancel *cancel, struct cancel_listener *listener)
{
    /* Without SA_RESTART: the interrupted call must return. */
    static const struct sigaction action = {.sa_handler = do_nothing};

    (void)sigaction(SIGALRM, &action, NULL);
    *listener = (struct cancel_listener){.wake = start_timer};
    cancel_listen(cancel, listener);
}

void wake_on_cancel_stop(struct cancel *cancel, struct cancel_listener *listener)
{
    static const struct itimerval off = {0};

    cancel_unlisten(cancel, listener);
    (void)setitimer(ITIMER_REAL, &off, NULL);
}
