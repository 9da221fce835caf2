/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_operation.h"

#include "base/clock.h"
#include "codec/gpgme/gpg_child.h"

#include <errno.h>
#include <fcntl.h>
#include <gpgme.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <unistd.h>

/* gpg's pipes, in the order in which gpgme opens them; gpg_operation_start checks that it was so,
 * and were the order another one, gpgme would meet refuse_output or a status that says nothing. */
enum pipe_role {
    PIPE_STATUS,
    PIPE_DIAGNOSTICS, /* gpg's log, which names session keys */
    PIPE_OUTPUT,
    PIPE_INPUT,
    PIPE_COMMAND, /* open while gpg waits for the passphrase */
    PIPE_ROLES,
};

struct gpg_pipe {
    int fd; /* -1: not open */
    gpgme_io_cb_t handle;
    void *context;
};

/* Plaintext that gpg can be ahead of us, in bytes; the system may grant less. */
#define PIPE_BYTES (256 * 1024)

/* Takes gpg's log out of its pipe; a multiple of the page, which the arena hands out anyway. */
#define LOG_BYTES 4096

struct gpg_operation {
    struct gpg_operation_options options;
    struct gpg_child *child;
    struct gpg_status status;
    gpgme_ctx_t context;
    gpgme_data_t input, output; /* never used for bytes: only their ends pass through gpgme */
    struct gpg_pipe pipes[PIPE_ROLES];
    unsigned read_pipes; /* opened by gpgme so far */
    void *log;           /* LOG_BYTES in the arena */
    int wake;            /* eventfd that a cancel token writes to */
    int life;            /* the status pipe once more: it hangs up when gpg is gone */
    uint64_t deadline;   /* on the monotonic clock, in nanoseconds; UINT64_MAX: none */
    bool has_ended;
    bool has_asked;
    bool took_all;
};

/* --- what gpgme calls --- */

static gpgme_error_t add_pipe(void *data, int fd, int dir, gpgme_io_cb_t handle, void *context,
                              void **tag)
{
    struct gpg_operation *operation = data;
    unsigned role = PIPE_INPUT;

    if (dir != 0)
        role = operation->read_pipes++;
    else if (operation->pipes[PIPE_INPUT].handle != NULL)
        role = PIPE_COMMAND;
    if ((dir != 0 && role > PIPE_OUTPUT) || operation->pipes[role].fd >= 0)
        return gpgme_error(GPG_ERR_NOT_SUPPORTED);
    operation->pipes[role] = (struct gpg_pipe){.fd = fd, .handle = handle, .context = context};
    if (role == PIPE_OUTPUT || role == PIPE_INPUT)
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
    *tag = &operation->pipes[role];
    return 0;
}

static void remove_pipe(void *tag)
{
    ((struct gpg_pipe *)tag)->fd = -1;
}

static void take_event(void *data, gpgme_event_io_t type, void *type_data)
{
    (void)type_data;
    if (type == GPGME_EVENT_DONE)
        ((struct gpg_operation *)data)->has_ended = true;
}

static gpgme_error_t take_status(void *data, const char *keyword, const char *arguments)
{
    /* The text lies in gpgme's own buffer, whose secrets nobody else would wipe. */
    gpg_status_add(&((struct gpg_operation *)data)->status, keyword, (char *)(uintptr_t)arguments);
    return 0;
}

static gpgme_error_t give_passphrase(void *data, const char *uid_hint, const char *info,
                                     int previous_was_bad, int fd)
{
    struct gpg_operation *operation = data;
    const struct secure_buffer *passphrase = operation->options.passphrase;

    (void)uid_hint;
    (void)info;
    operation->has_asked = true;
    if (previous_was_bad)
        return gpgme_error(GPG_ERR_CANCELED);
    if (gpgme_io_writen(fd, secure_buffer_bytes(passphrase), secure_buffer_size(passphrase)) != 0 ||
        gpgme_io_writen(fd, "\n", 1) != 0)
        return gpgme_error(GPG_ERR_GENERAL);
    return 0;
}

static ssize_t end_input(void *data, void *buffer, size_t size)
{
    (void)data;
    (void)buffer;
    (void)size;
    return 0;
}

static ssize_t refuse_output(void *data, const void *buffer, size_t size)
{
    (void)data;
    (void)buffer;
    (void)size;
    errno = EIO;
    return -1;
}

/* --- start and end --- */

static int unusable(gpgme_error_t code, struct error *err)
{
    return error_set(err, ERROR_UNSUPPORTED, "GnuPG cannot be used: %s", gpgme_strerror(code));
}

