/* SPDX-License-Identifier: Apache-2.0 */
#include "base/descriptor_wait.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

static void wake(void *context)
{
    (void)eventfd_write(*(const int *)context, 1);
}

static int wait_for(int fd, short events, struct cancel *cancel, struct error *err)
{
    CLEANUP(fd_close) int event = -1;
    struct cancel_listener listener = {.wake = wake, .context = &event};
    struct pollfd polled[2];
    int result;

    event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0)
        return error_set_errno(err, errno, "eventfd");
    polled[0] = (struct pollfd){.fd = fd, .events = events};
    polled[1] = (struct pollfd){.fd = event, .events = POLLIN};
    cancel_listen(cancel, &listener);
    do {
        result = poll(polled, 2, -1);
    } while (result < 0 && errno == EINTR && !cancel_is_requested(cancel));
    cancel_unlisten(cancel, &listener);
    return cancel_check(cancel, err);
}

int descriptor_wait_readable(int fd, struct cancel *cancel, struct error *err)
{
    return cancel == NULL ? 0 : wait_for(fd, POLLIN, cancel, err);
}

int descriptor_wait_writable(int fd, struct cancel *cancel, struct error *err)
{
    return wait_for(fd, POLLOUT, cancel, err);
}
