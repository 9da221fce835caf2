/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_operation.h"

#include "base/clock.h"
#include "codec/gpgme/descriptor_message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

struct gpg_operation {
    struct gpg_operation_options options;
    struct gpg_result result;
    struct secure_buffer *message; /* the request, then the result */
    int input, output;             /* gpg's pipes; -1 once they are closed */
    int socket;                    /* the child's other end; -1 once it told the result */
    int wake;                      /* eventfd that a cancel token writes to */
    uint64_t deadline;             /* on the monotonic clock, in nanoseconds; UINT64_MAX: none */
    bool has_ended;
    bool took_all;
};

/* What is polled for. */
enum { POLL_INPUT, POLL_OUTPUT, POLL_SOCKET, POLL_WAKE, POLLS };

/* --- start and end --- */

static void close_own(int *fd)
{
    if (*fd >= 0)
        (void)close(steal_fd(fd));
}

static int receive_message(struct gpg_operation *operation, int *fds, size_t count,
                           struct error *err)
{
    struct secure_buffer *message = operation->message;
    size_t size;

    secure_buffer_set_size(message, 0);
    if (descriptor_message_receive(operation->socket, secure_buffer_data(message),
                                   LIMIT_GPG_MESSAGE_BYTES, &size, fds, count, err) < 0)
        return err->errnum == ECONNRESET ? gpg_helper_has_ended(err) : -1;
    if (size == 0)
        return gpg_helper_has_ended(err);
    secure_buffer_set_size(message, size);
    return 0;
}

static int send_request(struct gpg_operation *operation, struct error *err)
{
    const struct gpg_operation_options *options = &operation->options;
    const struct secure_buffer *passphrase = options->passphrase;
    const struct gpg_request request = {
        .verb = options->verb,
        .home = options->home,
        .exports_session_key = options->exports_session_key,
        .has_passphrase = passphrase != NULL,
        .passphrase = passphrase != NULL ? secure_buffer_bytes(passphrase) : NULL,
        .passphrase_size = passphrase != NULL ? secure_buffer_size(passphrase) : 0};

    if (secure_buffer_new(options->arena, LIMIT_GPG_MESSAGE_BYTES, &operation->message, err) < 0 ||
        gpg_request_write(&request, operation->message, err) < 0)
        return -1;
    if (descriptor_message_send(operation->socket, secure_buffer_bytes(operation->message),
                                secure_buffer_size(operation->message), NULL, 0, err) == 0)
        return 0;
    return err->errnum == EPIPE ? gpg_helper_has_ended(err) : -1;
}