static int set_up_context(struct gpg_operation *operation, struct error *err)
{
    static struct gpgme_data_cbs data_functions = {.read = end_input, .write = refuse_output};
    struct gpgme_io_cbs pipe_functions = {.add = add_pipe,
                                          .add_priv = operation,
                                          .remove = remove_pipe,
                                          .event = take_event,
                                          .event_priv = operation};
    const struct gpg_operation_options *options = &operation->options;
    gpgme_error_t code = gpgme_new(&operation->context);

    if (code == 0)
        code = gpgme_set_ctx_flag(operation->context, "full-status", "1");
    if (code == 0)
        code = gpgme_set_ctx_flag(operation->context, "no-symkey-cache", "1");
    if (code == 0 && options->exports_session_key)
        code = gpgme_set_ctx_flag(operation->context, "export-session-key", "1");
    if (code == 0 && options->passphrase != NULL)
        code = gpgme_set_pinentry_mode(operation->context, GPGME_PINENTRY_MODE_LOOPBACK);
    if (code == 0)
        code = gpgme_data_new_from_cbs(&operation->input, &data_functions, operation);
    if (code == 0)
        code = gpgme_data_new_from_cbs(&operation->output, &data_functions, operation);
    if (code != 0)
        return unusable(code, err);
    gpgme_set_offline(operation->context, 1);
    gpgme_set_status_cb(operation->context, take_status, operation);
    gpgme_set_io_cbs(operation->context, &pipe_functions);
    if (options->passphrase != NULL)
        gpgme_set_passphrase_cb(operation->context, give_passphrase, operation);
    return 0;
}

static gpgme_error_t start_verb(struct gpg_operation *operation)
{
    if (operation->options.verb == GPG_DECRYPT)
        return gpgme_op_decrypt_ext_start(operation->context, GPGME_DECRYPT_UNWRAP,
                                          operation->input, operation->output);
    return gpgme_op_encrypt_start(operation->context, NULL,
                                  GPGME_ENCRYPT_SYMMETRIC | GPGME_ENCRYPT_NO_COMPRESS,
                                  operation->input, operation->output);
}

static int start(struct gpg_operation *operation, struct error *err)
{
    gpgme_error_t code;

    gpg_child_begin(operation->child);
    code = start_verb(operation);
    gpg_child_end();
    if (code != 0)
        return unusable(code, err);
    if (operation->read_pipes != PIPE_OUTPUT + 1 || operation->pipes[PIPE_INPUT].fd < 0)
        return error_set(err, ERROR_UNSUPPORTED, "this version of gpgme is not supported");
    operation->life = fcntl(operation->pipes[PIPE_STATUS].fd, F_DUPFD_CLOEXEC, 0);
    if (operation->life < 0)
        return error_set_errno(err, errno, "dup");
    return 0;
}

int gpg_operation_start(const struct gpg_operation_options *options, struct gpg_operation **ret,
                        struct error *err)
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
    operation->life = -1;
    for (unsigned i = 0; i < PIPE_ROLES; i++)
        operation->pipes[i].fd = -1;
    operation->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (operation->wake < 0)
        return error_set_errno(err, errno, "eventfd");
    operation->log = secure_arena_allocate(options->arena, LOG_BYTES);
    if (operation->log == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of locked memory");
    if (gpg_status_init(&operation->status, options->arena, options->exports_session_key, err) <
            0 ||
        gpg_child_new(options->home, &operation->child, err) < 0 ||
        set_up_context(operation, err) < 0 || start(operation, err) < 0)
        return -1;
    *ret = steal(&operation);
    return 0;
}

static bool is_gone(const struct gpg_operation *operation, int timeout_ms)
{
    struct pollfd polled = {.fd = operation->life};

    return poll(&polled, 1, timeout_ms) == 1;
}

/* Told first, so that gpg takes its locks off the operator's keyring. */
static void end_gpg(const struct gpg_operation *operation)
{
    if (operation->life < 0 || is_gone(operation, 0))
        return;
    gpg_child_signal(operation->child, SIGTERM);
    if (!is_gone(operation, GPG_TERMINATION_MS))
        gpg_child_signal(operation->child, SIGKILL);
}

