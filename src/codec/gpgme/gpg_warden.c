/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_warden.h"

#include "base/process.h"
#include "base/sandbox.h"
#include "codec/gpgme/descriptor_message.h"
#include "codec/gpgme/gpg_agent.h"
#include "codec/gpgme/gpg_children.h"
#include "codec/gpgme/gpg_environment.h"
#include "codec/gpgme/gpg_protocol.h"
#include "codec/gpgme/gpg_server.h"
#include "codec/gpgme/gpgme_library.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define WARDEN_NAME "glancefs-warden"
#define SERVER_NAME "glancefs-gpg"

/* A process of a helper, warden or server. */
struct warden {
    int control;
    struct gpg_homes homes;
    struct gpg_environment *environment;
    char runtime[PATH_MAX]; /* the directory with the private home; empty: none */
    char keyring[PATH_MAX]; /* empty: none */
};

/* --- set-up --- */

static void take_no_notice(int signal)
{
    (void)signal;
}

/* The daemon's end ends us, no signal: else nobody would clean up. A program that is started hears
 * them all, which it would not if they were ignored. */
static void set_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGCHLD};
    const struct sigaction action = {.sa_handler = take_no_notice, .sa_flags = SA_RESTART};
    sigset_t none;

    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)sigaction(signals[i], &action, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Orphans, which gpg is once it was started, become ours: nobody else might wait for them. */
static void settle(int control)
{
    const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = STDIN_FILENO; null_fd >= 0 && fd <= STDERR_FILENO; fd++)
        (void)dup2(null_fd, fd);
    if (control > STDERR_FILENO + 1)
        (void)close_range(STDERR_FILENO + 1, (unsigned)control - 1, 0);
    (void)close_range((unsigned)control + 1, UINT_MAX, 0);
    (void)setsid();
    (void)!chdir("/");
    (void)prctl(PR_SET_NAME, WARDEN_NAME);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void note_paths(struct warden *warden, const struct gpg_helper_options *options)
{
    if (warden->homes.home != NULL)
        (void)snprintf(warden->runtime, sizeof warden->runtime, "%s/..",
                       gnupg_home_path(warden->homes.home));
    if (options->keyring != NULL)
        (void)snprintf(warden->keyring, sizeof warden->keyring, "%s", options->keyring);
}

/* gpgme ignores SIGPIPE as soon as it is set up, so signals come last. */
static int set_up(struct warden *warden, const struct gpg_helper_options *options,
                  struct error *err)
{
    if ((options->keyring != NULL &&
         gpg_keyring_new(options->keyring, &warden->homes.keyring, err) < 0) ||
        (options->has_home && gnupg_home_new(options->runtime, &warden->homes.home, err) < 0) ||
        gpg_environment_new(NULL, &warden->environment, err) < 0)
        return -1;
    note_paths(warden, options);
    environ = gpg_environment_variables(warden->environment);
    if (gpgme_library_setup(err) < 0)
        return -1;
    set_signals();
    return 0;
}

static void answer(const struct warden *warden, const struct error *what)
{
    uint8_t message[LIMIT_GPG_MESSAGE_BYTES];
    const size_t size = gpg_answer_write(what, message);
    struct error ignored = ERROR_INIT;

    (void)descriptor_message_send(warden->control, message, size, NULL, 0, &ignored);
}

/* --- the sandbox --- */

static int enter_sandbox(const struct warden *warden, struct error *err)
{
    char sockets[PATH_MAX];
    const struct sandbox_path paths[] = {{"/bin", SANDBOX_EXECUTE},
                                         {"/lib", SANDBOX_EXECUTE},
                                         {"/lib64", SANDBOX_EXECUTE},
                                         {"/usr", SANDBOX_EXECUTE},
                                         {"/etc", SANDBOX_READ},
                                         {"/proc", SANDBOX_READ},
                                         {"/dev/urandom", SANDBOX_READ},
                                         {"/dev/null", SANDBOX_WRITE},
                                         {warden->runtime, SANDBOX_SOCKETS},
                                         {warden->keyring, SANDBOX_SOCKETS},
                                         {sockets, SANDBOX_SOCKETS}};
    const struct sandbox_needs needs = {
        .paths = paths, .count = sizeof paths / sizeof paths[0], .runs_programs = true};
    struct sandbox_state ignored;

    /* Where GnuPG has the sockets of a keyring, made as it makes it; what else lies beside it, units
     * of the user's systemd for one, is not gpg's. */
    (void)snprintf(sockets, sizeof sockets, "/run/user/%u/gnupg", geteuid());
    (void)mkdir(sockets, S_IRWXU);
    return sandbox_enter(&needs, &ignored, err);
}

/* Waits for the first order, and follows it if it is about ourselves: *ret_is_owed tells that it is to
 * be answered with what *ret_answer holds. False when the daemon is gone. */
static bool confine(const struct warden *warden, bool *ret_is_owed, struct error *ret_answer)
{
    struct error ignored = ERROR_INIT;
    uint8_t order;
    size_t size;

    if (recv(warden->control, &order, 1, MSG_PEEK) != 1)
        return false;
    if (order == GPG_ORDER_CONFINE)
        (void)enter_sandbox(warden, ret_answer);
    else if (order == GPG_ORDER_DROP)
        (void)process_drop_capabilities(ret_answer);
    else
        return true;
    *ret_is_owed = true;
    (void)descriptor_message_receive(warden->control, &order, 1, &size, NULL, 0, &ignored);
    return true;
}

/* --- the end --- */

/* Agents first: they end no other way. */
static void clean_up(struct warden *warden)
{
    gpg_keyring_free(warden->homes.keyring);
    gnupg_home_free(warden->homes.home);
    gpg_children_wait_for_all(GPG_AGENT_MS);
}

/* An answer that is owed (NULL: none) says that there is a server, too. */
static _Noreturn void serve(struct warden *warden, pid_t parent, const struct error *owed)
{
    (void)prctl(PR_SET_NAME, SERVER_NAME);
    if (owed != NULL)
        answer(warden, owed);
    gpg_server_run(warden->control, &warden->homes);
    if (getppid() != parent)
        clean_up(warden);
    _exit(0);
}

static void watch_server(struct warden *warden, const struct error *owed)
{
    const pid_t self = getpid();
    const pid_t server = fork();

    if (server == 0)
        serve(warden, self, owed);
    (void)close(warden->control);
    if (server > 0)
        gpg_children_wait_for(server);
}

_Noreturn void gpg_warden_run(int control, const struct gpg_helper_options *options)
{
    struct warden warden = {.control = control};
    struct error err = ERROR_INIT;
    bool is_owed = false;

    settle(control);
    (void)set_up(&warden, options, &err);
    answer(&warden, &err);
    if (!error_is_set(&err) && confine(&warden, &is_owed, &err))
        watch_server(&warden, is_owed ? &err : NULL);
    clean_up(&warden);
    _exit(0);
}