/* Of anything but a pipe it would not hold: a disk's or a network's file may block all the same. */
static int never_block(int fd, struct error *err)
{
    struct stat status;

    if (fstat(fd, &status) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return error_set_errno(err, errno, "gpg's pipe");
    return S_ISFIFO(status.st_mode) ? 0 : error_set(err, ERROR_CORRUPT, "what gpg gave is no pipe");
}

static void wake(void *context)
{
    (void)eventfd_write(*(const int *)context, 1);
}

/* Until there is a message, or the end. */
static int wait_for_message(struct gpg_operation *operation, struct cancel *cancel,
                            struct error *err)
{
    struct pollfd polled[] = {{.fd = operation->socket, .events = POLLIN},
                              {.fd = operation->wake, .events = POLLIN}};
    struct cancel_listener listener = {.wake = wake, .context = &operation->wake};
    int result;

    cancel_listen(cancel, &listener);
    do
        result = poll(polled, 2, GPG_STALL_SECONDS * 1000);
    while (result < 0 && errno == EINTR);
    cancel_unlisten(cancel, &listener);
    if (result < 0)
        return error_set_errno(err, errno, "poll");
    return result > 0 ? cancel_check(cancel, err)
                      : error_set(err, ERROR_TIMEOUT, "gpg does not start");
}

static int receive_pipes(struct gpg_operation *operation, struct cancel *cancel, struct error *err)
{
    int fds[2] = {-1, -1};

    if (wait_for_message(operation, cancel, err) < 0 || receive_message(operation, fds, 2, err) < 0)
        return -1;
    operation->input = fds[0];
    operation->output = fds[1];
    if (gpg_answer_read(secure_buffer_bytes(operation->message),
                        secure_buffer_size(operation->message), err) < 0)
        return -1;
    if (fds[0] < 0)
        return error_set(err, ERROR_UNAVAILABLE, "gpg's pipes did not come");
    if (never_block(fds[0], err) < 0)
        return -1;
    return never_block(fds[1], err);
}

int gpg_operation_start(const struct gpg_operation_options *options, struct cancel *cancel,
                        struct gpg_operation **ret, struct error *err)
{
    CLEANUP(gpg_operation_free)
    struct gpg_operation *operation = calloc(1, sizeof *operation);

    if (operation == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    operation->options = *options;
    operation->deadline = UINT64_MAX;
    if (options->total_seconds > 0)
        operation->deadline =
            clock_monotonic_ns() + options->total_seconds * NANOSECONDS_PER_SECOND;
    operation->input = operation->output = operation->socket = -1;
    operation->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (operation->wake < 0)
        return error_set_errno(err, errno, "eventfd");
    if (gpg_status_init(&operation->result.status, options->arena, options->exports_session_key,
                        err) < 0 ||
        gpg_helper_connect(options->helper, &operation->socket, err) < 0 ||
        send_request(operation, err) < 0 || receive_pipes(operation, cancel, err) < 0)
        return -1;
    *ret = steal(&operation);
    return 0;
}

void gpg_operation_free(struct gpg_operation *operation)
{
    if (operation == NULL)
        return;
    close_own(&operation->socket);
    close_own(&operation->input);
    close_own(&operation->output);
    close_own(&operation->wake);
    secure_buffer_free(operation->message);
    gpg_status_clear(&operation->result.status, operation->options.arena);
    free(operation);
}

/* --- the event loop --- */

static void read_output(struct gpg_operation *operation, struct gpg_exchange *exchange)
{
    const ssize_t got = read(operation->output, exchange->output, exchange->output_size);

    if (got > 0)
        exchange->given = (size_t)got;
    else if (got == 0)
        close_own(&operation->output);
}

/* gpg that went away takes no more; why it did is told by its status. */
static void write_input(struct gpg_operation *operation, struct gpg_exchange *exchange)
{
    ssize_t taken = 0;

    if (exchange->input_size > 0)
        taken = write(operation->input, exchange->input, exchange->input_size);
    if (taken > 0) {
        exchange->taken = (size_t)taken;
    } else if (taken == 0) {
        operation->took_all = true;
        close_own(&operation->input);
    } else if (errno != EAGAIN && errno != EINTR) {
        close_own(&operation->input);
    }
}

static int take_result(struct gpg_operation *operation, struct error *err)
{
    if (receive_message(operation, NULL, 0, err) < 0 ||
        gpg_result_read(operation->message, &operation->result, err) < 0)
        return -1;
    close_own(&operation->socket);
    return 0;
}

/* How long the next wait may take; 0 when the time is up. */
static int patience_ms(const struct gpg_operation *operation)
{
    const unsigned seconds = operation->options.stall_seconds;
    const uint64_t stall_ms = UINT64_C(1000) * (seconds == 0 ? GPG_STALL_SECONDS : seconds);
    const uint64_t now = clock_monotonic_ns();
    uint64_t left_ms = 0;

    if (now < operation->deadline)
        left_ms = (operation->deadline - now) / NANOSECONDS_PER_MILLISECOND + 1;
    return (int)(left_ms < stall_ms ? left_ms : stall_ms);
}

static int wait_for_gpg(struct gpg_operation *operation, const struct gpg_exchange *exchange,
                        struct pollfd polled[POLLS], struct error *err)
{
    const bool has_input = exchange->input_size > 0 || exchange->is_last;
    int result;

    polled[POLL_INPUT] =
        (struct pollfd){.fd = has_input ? operation->input : -1, .events = POLLOUT};
    polled[POLL_OUTPUT] =
        (struct pollfd){.fd = exchange->output_size > 0 ? operation->output : -1, .events = POLLIN};
    polled[POLL_SOCKET] = (struct pollfd){.fd = operation->socket, .events = POLLIN};
    polled[POLL_WAKE] = (struct pollfd){.fd = operation->wake, .events = POLLIN};
    do {
        result = poll(polled, POLLS, patience_ms(operation));
    } while (result < 0 && errno == EINTR);
    if (result < 0)
        return error_set_errno(err, errno, "poll");
    if (result == 0 || clock_monotonic_ns() >= operation->deadline)
        return error_set(err, ERROR_TIMEOUT, "gpg does not get on");
    return 0;
}

/* A child that was killed takes its gpg along: what stands in the pipe is not worth having. */
static int serve(struct gpg_operation *operation, struct gpg_exchange *exchange,
                 const struct pollfd polled[POLLS], struct error *err)
{
    if (polled[POLL_SOCKET].revents != 0 && take_result(operation, err) < 0)
        return -1;
    if (polled[POLL_INPUT].revents != 0)
        write_input(operation, exchange);
    if (polled[POLL_OUTPUT].revents != 0)
        read_output(operation, exchange);
    if (operation->socket < 0 && operation->output < 0) {
        close_own(&operation->input);
        operation->has_ended = true;
    }
    return 0;
}

int gpg_operation_exchange(struct gpg_operation *operation, struct gpg_exchange *exchange,
                           struct cancel *cancel, struct error *err)
{
    struct cancel_listener listener = {.wake = wake, .context = &operation->wake};
    struct pollfd polled[POLLS];
    eventfd_t ignored;
    int result = 0;

    exchange->taken = 0;
    exchange->given = 0;
    (void)eventfd_read(operation->wake, &ignored);
    cancel_listen(cancel, &listener);
    while (result == 0 && !operation->has_ended && exchange->taken == 0 && exchange->given == 0) {
        result = cancel_check(cancel, err);
        if (result == 0)
            result = wait_for_gpg(operation, exchange, polled, err);
        if (result == 0 && !cancel_is_requested(cancel))
            result = serve(operation, exchange, polled, err);
    }
    cancel_unlisten(cancel, &listener);
    return result;
}

bool gpg_operation_has_ended(const struct gpg_operation *operation)
{
    return operation->has_ended;
}

bool gpg_operation_took_all(const struct gpg_operation *operation)
{
    return operation->took_all;
}

bool gpg_operation_asked(const struct gpg_operation *operation)
{
    return operation->result.has_asked;
}

const struct gpg_status *gpg_operation_status(const struct gpg_operation *operation)
{
    return &operation->result.status;
}
