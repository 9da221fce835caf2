/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_server.h"

#include "codec/gpgme/descriptor_message.h"
#include "codec/gpgme/gpg_children.h"
#include "codec/gpgme/gpg_operation.h"
#include "codec/gpgme/gpg_protocol.h"
#include "codec/gpgme/gpg_run.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

#define CHILD_NAME "glancefs-gpg-op"

/* What children have that end because the daemon has. */
#define END_MS (4 * GPG_TERMINATION_MS)

/* Who has the server's end of `control` open keeps the daemon from seeing the server's death. */
static _Noreturn void become_child(int control, int socket, const struct gpg_homes *homes,
                                   pid_t server)
{
    sigset_t none;

    (void)close(control);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_NAME, CHILD_NAME);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setpgid(0, 0);
    if (getppid() == server)
        gpg_run(socket, homes);
    _exit(0);
}

/* A daemon that cannot get a child sees its socket closed. False when the daemon is gone. */
static bool take_order(int control, const struct gpg_homes *homes)
{
    const pid_t server = getpid();
    CLEANUP(fd_close) int socket = -1;
    struct error ignored = ERROR_INIT;
    uint8_t order;
    size_t size;

    if (descriptor_message_receive(control, &order, 1, &size, &socket, 1, &ignored) < 0)
        return true;
    if (size == 0)
        return false;
    if (order == GPG_ORDER_RUN && socket >= 0 && fork() == 0)
        become_child(control, socket, homes, server);
    return true;
}

void gpg_server_run(int control, const struct gpg_homes *homes)
{
    struct pollfd polled = {.fd = control, .events = POLLIN};
    bool serves = true;
    sigset_t blocked, before;

    /* Only while it waits, a child's end may interrupt. */
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    while (serves) {
        const bool has_order = ppoll(&polled, 1, NULL, &before) > 0;

        gpg_children_reap();
        if (has_order)
            serves = take_order(control, homes);
    }
    gpg_children_wait_for_all(END_MS);
}
