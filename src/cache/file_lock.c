/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/file_lock.h"

#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/file.h>
#include <time.h>

/* A lock that is held for a moment is soon free; one that is held over a download is not. */
#define FIRST_PAUSE_NS 500000L
#define LONGEST_PAUSE_NS 30000000L

static bool is_over(uint64_t since_ns, uint64_t wait_ns)
{
    return clock_monotonic_ns() - since_ns >= wait_ns;
}

int file_lock_take(int fd, int operation, uint64_t wait_ns, const char *what, struct cancel *cancel,
                   struct error *err)
{
    const uint64_t since_ns = clock_monotonic_ns();
    struct timespec pause = {.tv_nsec = FIRST_PAUSE_NS};

    while (flock(fd, operation | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_set_errno(err, errno, "%s: lock", what);
        if (is_over(since_ns, wait_ns))
            return error_set(err, ERROR_BUSY, "%s: in use", what);
        if (cancel_check(cancel, err) < 0)
            return -1;
        (void)nanosleep(&pause, NULL);
        if (pause.tv_nsec < LONGEST_PAUSE_NS)
            pause.tv_nsec =
                2 * pause.tv_nsec < LONGEST_PAUSE_NS ? 2 * pause.tv_nsec : LONGEST_PAUSE_NS;
    }
    return 0;
}
