/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_agent.h"

#include "base/clock.h"
#include "codec/gpgme/gpg_environment.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* Room for what a program prints that is asked for a number. */
#define ANSWER_BYTES 256

/* How often a process is looked for that ought to go. */
#define LOOK_AGAIN_NS 5000000

/* A process that has ended may stay in the table until init looks: that is not alive. */
static bool is_alive(pid_t pid)
{
    CLEANUP(file_close) FILE *file = NULL;
    char path[sizeof "/proc/2147483647/stat"];
    char state = 'Z';

    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    file = fopen(path, "re");
    if (file == NULL || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        return false;
    return state != 'Z' && state != 'X';
}

/* Reads until the end, or until the program was given all its time. */
static void read_answer(int fd, char answer[ANSWER_BYTES])
{
    const uint64_t deadline = clock_monotonic_ns() + GPG_AGENT_MS * NANOSECONDS_PER_MILLISECOND;
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    size_t size = 0;
    ssize_t got = 1;

    while (got > 0 && size < ANSWER_BYTES - 1 && clock_monotonic_ns() < deadline) {
        if (poll(&polled, 1, GPG_AGENT_MS) <= 0)
            continue;
        got = read(fd, answer + size, ANSWER_BYTES - 1 - size);
        size += got > 0 ? (size_t)got : 0;
    }
    answer[size] = '\0';
}

/* No signal blocked, SIGPIPE not ignored, as gpgme leaves it. */
static int set_signals(posix_spawnattr_t *attributes)
{
    sigset_t none, pipe;

    (void)sigemptyset(&none);
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    if (posix_spawnattr_setsigmask(attributes, &none) != 0 ||
        posix_spawnattr_setsigdefault(attributes, &pipe) != 0 ||
        posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) != 0)
        return -1;
    return 0;
}

static int spawn_with(const posix_spawnattr_t *attributes, char *const *argv,
                      char *const *environment, int output, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    int result;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return -1;
    if (posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) != 0 ||
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) != 0)
        result = -1;
    else
        result = posix_spawnp(ret, argv[0], &actions, attributes, argv, environment) == 0 ? 0 : -1;
    (void)posix_spawn_file_actions_destroy(&actions);
    return result;
}

static int spawn(char *const *argv, char *const *environment, int output, pid_t *ret)
{
    posix_spawnattr_t attributes;
    int result;

    if (posix_spawnattr_init(&attributes) != 0)
        return -1;
    result = set_signals(&attributes);
    if (result == 0)
        result = spawn_with(&attributes, argv, environment, output, ret);
    (void)posix_spawnattr_destroy(&attributes);
    return result;
}

/* Runs one of GnuPG's helpers on `home`; what it prints goes to `answer`, empty when it fails. */
static void run(char *const *argv, const char *home, char answer[ANSWER_BYTES])
{
    CLEANUP(gpg_environment_free) struct gpg_environment *environment = NULL;
    CLEANUP(fd_close) int reading = -1;
    struct error ignored = ERROR_INIT;
    int ends[2];
    pid_t pid;
    int result;

    answer[0] = '\0';
    if (gpg_environment_new(home, &environment, &ignored) < 0 || pipe2(ends, O_CLOEXEC) < 0)
        return;
    reading = ends[0];
    result = spawn(argv, gpg_environment_variables(environment), ends[1], &pid);
    (void)close(ends[1]);
    if (result < 0)
        return;
    read_answer(reading, answer);
    /* It has ended, or had its time: a child that was not waited for cannot be somebody else. */
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* The agent's process, 0 when none answers. With `ends` it is told to go, too. */
static pid_t ask_agent(const char *home, bool ends)
{
    static char program[] = "gpg-connect-agent", alone[] = "--no-autostart", bye[] = "/bye",
                process[] = "GETINFO pid", end[] = "KILLAGENT";
    char *const argv[] = {program, alone, process, ends ? end : bye, NULL};
    char answer[ANSWER_BYTES];
    long pid;

    run(argv, home, answer);
    if (strncmp(answer, "D ", 2) != 0)
        return 0;
    pid = strtol(answer + 2, NULL, 10);
    return pid > 1 && pid <= INT_MAX ? (pid_t)pid : 0;
}

bool gpg_agent_is_running(const char *home)
{
    return ask_agent(home, false) != 0;
}

void gpg_agent_stop(const char *home)
{
    static char program[] = "gpgconf", command[] = "--remove-socketdir";
    char *const argv[] = {program, command, NULL};
    const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
    const pid_t pid = ask_agent(home, true);
    const uint64_t deadline = clock_monotonic_ns() + GPG_AGENT_MS * NANOSECONDS_PER_MILLISECOND;
    char answer[ANSWER_BYTES];

    while (pid != 0 && is_alive(pid) && clock_monotonic_ns() < deadline)
        (void)nanosleep(&pause, NULL);
    if (pid != 0 && is_alive(pid))
        (void)kill(pid, SIGKILL);
    run(argv, home, answer);
}
