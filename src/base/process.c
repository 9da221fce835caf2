/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define BIND_NOW "LD_BIND_NOW"

void process_bind_now(char **argv)
{
    char program[PATH_MAX];
    ssize_t length;

    if (getenv(BIND_NOW) != NULL || setenv(BIND_NOW, "1", 1) < 0)
        return;
    /* By its own name: /proc/self/exe would show as "exe" in lists of processes. */
    length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length < 0)
        return;
    program[length] = '\0';
    (void)execv(program, argv);
}

int process_harden(struct error *err)
{
    const struct rlimit no_core = {0, 0};

    (void)umask(077);
    if (setrlimit(RLIMIT_CORE, &no_core) < 0)
        return error_set_errno(err, errno, "cannot switch off core dumps");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return error_set_errno(err, errno, "cannot make the process undumpable");
    return 0;
}
