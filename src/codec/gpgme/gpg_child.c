/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_child.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>

#define HOME_VARIABLE "GNUPGHOME="

struct gpg_child {
    char *environment[4];
    pid_t *group; /* shared with the children; 0 until the first of them runs */
};

/* The language of messages that nobody reads, and where gpg's own programs may look for others. */
static char locale_variable[] = "LC_ALL=C";
static char path_variable[] = "PATH=/usr/local/bin:/usr/bin:/bin";

/* A fork handler takes no argument; of one thread, so nobody else sees it change. */
static _Thread_local const struct gpg_child *starting;

/* Runs in each child between fork and whatever the forking thread does next: async-signal-safe. Our
 * threads block signals, and gpgme ignores SIGPIPE: gpg has to hear what ends it. */
static void set_up_child(void)
{
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;

    if (starting == NULL)
        return;
    (void)sigaction(SIGPIPE, &usual, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    environ = (char **)starting->environment;
    if (*starting->group == 0 && setpgid(0, 0) == 0)
        *starting->group = getpid();
}

static void register_handler(void)
{
    (void)pthread_atfork(NULL, NULL, set_up_child);
}

static int set_home(struct gpg_child *child, const char *home, struct error *err)
{
    const size_t size = strlen(home) + sizeof HOME_VARIABLE;

    child->environment[2] = malloc(size);
    if (child->environment[2] == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    (void)snprintf(child->environment[2], size, HOME_VARIABLE "%s", home);
    return 0;
}

int gpg_child_new(const char *home, struct gpg_child **ret, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CLEANUP(gpg_child_free) struct gpg_child *child = calloc(1, sizeof *child);

    if (child == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    (void)pthread_once(&once, register_handler);
    child->environment[0] = locale_variable;
    child->environment[1] = path_variable;
    child->group =
        mmap(NULL, sizeof *child->group, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (child->group == MAP_FAILED) {
        child->group = NULL;
        return error_set_errno(err, errno, "mmap");
    }
    if (home != NULL && set_home(child, home, err) < 0)
        return -1;
    *ret = steal(&child);
    return 0;
}

void gpg_child_free(struct gpg_child *child)
{
    if (child == NULL)
        return;
    if (child->group != NULL)
        (void)munmap(child->group, sizeof *child->group);
    free(child->environment[2]);
    free(child);
}

void gpg_child_begin(struct gpg_child *child)
{
    starting = child;
}

void gpg_child_end(void)
{
    starting = NULL;
}

char *const *gpg_child_environment(const struct gpg_child *child)
{
    return child->environment;
}

void gpg_child_signal(const struct gpg_child *child, int signal)
{
    if (*child->group > 0)
        (void)kill(-*child->group, signal);
}
