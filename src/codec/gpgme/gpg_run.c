/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_run.h"

#include "codec/gpgme/descriptor_message.h"
#include "codec/gpgme/gpg_environment.h"
#include "codec/gpgme/gpg_operation.h"
#include "codec/gpgme/gpg_protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <gpgme.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

/* gpg's pipes, in the order in which gpgme opens them; start checks that it was so, and were the
 * order another one, gpgme would meet refuse_output or a status that says nothing. */
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

/* Nothing in it is freed: it ends with the process. */
struct gpg_run {
    int socket;
    const struct gpg_homes *homes;
    struct secure_arena *arena;
    struct secure_buffer *message; /* the request, then the result */
    struct gpg_request request;
    struct gpg_result result;
    gpgme_ctx_t context;
    gpgme_data_t input, output; /* never used for bytes: only their ends pass through gpgme */
    struct gpg_pipe pipes[PIPE_ROLES];
    unsigned read_pipes; /* opened by gpgme so far */
    void *log;           /* LOG_BYTES in the arena */
    int life;            /* the status pipe once more: it hangs up when gpg is gone */
    bool has_ended;
};

/* --- what gpgme calls --- */

static gpgme_error_t add_pipe(void *data, int fd, int dir, gpgme_io_cb_t handle, void *context,
                              void **tag)
{
    struct gpg_run *run = data;
    unsigned role = PIPE_INPUT;

    if (dir != 0)
        role = run->read_pipes++;
    else if (run->pipes[PIPE_INPUT].handle != NULL)
        role = PIPE_COMMAND;
    if ((dir != 0 && role > PIPE_OUTPUT) || run->pipes[role].fd >= 0)
        return gpgme_error(GPG_ERR_NOT_SUPPORTED);
    run->pipes[role] = (struct gpg_pipe){.fd = fd, .handle = handle, .context = context};
    if (role == PIPE_OUTPUT || role == PIPE_INPUT)
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
    *tag = &run->pipes[role];
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
        ((struct gpg_run *)data)->has_ended = true;
}

static gpgme_error_t take_status(void *data, const char *keyword, const char *arguments)
{
    /* The text lies in gpgme's own buffer, whose secrets nobody else would wipe. */
    gpg_status_add(&((struct gpg_run *)data)->result.status, keyword, (char *)(uintptr_t)arguments);
    return 0;
}

