/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_children.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>

/* How often children are looked for that ought to end. */
#define LOOK_AGAIN_NS 5000000

/* The number of one that was not waited for belongs to nobody else, not even as a group's. */
static void take(pid_t child)
{
    (void)kill(-child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* Takes one that has ended; with `waits` it need not have yet. *ret is 0 when none has. False when there
 * are no children. */
static bool take_next(bool waits, pid_t *ret)
{
    siginfo_t info = {.si_pid = 0};
    int result;

    do
        result = waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | (waits ? 0 : WNOHANG));
    while (result < 0 && errno == EINTR);
    *ret = result < 0 ? 0 : info.si_pid;
    if (*ret > 0)
        take(*ret);
    return result == 0;
}

void gpg_children_reap(void)
{
    pid_t taken = 1;

    while (taken > 0 && take_next(false, &taken))
        continue;
}

void gpg_children_wait_for(pid_t child)
{
    pid_t taken = 0;

    while (taken != child && take_next(true, &taken))
        continue;
}

void gpg_children_wait_for_all(unsigned milliseconds)
{
    const uint64_t deadline = clock_monotonic_ns() + milliseconds * NANOSECONDS_PER_MILLISECOND;
    const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
    pid_t taken;

    while (take_next(false, &taken) && clock_monotonic_ns() < deadline)
        if (taken == 0)
            (void)nanosleep(&pause, NULL);
}
