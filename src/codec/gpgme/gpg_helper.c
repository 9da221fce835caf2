/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_helper.h"

#include "codec/gpgme/descriptor_message.h"
#include "codec/gpgme/gpg_protocol.h"
#include "codec/gpgme/gpg_warden.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

struct gpg_helper {
    int control; /* the server's other end; the warden's until then */
    pid_t warden;
};

int gpg_helper_has_ended(struct error *err)
{
    return error_set(err, ERROR_UNAVAILABLE, "the process that runs gpg has ended");
}

static int receive_answer(const struct gpg_helper *helper, struct error *err)
{
    uint8_t message[LIMIT_GPG_MESSAGE_BYTES];
    size_t size;

    if (descriptor_message_receive(helper->control, message, sizeof message, &size, NULL, 0, err) <
        0)
        return -1;
    return size == 0 ? gpg_helper_has_ended(err) : gpg_answer_read(message, size, err);
}

static int send_order(const struct gpg_helper *helper, enum gpg_order order, const int *fds,
                      size_t count, struct error *err)
{
    const uint8_t byte = (uint8_t)order;

    if (descriptor_message_send(helper->control, &byte, 1, fds, count, err) == 0)
        return 0;
    if (err->errnum == EPIPE || err->errnum == ECONNRESET)
        return gpg_helper_has_ended(err);
    return error_set(err, ERROR_UNAVAILABLE, "the process that runs gpg takes no orders");
}

int gpg_helper_start(const struct gpg_helper_options *options, struct gpg_helper **ret,
                     struct error *err)
{
    static const struct sigaction ignore = {.sa_handler = SIG_IGN};
    CLEANUP(gpg_helper_free) struct gpg_helper *helper = calloc(1, sizeof *helper);
    int ends[2];

    if (helper == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    helper->control = -1;
    if (descriptor_message_pair(ends, err) < 0)
        return -1;
    CLEANUP(fd_close) int other_end = ends[1];
    helper->control = ends[0];
    helper->warden = fork();
    if (helper->warden < 0)
        return error_set_errno(err, errno, "fork");
    if (helper->warden == 0)
        gpg_warden_run(other_end, options);
    (void)close(steal_fd(&other_end));
    /* gpg may close a pipe that is written to. */
    (void)sigaction(SIGPIPE, &ignore, NULL);
    if (receive_answer(helper, err) < 0)
        return -1;
    *ret = steal(&helper);
    return 0;
}

void gpg_helper_free(struct gpg_helper *helper)
{
    if (helper == NULL)
        return;
    if (helper->control >= 0)
        (void)close(helper->control);
    while (helper->warden > 0 && waitpid(helper->warden, NULL, 0) < 0 && errno == EINTR)
        continue;
    free(helper);
}

int gpg_helper_confine(struct gpg_helper *helper, bool enters_sandbox, struct error *err)
{
    if (send_order(helper, enters_sandbox ? GPG_ORDER_CONFINE : GPG_ORDER_DROP, NULL, 0, err) < 0 ||
        receive_answer(helper, err) < 0)
        return error_prefix(err, "gpg");
    return 0;
}

int gpg_helper_connect(const struct gpg_helper *helper, int *ret_socket, struct error *err)
{
    int ends[2];

    if (descriptor_message_pair(ends, err) < 0)
        return -1;
    CLEANUP(fd_close) int own_end = ends[0];
    CLEANUP(fd_close) int other_end = ends[1];
    if (send_order(helper, GPG_ORDER_RUN, &other_end, 1, err) < 0)
        return -1;
    *ret_socket = steal_fd(&own_end);
    return 0;
}

bool gpg_helper_is_alive(const struct gpg_helper *helper)
{
    struct pollfd polled = {.fd = helper->control};

    return poll(&polled, 1, 0) == 0;
}