static gpgme_error_t give_passphrase(void *data, const char *uid_hint, const char *info,
                                     int previous_was_bad, int fd)
{
    struct gpg_run *run = data;

    (void)uid_hint;
    (void)info;
    run->result.has_asked = true;
    if (previous_was_bad)
        return gpgme_error(GPG_ERR_CANCELED);
    if (gpgme_io_writen(fd, run->request.passphrase, run->request.passphrase_size) != 0 ||
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

/* --- the start --- */

static int unusable(gpgme_error_t code, struct error *err)
{
    return error_set(err, ERROR_UNSUPPORTED, "GnuPG cannot be used: %s", gpgme_strerror(code));
}

static int set_up_context(struct gpg_run *run, struct error *err)
{
    static struct gpgme_data_cbs data_functions = {.read = end_input, .write = refuse_output};
    struct gpgme_io_cbs pipe_functions = {.add = add_pipe,
                                          .add_priv = run,
                                          .remove = remove_pipe,
                                          .event = take_event,
                                          .event_priv = run};
    gpgme_error_t code = gpgme_new(&run->context);

    if (code == 0)
        code = gpgme_set_ctx_flag(run->context, "full-status", "1");
    if (code == 0)
        code = gpgme_set_ctx_flag(run->context, "no-symkey-cache", "1");
    if (code == 0 && run->request.exports_session_key)
        code = gpgme_set_ctx_flag(run->context, "export-session-key", "1");
    if (code == 0 && run->request.has_passphrase)
        code = gpgme_set_pinentry_mode(run->context, GPGME_PINENTRY_MODE_LOOPBACK);
    if (code == 0)
        code = gpgme_data_new_from_cbs(&run->input, &data_functions, run);
    if (code == 0)
        code = gpgme_data_new_from_cbs(&run->output, &data_functions, run);
    if (code != 0)
        return unusable(code, err);
    gpgme_set_offline(run->context, 1);
    gpgme_set_status_cb(run->context, take_status, run);
    gpgme_set_io_cbs(run->context, &pipe_functions);
    if (run->request.has_passphrase)
        gpgme_set_passphrase_cb(run->context, give_passphrase, run);
    return 0;
}

static gpgme_error_t start_verb(struct gpg_run *run)
{
    if (run->request.verb == GPG_DECRYPT)
        return gpgme_op_decrypt_ext_start(run->context, GPGME_DECRYPT_UNWRAP, run->input,
                                          run->output);
    return gpgme_op_encrypt_start(run->context, NULL,
                                  GPGME_ENCRYPT_SYMMETRIC | GPGME_ENCRYPT_NO_COMPRESS, run->input,
                                  run->output);
}

static int start_gpg(struct gpg_run *run, struct error *err)
{
    const gpgme_error_t code = start_verb(run);

    if (code != 0)
        return unusable(code, err);
    if (run->read_pipes != PIPE_OUTPUT + 1 || run->pipes[PIPE_INPUT].fd < 0)
        return error_set(err, ERROR_UNSUPPORTED, "this version of gpgme is not supported");
    run->life = fcntl(run->pipes[PIPE_STATUS].fd, F_DUPFD_CLOEXEC, 0);
    return run->life >= 0 ? 0 : error_set_errno(err, errno, "dup");
}

static int choose_home(const struct gpg_run *run, struct error *err)
{
    const struct gpg_homes *homes = run->homes;
    struct gpg_environment *environment;
    const char *path = NULL;

    if (run->request.home == GPG_HOME_KEYRING && homes->keyring != NULL)
        path = gpg_keyring_use(homes->keyring);
    else if (run->request.home == GPG_HOME_PRIVATE && homes->home != NULL)
        path = gnupg_home_path(homes->home);
    if (path == NULL)
        return error_set(err, ERROR_INVALID, "there is no such home of GnuPG");
    if (gpg_environment_new(path, &environment, err) < 0)
        return -1;
    environ = gpg_environment_variables(environment);
    return 0;
}

static int receive_request(struct gpg_run *run, struct error *err)
{
    size_t size;

    if (secure_arena_new(SECURE_ARENA_MINIMUM_BYTES, &run->arena, err) < 0 ||
        secure_buffer_new(run->arena, LIMIT_GPG_MESSAGE_BYTES, &run->message, err) < 0 ||
        descriptor_message_receive(run->socket, secure_buffer_data(run->message),
                                   LIMIT_GPG_MESSAGE_BYTES, &size, NULL, 0, err) < 0)
        return -1;
    secure_buffer_set_size(run->message, size);
    return gpg_request_read(run->message, &run->request, err);
}

static int start(struct gpg_run *run, struct error *err)
{
    if (receive_request(run, err) < 0 || choose_home(run, err) < 0 ||
        gpg_status_init(&run->result.status, run->arena, run->request.exports_session_key, err) < 0)
        return -1;
    run->log = secure_arena_allocate(run->arena, LOG_BYTES);
    if (run->log == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of locked memory");
    if (set_up_context(run, err) < 0)
        return -1;
    return start_gpg(run, err);
}

/* --- the daemon's share --- */

static void let_gpgme_handle(struct gpg_pipe *pipe)
{
    (void)pipe->handle(pipe->context, pipe->fd);
}

/* What is left to gpgme in place of the pipe ends at once. */
static int give_up(struct gpg_pipe *pipe, struct error *err)
{
    CLEANUP(fd_close) int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (nothing < 0 || dup3(nothing, pipe->fd, O_CLOEXEC) < 0)
        return error_set_errno(err, errno, "/dev/null");
    let_gpgme_handle(pipe);
    return 0;
}

static int hand_over_pipes(struct gpg_run *run, struct error *err)
{
    const int fds[] = {run->pipes[PIPE_INPUT].fd, run->pipes[PIPE_OUTPUT].fd};
    const struct error done = ERROR_INIT;
    uint8_t message[LIMIT_GPG_MESSAGE_BYTES];
    const size_t size = gpg_answer_write(&done, message);

    if (descriptor_message_send(run->socket, message, size, fds, sizeof fds / sizeof *fds, err) < 0)
        return -1;
    if (give_up(&run->pipes[PIPE_INPUT], err) < 0)
        return -1;
    return give_up(&run->pipes[PIPE_OUTPUT], err);
}

static void send_failure(const struct gpg_run *run, const struct error *failure)
{
    uint8_t message[LIMIT_GPG_MESSAGE_BYTES];
    const size_t size = gpg_answer_write(failure, message);
    struct error ignored = ERROR_INIT;

    (void)descriptor_message_send(run->socket, message, size, NULL, 0, &ignored);
}

static void send_result(struct gpg_run *run)
{
    struct error ignored = ERROR_INIT;

    secure_buffer_set_size(run->message, 0);
    if (gpg_result_write(&run->result, run->message, &ignored) == 0)
        (void)descriptor_message_send(run->socket, secure_buffer_bytes(run->message),
                                      secure_buffer_size(run->message), NULL, 0, &ignored);
}

/* --- the event loop --- */

static void drain_log(struct gpg_run *run)
{
    struct gpg_pipe *pipe = &run->pipes[PIPE_DIAGNOSTICS];

    if (read(pipe->fd, run->log, LOG_BYTES) <= 0)
        let_gpgme_handle(pipe);
}

/* Passphrase and status come first; a pipe may be closed by what another one told. */
static void serve_pipes(struct gpg_run *run, const struct pollfd polled[PIPE_ROLES])
{
    static const enum pipe_role order[] = {PIPE_COMMAND, PIPE_STATUS, PIPE_DIAGNOSTICS};

    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const enum pipe_role role = order[i];
        struct gpg_pipe *pipe = &run->pipes[role];

        if (pipe->fd < 0 || pipe->fd != polled[role].fd || polled[role].revents == 0)
            continue;
        if (role == PIPE_DIAGNOSTICS)
            drain_log(run);
        else
            let_gpgme_handle(pipe);
    }
}

/* One more than the pipes: the daemon has nothing to say any more but that it is gone. */
static void converse(struct gpg_run *run)
{
    struct pollfd polled[PIPE_ROLES + 1];

    polled[PIPE_ROLES] = (struct pollfd){.fd = run->socket, .events = POLLIN};
    while (!run->has_ended) {
        for (unsigned i = 0; i < PIPE_ROLES; i++)
            polled[i] = (struct pollfd){.fd = run->pipes[i].fd,
                                        .events = i < PIPE_INPUT ? POLLIN : POLLOUT};
        if (poll(polled, PIPE_ROLES + 1, -1) < 0 && errno != EINTR)
            return;
        if (polled[PIPE_ROLES].revents != 0)
            return;
        serve_pipes(run, polled);
    }
}

/* gpg is told first, so that it takes its locks off the operator's keyring. */
static void end_gpg(const struct gpg_run *run)
{
    struct pollfd polled = {.fd = run->life};

    if (run->has_ended || run->life < 0)
        return;
    (void)kill(0, SIGTERM);
    while (poll(&polled, 1, GPG_TERMINATION_MS) < 0 && errno == EINTR)
        continue;
}

void gpg_run(int socket, const struct gpg_homes *homes)
{
    struct gpg_run run = {.socket = socket, .homes = homes, .life = -1};
    struct error err = ERROR_INIT;

    for (unsigned i = 0; i < PIPE_ROLES; i++)
        run.pipes[i].fd = -1;
    if (start(&run, &err) < 0) {
        send_failure(&run, &err);
    } else if (hand_over_pipes(&run, &err) == 0) {
        converse(&run);
        if (run.has_ended)
            send_result(&run);
    }
    end_gpg(&run);
}