static void close_own(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

void gpg_operation_free(struct gpg_operation *operation)
{
    if (operation == NULL)
        return;
    end_gpg(operation);
    if (operation->context != NULL && !operation->has_ended)
        (void)gpgme_cancel(operation->context);
    if (operation->context != NULL)
        gpgme_release(operation->context);
    gpgme_data_release(operation->input);
    gpgme_data_release(operation->output);
    gpg_child_free(operation->child);
    gpg_status_clear(&operation->status, operation->options.arena);
    secure_arena_release(operation->options.arena, operation->log);
    close_own(operation->life);
    close_own(operation->wake);
    free(operation);
}

/* --- the event loop --- */

static void wake(void *context)
{
    (void)eventfd_write(*(const int *)context, 1);
}

/* Lets gpgme see what is on its pipe: a status line, the wish for a passphrase, or an end. */
static void let_gpgme_handle(struct gpg_pipe *pipe)
{
    (void)pipe->handle(pipe->context, pipe->fd);
}

static void drain_log(struct gpg_operation *operation)
{
    struct gpg_pipe *pipe = &operation->pipes[PIPE_DIAGNOSTICS];

    if (read(pipe->fd, operation->log, LOG_BYTES) <= 0)
        let_gpgme_handle(pipe);
}

static void read_output(struct gpg_operation *operation, struct gpg_exchange *exchange)
{
    struct gpg_pipe *pipe = &operation->pipes[PIPE_OUTPUT];
    const ssize_t got = read(pipe->fd, exchange->output, exchange->output_size);

    if (got > 0)
        exchange->given = (size_t)got;
    else if (got == 0)
        let_gpgme_handle(pipe);
}

/* gpg that went away takes no more; why it did is told by its status. */
static void write_input(struct gpg_operation *operation, struct gpg_exchange *exchange)
{
    struct gpg_pipe *pipe = &operation->pipes[PIPE_INPUT];
    ssize_t taken = 0;

    if (exchange->input_size > 0)
        taken = write(pipe->fd, exchange->input, exchange->input_size);
    if (taken > 0) {
        exchange->taken = (size_t)taken;
    } else if (taken == 0) {
        operation->took_all = true;
        let_gpgme_handle(pipe);
    } else if (errno != EAGAIN && errno != EINTR) {
        let_gpgme_handle(pipe);
    }
}

static bool is_wanted(const struct gpg_exchange *exchange, enum pipe_role role)
{
    switch (role) {
    case PIPE_OUTPUT:
        return exchange->output_size > 0;
    case PIPE_INPUT:
        return exchange->input_size > 0 || exchange->is_last;
    case PIPE_STATUS:
    case PIPE_DIAGNOSTICS:
    case PIPE_COMMAND:
    case PIPE_ROLES:
        break;
    }
    return true;
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

/* One more than the pipes: the token's. */
static int wait_for_pipes(struct gpg_operation *operation, const struct gpg_exchange *exchange,
                          struct pollfd polled[PIPE_ROLES + 1], struct error *err)
{
    int result;

    for (unsigned i = 0; i < PIPE_ROLES; i++) {
        polled[i].fd = is_wanted(exchange, i) ? operation->pipes[i].fd : -1;
        polled[i].events = i < PIPE_INPUT ? POLLIN : POLLOUT;
        polled[i].revents = 0;
    }
    polled[PIPE_ROLES] = (struct pollfd){.fd = operation->wake, .events = POLLIN};
    do {
        result = poll(polled, PIPE_ROLES + 1, patience_ms(operation));
    } while (result < 0 && errno == EINTR);
    if (result < 0)
        return error_set_errno(err, errno, "poll");
    if (result == 0 || clock_monotonic_ns() >= operation->deadline)
        return error_set(err, ERROR_TIMEOUT, "gpg does not get on");
    return 0;
}

/* Status and passphrase come first; a pipe may be closed by what another one told. */
static void serve_pipes(struct gpg_operation *operation, struct gpg_exchange *exchange,
                        const struct pollfd polled[PIPE_ROLES])
{
    static const enum pipe_role order[] = {PIPE_COMMAND, PIPE_STATUS, PIPE_DIAGNOSTICS, PIPE_INPUT,
                                           PIPE_OUTPUT};

    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const enum pipe_role role = order[i];
        struct gpg_pipe *pipe = &operation->pipes[role];

        if (pipe->fd < 0 || pipe->fd != polled[role].fd || polled[role].revents == 0)
            continue;
        if (role == PIPE_INPUT)
            write_input(operation, exchange);
        else if (role == PIPE_OUTPUT)
            read_output(operation, exchange);
        else if (role == PIPE_DIAGNOSTICS)
            drain_log(operation);
        else
            let_gpgme_handle(pipe);
    }
}

/* Without this the caller would have to find input for a gpg that is gone. */
static void close_useless_input(struct gpg_operation *operation)
{
    struct gpg_pipe *pipes = operation->pipes;

    if (pipes[PIPE_INPUT].fd >= 0 && pipes[PIPE_STATUS].fd < 0 && pipes[PIPE_OUTPUT].fd < 0)
        let_gpgme_handle(&pipes[PIPE_INPUT]);
}

int gpg_operation_exchange(struct gpg_operation *operation, struct gpg_exchange *exchange,
                           struct cancel *cancel, struct error *err)
{
    struct cancel_listener listener = {.wake = wake, .context = &operation->wake};
    struct pollfd polled[PIPE_ROLES + 1];
    eventfd_t ignored;
    int result = 0;

    exchange->taken = 0;
    exchange->given = 0;
    (void)eventfd_read(operation->wake, &ignored);
    cancel_listen(cancel, &listener);
    while (result == 0 && !operation->has_ended && exchange->taken == 0 && exchange->given == 0) {
        result = cancel_check(cancel, err);
        if (result == 0)
            result = wait_for_pipes(operation, exchange, polled, err);
        if (result == 0 && !cancel_is_requested(cancel)) {
            serve_pipes(operation, exchange, polled);
            close_useless_input(operation);
        }
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
    return operation->has_asked;
}

const struct gpg_status *gpg_operation_status(const struct gpg_operation *operation)
{
    return &operation->status;
}
